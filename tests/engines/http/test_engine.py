import asyncio
import re

import pytest
from aiohttp import web
from servers_for_tests import HOT, asks, good, http, refused

from attar.core.errors import EngineError
from attar.engines.base import Reply, Request, Sampling, Spec, in_order
from attar.engines.http.engine import Http

ONE = ({"role": "user", "content": "draw one"},)


async def echo(asked):
    return good(asked, prompt_tokens=5, completion_tokens=2)


def draws(count, sampling=HOT):
    return [Request(i, messages=ONE, sampling=sampling, seed=i) for i in range(count)]


def choices(texts):
    """Choices by their number."""
    told = [{"index": i, "finish_reason": "stop", "message": {"content": text}} for i, text in texts.items()]
    return web.json_response({"choices": told, "usage": {"prompt_tokens": 8, "completion_tokens": 4 * len(told)}})


def test_every_row_gets_its_own_reply(server):
    replies = in_order(http(server(echo).url).generate(asks(200)), 200)
    assert replies == [Reply(i, f"say {i}", "stop", tokens_in=5, tokens_out=2) for i in range(200)]


def test_a_chat_is_sent_as_it_is(server):
    served = server(echo)
    turns = ({"role": "system", "content": "be \u00e9"}, {"role": "user", "content": "half \ud83d"})
    list(http(served.url).generate([Request(0, messages=turns, sampling=Sampling(stop=("x",)))]))
    [sent] = served.posted
    assert sent.pop("messages") == [turns[0], {"role": "user", "content": "half ?"}]
    assert sent == {"model": "m", "temperature": 0.0, "max_tokens": 1024, "stop": ["x"]}
    assert served.paths == ["/v1/chat/completions"]


def test_raw_text_goes_to_completions_as_text_where_the_server_tells_no_tokens(server):
    async def speak(asked):
        return web.json_response({"choices": [{"finish_reason": "length", "text": asked["prompt"] + "!"}]})

    served = server(speak)
    [reply] = http(served.url).generate([Request(0, text="go on", sampling=HOT)])
    assert (reply.text, reply.finish, served.paths) == ("go on!", "length", ["/v1/completions"])


def test_a_wrong_model_is_found_at_the_first_look(server):
    served = server(echo, models=("Qwen/Qwen3-8B", "other"))
    with pytest.raises(EngineError) as told:
        list(http(served.url, model="Qwen/Qwen3-8b").generate(asks(3)))
    assert str(told.value) == (
        f"http engine Qwen/Qwen3-8b at {served.url}: the server has no model 'Qwen/Qwen3-8b'; did you mean 'Qwen/Qwen3-8B'?"
    )
    assert served.posted == []


@pytest.mark.parametrize("listed", [{}, [], {"data": None}, {"data": ["m"]}, "models"])
def test_a_server_that_lists_no_models_is_asked_all_the_same(server, listed):
    async def models(request):
        return web.json_response(listed)

    assert [reply.text for reply in http(server(echo, models=models).url).generate(asks(1))] == ["say 0"]


def test_a_server_is_looked_at_once(server):
    looks = []

    async def models(request):
        looks.append(request.path)
        return web.json_response({"data": [{"id": "m"}]})

    engine = http(server(echo, models=models).url)
    for _ in range(3):
        list(engine.generate(asks(2)))
    assert looks == ["/v1/models"]


def test_a_row_that_is_refused_fails_at_once_and_leaves_the_others_whole(server):
    async def speak(asked):
        return refused(400, "too long") if asked["messages"][0]["content"] in ("say 3", "say 7") else good(asked)

    served = server(speak)
    engine = http(served.url)
    replies = in_order(engine.generate(asks(20)), 20)
    assert {reply.index: reply.error for reply in replies if reply.error} == dict.fromkeys((3, 7), "400: too long")
    assert all(reply.text == f"say {reply.index}" for reply in replies if not reply.error)
    assert len(served.posted) == 20
    assert engine.errors == {"refused": 2}


def test_what_any_row_would_meet_is_raised_and_the_server_not_asked_a_thousand_times(server):
    async def speak(asked):
        return refused(404, "no such model")

    served = server(speak)
    with pytest.raises(EngineError, match=r"no such model or endpoint \(404: no such model\)"):
        list(http(served.url, concurrency=8).generate(asks(1000)))
    assert len(served.posted) <= 8


def test_four_draws_of_one_prompt_are_one_call_and_only_what_is_missing_is_asked_again(server):
    async def speak(asked):
        if asked.get("n") == 4:
            return choices({3: "first 3", 0: "first 0", 1: "first 1"})
        return choices({0: "second 0"})

    served = server(speak)
    replies = in_order(http(served.url, n=4).generate(draws(4)), 4)
    assert [reply.text for reply in replies] == ["first 0", "first 1", "second 0", "first 3"]
    assert [(sent.get("n"), sent["seed"]) for sent in served.posted] == [(4, 0), (None, 2)]


def test_draws_go_together_only_where_nothing_but_the_seed_differs(server):
    served = server(echo)
    mixed = [*draws(6), *asks(2, start=6), *(Request(8 + i, messages=ONE, sampling=Sampling()) for i in range(2))]
    assert len(in_order(http(served.url, n=4).generate(mixed), 10)) == 10
    assert sorted(sent.get("n", 1) for sent in served.posted) == [1, 1, 1, 1, 2, 4]


def test_a_reply_that_cannot_be_read_is_one_row_s_trouble(server):
    async def speak(asked):
        if asked["messages"][0]["content"] == "say 1":
            choice = {"index": 0, "finish_reason": "stop", "message": {"content": "say 1"}}
            return web.json_response({"choices": [choice], "usage": [1]})
        return good(asked)

    assert len(in_order(http(server(speak).url, tries=2).generate(asks(3)), 3)) == 3


def test_a_call_of_several_that_is_refused_fails_each_of_them(server):
    async def speak(asked):
        return refused(422, "n is too large")

    replies = in_order(http(server(speak).url, n=3).generate(draws(3)), 3)
    assert [reply.error for reply in replies] == ["422: n is too large"] * 3


def test_embeddings_are_asked_for_by_32_and_each_text_gets_its_own(server):
    async def speak(asked):
        data = [{"index": i, "embedding": [float(text), 1.0]} for i, text in enumerate(asked["input"])]
        return web.json_response({"data": data[::-1]})

    served = server(speak)
    replies = in_order(http(served.url).embed(Request(i, text=str(i)) for i in range(70)), 70)
    assert [reply.vector[0] / reply.vector[1] for reply in replies] == pytest.approx(list(range(70)))
    assert sorted(len(sent["input"]) for sent in served.posted) == [6, 32, 32]
    assert set(served.paths) == {"/v1/embeddings"}


def test_of_texts_that_go_together_only_the_bad_one_is_refused(server):
    async def speak(asked):
        if "7" in asked["input"]:
            return refused(400, "too long")
        return web.json_response(
            {"data": [{"index": i, "embedding": [float(text), 1.0]} for i, text in enumerate(asked["input"])]}
        )

    replies = in_order(http(server(speak).url).embed(Request(i, text=str(i)) for i in range(12)), 12)
    assert {reply.index: reply.error for reply in replies if reply.error} == {7: "400: too long"}
    assert all(reply.vector[0] / reply.vector[1] == pytest.approx(reply.index) for reply in replies if not reply.error)


def test_texts_that_are_asked_for_one_by_one_keep_to_what_is_allowed(server):
    async def speak(asked):
        await asyncio.sleep(0.01)
        if len(asked["input"]) > 1:
            return refused(400, "too many")
        return web.json_response({"data": [{"index": 0, "embedding": [1.0]}]})

    served = server(speak)
    replies = in_order(http(served.url, concurrency=2).embed(Request(i, text=str(i)) for i in range(40)), 40)
    assert [list(reply.vector) for reply in replies] == [[1.0]] * 40
    assert served.most <= 2


@pytest.mark.parametrize(("option", "path"), [({}, "/classify"), ({"rewards": "pooling"}, "/pooling")])
def test_rewards_come_from_the_named_endpoint(server, option, path):
    async def speak(asked):
        return web.json_response({"data": [{"index": i, "probs": [float(text)]} for i, text in enumerate(asked["input"])]})

    served = server(speak)
    replies = in_order(http(served.url, **option).reward(Request(i, text=str(-i)) for i in range(3)), 3)
    assert [reply.reward for reply in replies] == [0, -1, -2]
    assert served.paths == [path]


def test_labels_are_weighed_by_the_first_token(server):
    async def speak(asked):
        assert (asked["logprobs"], asked["top_logprobs"], asked["max_tokens"]) == (True, 20, 1)
        tops = [{"token": "A", "logprob": -0.25}, {"token": " B", "logprob": -1.5}]
        told = {"finish_reason": "length", "message": {"content": "A"}, "logprobs": {"content": [{"top_logprobs": tops}]}}
        return web.json_response({"choices": [told], "usage": {"prompt_tokens": 9}})

    [reply] = http(server(speak).url).weigh([Request(5, messages=ONE, labels=("B", "A", "C"))])
    assert reply.weights == pytest.approx((-1.5, -0.25, float("-inf")))
    assert (reply.index, reply.tokens_in) == (5, 9)


def test_whoever_reads_only_the_first_few_can_go_on_with_another_call(server):
    engine = http(server(echo).url)
    for _ in range(3):
        reading = engine.generate(asks(500))
        assert next(reading).text
        reading.close()
    assert len(in_order(engine.generate(asks(50)), 50)) == 50


def test_an_error_of_the_one_who_asks_is_not_swallowed(server):
    def requests():
        yield from asks(3)
        raise KeyError("mine")

    engine = http(server(echo).url)
    with pytest.raises(KeyError, match="mine"):
        list(engine.generate(requests()))
    assert len(list(engine.generate(asks(3)))) == 3


def identity(**options):
    return http("http://h/v1", **options).identity()


def test_its_identity_is_what_decides_the_answers_and_not_where_they_come_from():
    plain = identity()
    assert plain == Http(Spec("http", "m", {"url": "https://elsewhere:8000/v1"})).identity()
    assert plain == identity(key_env="K", concurrency=3, rpm=10, timeout=5, tries=2, patience=1, price={"input": 1})
    others = [{"extra": {"top_k": 5}}, {"omit": ["seed"]}, {"revision": "a"}, {"n": 2}, {"rewards": "pooling"}]
    assert len({plain, *(identity(**other) for other in others)}) == 6
    assert re.fullmatch(r"[0-9a-f]+", plain)

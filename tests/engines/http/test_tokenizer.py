import asyncio

import pytest
from aiohttp import web
from servers_for_tests import HOT, http

from attar.core.errors import EngineError
from attar.engines.base import Request, Spec
from attar.engines.http.failures import FailedTry
from attar.engines.http.server_info import ServerInfo
from attar.engines.http.tokenizer import ServerTokenizer

BOS = 1


class Speller:
    """A server whose tokens are letters, with or without a token to begin with."""

    def __init__(self, dialect="vllm", bos=True, template=None, writes=False):
        self.asked, self.bos, self.writes, self.fails = [], bos, writes, 0
        self.tokens = ServerTokenizer(Spec("http", "m"), lambda: ServerInfo(dialect, ("m",), template=template), self.post, {})

    async def post(self, path, body):
        self.asked.append((path, body))
        if self.fails:
            self.fails -= 1
            raise FailedTry("overload", "busy")
        if path == "/detokenize":
            return {"prompt": "".join(map(chr, body["tokens"]))}
        if "messages" in body:
            text = "".join(turn["content"] for turn in body["messages"]) + "?" * body["add_generation_prompt"]
            return {"tokens": [ord(letter) for letter in text]}
        text, special = body.get("prompt", body.get("content")), body.get("add_special_tokens", body.get("add_special"))
        begins = self.bos and (special or text.startswith("<s>"))
        return {"tokens": [BOS] * begins + [ord(letter) for letter in text.removeprefix("<s>" if self.bos else "")]}

    def raw(self, text):
        return asyncio.run(self.tokens.raw(text))


@pytest.mark.parametrize("dialect", ["vllm", "sglang", "llamacpp"])
@pytest.mark.parametrize("text", ["ab", "<s>ab"])
def test_a_raw_prompt_has_exactly_one_beginning(dialect, text):
    assert Speller(dialect).raw(text) == [BOS, ord("a"), ord("b")]


def test_a_model_that_has_no_token_to_begin_with_gets_none():
    assert Speller(bos=False).raw("ab") == [ord("a"), ord("b")]


@pytest.mark.parametrize("dialect", ["other", "openai", "ollama"])
def test_a_server_that_tells_no_tokens_is_sent_the_text(dialect):
    speller = Speller(dialect)
    assert speller.raw("ab") == "ab"
    assert speller.asked == []


def test_a_text_s_tokens_are_asked_for_once_however_many_want_them():
    speller = Speller()

    async def many():
        return await asyncio.gather(*(speller.tokens.ids("ab") for _ in range(50)))

    assert asyncio.run(many()) == [[ord("a"), ord("b")]] * 50
    assert len(speller.asked) == 1


def test_tokens_that_could_not_be_had_are_asked_for_again():
    speller = Speller()
    speller.fails = 1

    async def twice():
        with pytest.raises(FailedTry):
            await speller.tokens.ids("ab")
        return await speller.tokens.ids("ab")

    assert asyncio.run(twice()) == [ord("a"), ord("b")]


def test_only_stops_of_one_token_go_as_tokens():
    assert asyncio.run(Speller().tokens.single_token_ids(("a", "ab", "<s>"))) == [ord("a"), BOS]


def test_an_answer_of_another_kind_names_the_way_out():
    class Odd(Speller):
        async def post(self, path, body):
            return {"tokens": ["a"]}

    with pytest.raises(EngineError, match="/tokenize does not answer with token ids; name a `tokenizer`"):
        Odd().raw("ab")


def test_a_server_that_tells_no_template_says_what_to_do():
    with pytest.raises(
        EngineError, match="does not report its chat template; name the model's folder or hub id with `tokenizer`"
    ):
        _ = Speller("other").tokens.template


def test_a_template_that_only_the_server_has_is_rendered_there(server):
    async def speak(asked):
        if "tokens" in asked:
            return web.json_response({"prompt": "".join(map(chr, asked["tokens"]))})
        return web.json_response(
            {"tokens": [ord(x) for x in f"{asked['messages'][0]['content']}{asked['add_generation_prompt']}"]}
        )

    async def models(request):
        return web.json_response({"data": [{"id": "m", "owned_by": "sglang"}]})

    template = http(server(speak, models=models).url).template
    assert template.render([{"role": "user", "content": "hi"}]) == "hiFalse"
    assert template.render([{"role": "user", "content": "hi"}], ask=True) == "hiTrue"


def test_raw_text_is_sent_as_tokens_and_its_stops_with_it(server):
    async def speak(asked):
        if "max_tokens" not in asked:
            return web.json_response({"tokens": [BOS] * asked["add_special_tokens"] + [ord(x) for x in asked["prompt"]]})
        return web.json_response({"choices": [{"finish_reason": "stop", "text": "!"}]})

    async def models(request):
        return web.json_response({"data": [{"id": "m", "owned_by": "sglang"}]})

    served = server(speak, models=models)
    sampling = type(HOT)(temperature=1.0, stop=("x", "xy"))
    [reply] = http(served.url).generate([Request(0, text="go", sampling=sampling)])
    sent = served.posted[-1]
    assert (reply.text, sent["prompt"], sent["stop"], sent["stop_token_ids"]) == ("!", [BOS, 103, 111], ["x", "xy"], [120])

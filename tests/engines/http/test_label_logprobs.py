import asyncio
from math import exp, inf, log

import pytest

from attar.chat.templates import Template
from attar.core.errors import EngineError
from attar.engines.base import Request, Spec
from attar.engines.http import label_logprobs
from attar.engines.http.failures import FailedTry
from attar.engines.http.label_logprobs import weigh
from attar.engines.http.server_info import ServerInfo
from attar.engines.http.tokenizer import ServerTokenizer

IDS = {"A": [32], "B": [33], "1": [16], "10": [16, 15], "3": [18], "0": [15], "": [], "<q>": [2], "<q>hi<a>": [2, 7, 3]}
IDS |= {f"\n{part}": [9, *ids] for part, ids in IDS.items()}
TEMPLATE = Template(
    "<q>{{ messages[0].content }}{% if add_generation_prompt %}<a>{% else %}<a>{{ messages[1].content }}<end>{% endif %}"
)
CHANCES = {(): {16: 0.5, 18: 0.25, 99: 0.2}, (16,): {4: 0.125, 15: 0.625}}
START = [1, 2, 7, 3]


class World:
    """A server of one dialect, with chances of its own for each next token; keeps what was asked."""

    def __init__(self, dialect, chat=None, start=START, chances=CHANCES):
        self.asked, self.chat, self.start, self.chances = [], chat or {}, start, chances
        self.tokens = ServerTokenizer(Spec("http", "m"), lambda: ServerInfo(dialect, ("m",), template=TEMPLATE), self.post, {})
        self.dialect = dialect

    async def post(self, path, body):
        if path == "/tokenize":
            text = body.get("prompt", body.get("content"))
            special = body.get("add_special_tokens", body.get("add_special"))
            return {"tokens": [1, *IDS[text]] if special else IDS[text]}
        self.asked.append((path, body))
        if path == "chat/completions":
            tops = [{"token": token, "logprob": log(chance)} for token, chance in self.chat.items()]
            return {"choices": [{"logprobs": {"content": [{"top_logprobs": tops}]}}], "usage": {"prompt_tokens": 5}}
        if path == "/generate":
            named = zip(body["input_ids"], body["token_ids_logprob"], strict=True)
            rows = [[(log(self.after(ids)[token]), token, None) for token in own] for ids, own in named]
            return [{"meta_info": {"output_token_ids_logprobs": [row], "prompt_tokens": 5}} for row in rows]
        together = isinstance(body["prompt"][0], list)
        choices = []
        for place, ids in enumerate(body["prompt"] if together else [body["prompt"]]):
            named = body.get("logprob_token_ids", self.after(ids))
            tops = {f"token_id:{token}": log(chance) for token, chance in self.after(ids).items() if token in named}
            choices.insert(0, {"index": place, "logprobs": {"top_logprobs": [tops]}})  # in whatever order
        return {"choices": choices, "usage": {"prompt_tokens": 5 * len(choices)}}

    def after(self, ids):
        assert ids[: len(self.start)] == self.start
        return self.chances[tuple(ids[len(self.start) :])]

    def prompts(self):
        """What was read, call by call."""
        said = [body.get("prompt", body.get("input_ids")) for _, body in self.asked]
        return [found if isinstance(found[0], list) else [found] for found in said]

    def weigh(self, *labels):
        request = Request(3, messages=({"role": "user", "content": "hi"},), labels=labels)
        return asyncio.run(weigh(request, self.post, self.tokens, self.dialect, 20))


def test_of_a_server_that_tells_text_a_label_is_weighed_by_all_its_spellings():
    reply = World("openai", {"A": 0.3, " A": 0.2, "B": 0.1, "I": 0.009}).weigh("A", "B", "C")
    assert reply.weights == pytest.approx((log(0.5), log(0.1), -inf))
    assert (reply.index, reply.tokens_in, reply.tokens_out) == (3, 5, 1)


def test_vllm_is_asked_for_the_very_tokens():
    world = World("vllm", {"token_id:33": 0.7, "token_id:32": 0.1, "A": 0.1})
    assert world.weigh("A", "B").weights == pytest.approx((log(0.1), log(0.7)))
    [(path, body)] = world.asked
    assert (path, body["logprob_token_ids"], body["return_tokens_as_token_ids"]) == ("chat/completions", [32, 33], True)


@pytest.mark.parametrize(("dialect", "together"), [("vllm", True), ("sglang", True), ("llamacpp", False)])
def test_a_label_of_several_tokens_is_followed_token_by_token_in_one_call_where_that_goes(dialect, together):
    world = World(dialect)
    reply = world.weigh("1", "10", "3")
    assert [exp(weight) for weight in reply.weights] == pytest.approx([0.5 - 0.5 * 0.625, 0.5 * 0.625, 0.25])
    assert world.prompts() == ([[START, [*START, 16]]] if together else [[START], [[*START, 16]]])
    assert (reply.tokens_in, reply.tokens_out) == (10, 2)


def test_of_more_tokens_than_vllm_lets_one_call_name_each_prompt_names_its_own(monkeypatch):
    monkeypatch.setattr(label_logprobs, "_MAX_TOKEN_IDS", 2)
    world = World("vllm")
    assert [exp(weight) for weight in world.weigh("1", "10", "3").weights] == pytest.approx([0.1875, 0.3125, 0.25])
    assert [body["logprob_token_ids"] for _, body in world.asked] == [[16, 18], [15]]


def first(rows):
    return rows[:1]


def bare(rows):
    return [{"index": row.get("index")} for row in rows]


def doubled(rows):
    return [{**row, "index": 1} for row in rows]


def astray(rows):
    return [{**row, "index": [row["index"]]} for row in rows]


WRONG = [("sglang", first, "wrong count"), ("sglang", bare, "malformed reply"), ("sglang", str, "malformed reply")]
WRONG += [("vllm", lost, "wrong count") for lost in (first, doubled, astray, str)] + [("vllm", bare, "malformed reply")]


@pytest.mark.parametrize(("dialect", "lost", "kind"), WRONG)
def test_an_answer_that_lacks_one_of_its_prompts_is_a_mishap_and_no_weight(dialect, lost, kind):
    world = World(dialect)

    async def post(path, body):
        told = await World.post(world, path, body)
        if path == "/generate":
            return lost(told)
        return {**told, "choices": lost(told["choices"])} if path == "completions" else told

    request = Request(3, messages=({"role": "user", "content": "hi"},), labels=("1", "10", "3"))
    with pytest.raises(FailedTry) as mishap:
        asyncio.run(weigh(request, post, world.tokens, dialect, 20))
    assert (mishap.value.kind, mishap.value.retry) == (kind, True)


def test_a_label_that_begins_another_is_refused_where_single_tokens_are_told():
    with pytest.raises(EngineError, match="label '1' begins another label"):
        World("other", {"1": 0.5}).weigh("1", "10")


def test_a_label_that_is_cut_by_the_model_s_tokens_is_refused():
    with pytest.raises(EngineError, match="label 'excellent' is several tokens of this model"):
        World("other", {"ex": 0.5, "B": 0.2}).weigh("excellent", "B")
    assert World("other", {"ex": 0.009, "B": 0.2}).weigh("excellent", "B").weights == pytest.approx((-inf, log(0.2)))


RAW = {"a: ": [5, 6, 7], "a: 1": [5, 6, 7, 16], "a: 10": [5, 6, 7, 16, 15], "a: 3": [5, 6, 8]}


@pytest.mark.parametrize("dialect", ["vllm", "sglang", "llamacpp"])
def test_behind_raw_text_a_label_has_the_tokens_that_it_has_there_and_takes_what_it_joins(dialect, monkeypatch):
    for text, ids in RAW.items():
        monkeypatch.setitem(IDS, text, ids)
    chances = {(): {7: 0.5, 8: 0.25}, (7,): {16: 0.5, 18: 0.125}, (7, 16): {15: 0.75}}
    world = World(dialect, start=[1, 5, 6], chances=chances)
    request = Request(3, text="a: ", labels=("1", "10", "3"))
    reply = asyncio.run(weigh(request, world.post, world.tokens, dialect, 20))
    assert [exp(weight) for weight in reply.weights] == pytest.approx([0.5 * 0.5 * 0.25, 0.5 * 0.5 * 0.75, 0.25 + 0.5 * 0.125])
    assert [ids for call in world.prompts() for ids in call] == [[1, 5, 6], [1, 5, 6, 7], [1, 5, 6, 7, 16]]


def test_a_server_that_takes_text_only_goes_on_from_raw_text():
    asked = []

    async def post(path, body):
        asked.append((path, body["prompt"], body["logprobs"]))
        return {"choices": [{"logprobs": {"top_logprobs": [{"1": log(0.3), " 1": log(0.2), "2": log(0.1)}]}}]}

    request = Request(0, text="Score: ", labels=("1", "2", "3"))
    reply = asyncio.run(
        weigh(request, post, ServerTokenizer(Spec("http", "m"), lambda: ServerInfo("other", ("m",)), post, {}), "other", 5)
    )
    assert asked == [("completions", "Score: ", 5)]
    assert reply.weights == pytest.approx((log(0.5), log(0.1), -inf))

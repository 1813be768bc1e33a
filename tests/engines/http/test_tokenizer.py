import asyncio

import polars as pl
import pytest
from aiohttp import web
from servers.threaded import serving
from servers_for_tests import HOT, asks, http, refused, told

from attar.chat.templates import Template
from attar.core.errors import EngineError
from attar.engines.base import Request, Spec
from attar.engines.http.failures import FailedTry
from attar.engines.http.server_info import ServerInfo
from attar.engines.http.tokenizer import ServerTokenizer
from attar.engines.thinking import separate
from attar.stages.synth import magpie, turns

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


def untold_vllm(server, end, heeds=True, refuses=0):
    """A vLLM that keeps its template to itself; its prompts end with `end`, unless thinking is off and it heeds that."""

    async def speak(asked):
        if "tokens" in asked:
            return web.json_response({"prompt": "".join(map(chr, asked["tokens"]))})
        if "add_special_tokens" in asked and "messages" in asked:
            if refuses:
                return refused(refuses)
            off = heeds and asked.get("chat_template_kwargs", {}).get("enable_thinking") is False
            return web.json_response({"tokens": [ord(letter) for letter in "hi:" + ("" if off else end)]})
        if "add_special_tokens" in asked:
            return web.json_response({"tokens": [ord(letter) for letter in asked["prompt"]]})
        text = "Let me see." if "messages" in asked else "Yes."
        said = {"message": {"content": text}} if "messages" in asked else {"text": text}
        return web.json_response({"choices": [{"finish_reason": "stop", **said}]})

    async def models(request):
        return web.json_response({"data": [{"id": "m", "owned_by": "vllm"}]})

    return server(speak, models=models)


def test_a_thought_that_a_template_on_the_server_alone_opens_has_its_room_and_its_end(server):
    served = untold_vllm(server, "<think>\n")
    replies = [separate(reply) for reply in http(served.url, thinking_tokens=50).generate(asks(3))]
    assert [(reply.error, reply.reasoning) for reply in replies] == [("thought not closed", "Let me see.")] * 3
    assert served.posted[-1]["max_tokens"] == 16 + 50
    assert sorted(served.paths).count("/tokenize") == 1  # whoever asks, the template is tried once


@pytest.mark.parametrize(("end", "refuses"), [("", 0), ("<think>\n", 404), ("<think>\n", 400)])
def test_where_the_server_opens_no_thought_or_does_not_render_an_answer_is_an_answer(server, end, refuses):
    served = untold_vllm(server, end, refuses=refuses)
    [reply] = map(separate, http(served.url).generate(asks(1)))
    assert (reply.text, reply.reasoning, served.posted[-1]["max_tokens"]) == ("Let me see.", None, 16)


def test_a_thought_that_only_the_server_opens_and_cannot_leave_out_is_put_into_a_raw_prompt_empty(server):
    deaf, heeding = untold_vllm(server, "<think>\n", heeds=False), untold_vllm(server, "<think>\n")
    [reply] = map(separate, http(deaf.url, thinking=False).generate(asks(1)))
    assert (reply.text, "".join(map(chr, deaf.posted[-1]["prompt"]))) == ("Yes.", "hi:<think>\n\n</think>\n\n")
    list(http(heeding.url, thinking=False).generate(asks(1)))
    assert told(heeding.posted[-1]) == "say 0"


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


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class ChatmlSpeller(Speller):
    """One that reports ChatML, and knows some marks as tokens of their own."""

    def __init__(self, dialect="llamacpp", marks=()):
        super().__init__(dialect, template=Template(CHATML))
        self.marks = marks

    async def post(self, path, body):
        if body.get("content", body.get("prompt")) in self.marks:
            self.asked.append((path, body))
            return {"tokens": [9]}
        return await super().post(path, body)


def test_a_template_that_llama_cpp_makes_up_for_a_base_model_is_refused():
    speller = ChatmlSpeller()
    with pytest.raises(
        EngineError, match=r"marks turns with '<\|im_end\|>', which is no token of the model \(it is 10 tokens\)"
    ):
        _ = speller.tokens.template
    assert speller.tokens.known_template is not None  # chats go on: the server renders them


def test_marks_that_are_tokens_are_asked_for_once():
    speller = ChatmlSpeller(marks=("<|im_end|>",))
    assert [speller.tokens.template.source for _ in range(3)] == [CHATML] * 3
    assert [body["content"] for _, body in speller.asked] == ["<|im_end|>"]


@pytest.mark.parametrize("dialect", ["vllm", "other"])
def test_only_llama_cpp_makes_templates_up(dialect):
    speller = ChatmlSpeller(dialect)
    assert speller.tokens.template.source == CHATML
    assert speller.asked == []


def test_a_busy_server_is_asked_for_its_marks_again_the_next_time():
    speller = ChatmlSpeller()
    speller.fails = 1
    assert speller.tokens.template.source == CHATML
    with pytest.raises(EngineError, match="no token of the model"):
        _ = speller.tokens.template


@pytest.mark.parametrize("own", [False, True])
def test_magpie_is_refused_before_anything_is_generated_with_a_template_that_is_not_the_models(own):
    """A stub of llama.cpp: a base model of letters, or a chat model with a token for each mark."""
    posted = []

    async def models(_):
        return web.json_response({"data": [{"id": "base", "owned_by": "llamacpp"}]})

    async def props(_):
        return web.json_response({"chat_template": CHATML, "eos_token": "<eos>"})

    async def tokenize(request):
        text = (await request.json())["content"]
        return web.json_response({"tokens": [1] if own and text == "<|im_end|>" else [ord(letter) for letter in text]})

    async def complete(request):
        posted.append(await request.json())
        return web.json_response({"choices": [{"finish_reason": "stop", "text": "What is a tree?"}], "usage": {}})

    app = web.Application()
    app.add_routes([web.get("/v1/models", models), web.get("/props", props), web.post("/tokenize", tokenize)])
    app.add_routes([web.post("/v1/completions", complete)])
    talk = pl.DataFrame({"id": ["a"], "messages": [[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]]})
    with serving(app) as url:
        for ask in (
            lambda: magpie.ask(magpie.draws(count=2), engine=http(url, model="base")),
            lambda: turns.extend(talk, engine=http(url, model="base")),
        ):
            if own:
                assert set(ask()["prompt"]) == {"What is a tree?"}
                continue
            with pytest.raises(EngineError, match=r"llama.cpp shows this template for a base model that has none") as caught:
                ask()
            assert "\n" not in str(caught.value)
    assert len(posted) == (3 if own else 0)

import asyncio

import pytest
from chat_families import FAMILIES
from chat_older_families import OLDER
from servers_for_tests import HOT, good, http, refused

from attar.chat.templates import Template
from attar.engines.base import Request, Spec
from attar.engines.http.failures import FailedTry
from attar.engines.http.server_info import ServerInfo
from attar.engines.http.system_turns import fold_refused
from attar.engines.http.tokenizer import ServerTokenizer

SYSTEM, USER = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Q"}
FOLDED = {"role": "user", "content": "Be brief.\n\nQ"}
STEERED = [Request(i, messages=(SYSTEM, USER), sampling=HOT, seed=i) for i in range(3)]


def speaker(said, status=400):
    """A server that refuses system turns, in these words."""

    async def speak(asked):
        return refused(status, said) if asked["messages"][0]["role"] == "system" else good(asked)

    return speak


def talks(served):
    return [asked["messages"] for asked in served.posted]


def test_a_server_that_refuses_a_system_turn_is_asked_again_with_the_turn_folded(server):
    served = server(speaker("System role not supported"))
    engine = http(served.url, concurrency=1)
    replies = sorted(engine.generate(STEERED), key=lambda reply: reply.index)
    engine.close()
    assert [(reply.text, reply.error) for reply in replies] == [(FOLDED["content"], None)] * 3
    assert talks(served) == [[SYSTEM, USER], [FOLDED], [FOLDED], [FOLDED]]  # refused once, known from then on
    assert engine.errors.total() == 0


def test_another_refusal_fails_the_row_at_once_and_folds_nothing(server):
    served = server(speaker("maximum context length is 8 tokens"))
    engine = http(served.url)
    (reply,) = engine.generate(STEERED[:1])
    engine.close()
    assert reply.error == "400: maximum context length is 8 tokens"
    assert talks(served) == [[SYSTEM, USER]]


def test_a_server_that_refuses_the_folded_conversation_too_says_why(server):
    async def speak(asked):
        return refused(400, f"bad {asked['messages'][0]['role']} role: system prompts are off")

    served = server(speak)
    engine = http(served.url, concurrency=1)
    replies = list(engine.generate(STEERED[:2]))
    engine.close()
    assert {reply.error for reply in replies} == {"400: bad user role: system prompts are off"}
    assert talks(served) == [[SYSTEM, USER], [FOLDED]] * 2  # nothing was learnt from it


def tokens_of(family):
    """The tokenizer of a server that reports a family's template and is sent nothing."""

    async def post(path, body):
        raise AssertionError(f"{path} was called")

    template = Template(family.source, family.tokens)
    return ServerTokenizer(Spec("http", "m"), lambda: ServerInfo("vllm", ("m",), template=template), post, {})


@pytest.mark.parametrize("name", ["Gemma 2", "Mistral v0.1", "Mistral v0.3"])
def test_where_the_template_is_known_the_turn_is_folded_before_it_is_sent(name):
    tokens = tokens_of({**FAMILIES, **OLDER}[name])
    assert tokens.fit([SYSTEM, USER]) == [FOLDED]
    assert tokens.fit([USER]) == [USER]


def test_where_the_template_has_a_place_for_the_turn_it_is_sent_as_it_is():
    assert tokens_of(FAMILIES["Qwen 2.5"]).fit([SYSTEM, USER]) == [SYSTEM, USER]


def test_a_failure_that_is_no_refusal_is_not_asked_again():
    calls = []

    async def post(path, body):
        calls.append(body)
        raise FailedTry("overload", "503: the system message queue is full", overloaded=True)

    async def call():
        await fold_refused(post)("chat/completions", {"messages": [SYSTEM, USER]})

    with pytest.raises(FailedTry, match="queue is full"):
        asyncio.run(call())
    assert len(calls) == 1

"""A reply's thought is kept apart from its answer, for every kind of engine; what changes a reply changes its key."""

import json
import sqlite3
from dataclasses import replace

import pytest
from chat_families import FAMILIES
from servers_for_tests import Served, good, told

from attar.chat.templates import Template
from attar.core.errors import EngineError
from attar.engines import thinking
from attar.engines.base import Reply, Request, Sampling, Spec, in_order
from attar.engines.journal import Journal, load_reply
from attar.engines.journaling import Journaled
from attar.engines.registry import identity_of, open_engine

THINK = ("<think>", "</think>")
STYLES = {  # how a server sends the thought "Hm." and the answer "Yes."
    "in the text": {"content": "<think>\nHm.\n</think>\n\nYes."},
    "opened by the prompt": {"content": "Hm.\n</think>\n\nYes."},
    "in a field": {"content": "Yes.", "reasoning_content": "Hm."},
    "in another field": {"content": "Yes.", "reasoning": "Hm."},
    "in brackets": {"content": "[THINK]Hm.[/THINK]Yes."},
    "of seed": {"content": "<seed:think>Hm.</seed:think>Yes."},
    "in channels": {
        "content": "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>"
    },
    "in channels without marks": {"content": "analysisHm.assistantfinalYes."},
    "of gemma": {"content": "<|channel>thought\nHm.<channel|>Yes."},
    "in field and text": {"content": "<think>Hm.</think>Yes.", "reasoning_content": ""},
}
UNCLOSED = {
    "in the text": {"content": "<think>\nHm, and so on"},
    "in brackets": {"content": "[THINK]Hm, and so on"},
    "of seed": {"content": "<seed:think>Hm, and so on"},
    "in channels": {"content": "<|channel|>analysis<|message|>Hm, and so on"},
    "of gemma": {"content": "<|channel>thought\nHm, and so on"},
}
QUESTION = (Request(0, messages=({"role": "user", "content": "Is it so?"},), sampling=Sampling(max_tokens=16)),)


@pytest.fixture
def serve():
    servers = []

    def start(message, finish="stop"):
        async def speak(asked):
            from aiohttp import web

            choice = {"index": 0, "finish_reason": finish, "message": message}
            return web.json_response({"choices": [choice], "usage": {"completion_tokens": 7}})

        servers.append(Served(speak))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def ask(url, home, **options):
    journal = Journal(home / "journal.sqlite")
    try:
        return next(iter(Journaled(open_engine(Spec("http", "m", {"url": url, **options})), journal).generate(QUESTION)))
    finally:
        journal.close()


@pytest.mark.parametrize("style", STYLES)
def test_no_thought_is_in_an_answer_however_the_server_sends_it_and_none_when_it_is_read_again(serve, tmp_path, style):
    server = serve(STYLES[style])
    replies = [ask(server.url, tmp_path) for _ in range(2)]
    assert [(reply.text, reply.reasoning, reply.error) for reply in replies] == [("Yes.", "Hm.", None)] * 2
    assert len(server.posted) == 1


@pytest.mark.parametrize(("finish", "error"), [("stop", "thought not closed"), ("length", "thought cut off")])
@pytest.mark.parametrize("style", UNCLOSED)
def test_a_thought_that_is_never_closed_is_a_failure_of_its_own(serve, tmp_path, style, finish, error):
    reply = ask(serve(UNCLOSED[style], finish).url, tmp_path)
    assert (reply.text, reply.reasoning, reply.error) == (None, "Hm, and so on", error)


def test_the_journal_keeps_the_text_as_it_came_so_a_better_separation_costs_no_request(serve, tmp_path, monkeypatch):
    server = serve({"content": "(hm) Hm. (so) Yes."})
    assert ask(server.url, tmp_path).text == "(hm) Hm. (so) Yes."
    base = sqlite3.connect(tmp_path / "journal.sqlite")
    [stored] = [json.loads(row[0]) for row in base.execute("SELECT reply FROM replies")]
    assert stored["text"] == "(hm) Hm. (so) Yes."
    monkeypatch.setattr(thinking, "KNOWN", (("(hm)", "(so)"),))
    assert (ask(server.url, tmp_path).text, len(server.posted)) == ("Yes.", 1)


def test_a_reply_of_a_model_with_known_marks_needs_no_note_of_them():
    reply = Reply(0, "<think>Hm.</think>Yes.", "stop")
    assert thinking.with_marks(reply, (THINK,)) is reply  # the journal's row stays as small as it was


def test_marks_of_one_template_alone_are_used_too_when_the_reply_is_read_again(tmp_path):
    reply = thinking.with_marks(Reply(0, "Hm.</my:thought>Yes.", "stop"), (("<my:thought>", "</my:thought>"),), "<my:thought>")
    journal = Journal(tmp_path / "journal.sqlite")
    journal.keep(b"k" * 16, reply)
    journal.close()
    key = b"k" * 16
    again = load_reply(Journal(tmp_path / "journal.sqlite").find([key])[key], 0)
    assert again == reply
    assert (thinking.separate(again).text, thinking.separate(again).reasoning) == ("Yes.", "Hm.")


def test_where_the_server_separated_the_thought_that_the_prompt_opened_the_text_is_the_answer():
    reply = Reply(0, "Yes.", "stop", reasoning="Hm.", opened="<think>")
    assert thinking.separate(reply) == reply
    assert thinking.separate(replace(reply, reasoning=None)).error == "thought not closed"


@pytest.mark.parametrize("kind", ["local", "http", "vllm"])
def test_each_option_of_thinking_changes_the_key_and_the_default_does_not(kind):
    model = ("m", {"url": "http://localhost:1/v1"}) if kind == "http" else ("pocket:teacher", {})

    def key(**options):
        return identity_of(open_engine(Spec(kind, model[0], {**model[1], **options})))

    assert key() == key(thinking="auto")
    assert key(thinking=False) == key(thinking="off") != key()
    assert key(thinking=True) == key(thinking="on")
    own = [key(), key(thinking="off"), key(thinking="on"), key(thinking_tokens=512), key(template_args={"effort": "low"})]
    assert len({*own, key(template_args={"effort": "high"}), key(thinking_tokens=513)}) == 7


OFF = {"enable_thinking": False, "thinking": False, "thinking_budget": 0}


@pytest.mark.parametrize("name", [name for name in FAMILIES if FAMILIES[name].thoughts])
def test_a_template_that_turns_thoughts_off_does_so_with_what_a_server_is_sent(name):
    family = FAMILIES[name]
    template = Template(family.source, family.tokens, name, family.special)
    question = [{"role": "user", "content": "Is it so?"}]
    sent = replace(template, arguments=thinking.request_fields("vllm", {"thinking": "off"})["chat_template_kwargs"])
    if thinking.is_closed_by_template(template, {}):
        assert sent.render(question, ask=True) == thinking.render_closed(template, question, {})


@pytest.mark.parametrize("name", [name for name in FAMILIES if FAMILIES[name].thoughts])
def test_with_thinking_off_the_prompt_of_every_family_ends_where_the_answer_starts(name):
    family = FAMILIES[name]
    template = Template(family.source, family.tokens, name, family.special)
    off, on = ({"thinking": how} for how in ("off", "on"))
    question = [{"role": "user", "content": "Is it so?"}]
    prompt = thinking.render_question(template, question, off)
    assert not thinking.opened_by(template, off)
    assert prompt.rstrip().endswith((*(closing for _, closing in thinking.marks_of(template)), "final<|message|>"))
    assert prompt == thinking.render_closed(template, question, {})
    assert not thinking.render_question(template, question, on).rstrip().endswith("</think>")


def test_a_model_that_does_not_think_is_not_told_to():
    template = Template(FAMILIES["Qwen 2.5"].source, FAMILIES["Qwen 2.5"].tokens, "its template")
    question = [{"role": "user", "content": "Is it so?"}]
    assert thinking.render_question(template, question, {"thinking": False}) == template.render(question, ask=True)
    with pytest.raises(EngineError, match=r"its template has no marks of thoughts.*leave `thinking` out"):
        thinking.render_question(template, question, {"thinking": True})


@pytest.mark.parametrize(
    ("dialect", "options", "fields"),
    [
        ("vllm", {}, {}),
        ("vllm", {"thinking": False}, {"chat_template_kwargs": OFF}),
        ("llamacpp", {"thinking": "on"}, {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}}),
        ("sglang", {"template_args": {"effort": "low"}}, {"chat_template_kwargs": {"effort": "low"}}),
        ("openai", {"thinking": "off"}, {"reasoning_effort": "none"}),
        ("ollama", {"thinking": "off"}, {"reasoning_effort": "none"}),
        ("openai", {"thinking": "on"}, {}),
    ],
)
def test_each_kind_of_server_is_told_in_its_own_words(dialect, options, fields):
    assert thinking.request_fields(dialect, options) == fields


def test_with_thinking_on_the_answers_limit_leaves_room_for_the_thought(tmp_path):
    async def speak(asked):
        return good(asked)

    server = Served(speak)
    ask(server.url, tmp_path, thinking=True, thinking_tokens=100)
    ask(server.url, tmp_path)
    assert [asked["max_tokens"] for asked in server.posted] == [116, 16]
    assert told(server.posted[0]) == "Is it so?"
    server.stop()


def test_replies_are_separated_for_every_kind_also_one_of_your_own(tmp_path):
    class Own:
        spec = Spec("fake", "own")

        def identity(self):
            return "own"

        def generate(self, requests):
            yield from (Reply(request.index, "<think>Hm.</think>Yes.", "stop") for request in requests)

    journal = Journal(tmp_path / "journal.sqlite")
    engine = Journaled(Own(), journal)
    assert [reply.text for reply in in_order(engine.generate(QUESTION), 1)] == ["Yes."]
    journal.close()

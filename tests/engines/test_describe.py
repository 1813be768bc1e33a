"""A chat template's facts; `attar prefix` and the doctor, in this process and of a server, say them in the same words."""

import json
import re
import shutil
import sys

import pytest
from aiohttp import web
from chat_families import FAMILIES
from servers.threaded import serving

from attar.chat.templates import Template
from attar.engines.base import Spec
from attar.engines.describe import LABELS, Facts, Thoughts, TokenIds, describe, to_json, to_lines
from attar.engines.doctor import local, server
from attar.engines.http.engine import Http
from attar.engines.local.engine import Local
from attar.engines.local.spec import POCKET

THINK = (("<think>", "</think>"),)
EMPTY = "an empty thought in the prompt"
OFF = {  # who opens a thought, and what turns it off, by hand from docs/prefixes.md
    "Qwen 3": ("model", "`enable_thinking: false`"),
    "Qwen 3 Thinking 2507": ("prompt", EMPTY),
    "Qwen 3.5": ("prompt", "`enable_thinking: false`"),
    "DeepSeek R1": ("prompt", EMPTY),
    "GLM 4.6": ("model", "`enable_thinking: false`"),
    "Kimi K2 Thinking": ("model", EMPTY),
    "MiniMax M2": ("prompt", EMPTY),
    "gpt-oss": ("model", "the answer's channel opened in the prompt and `reasoning_effort: low`"),
    "Ministral 3 Reasoning": ("model", EMPTY),
    "SmolLM 3": ("model", "`enable_thinking: false`"),
    "Seed-OSS": ("model", "`thinking_budget: 0`"),
}
FOUR = {  # BOS, thoughts, system turn
    "Qwen 3": ("none", "'<think>' to '</think>', opened by the model; turned off by `enable_thinking: false`", "own"),
    "gpt-oss": (
        "none",
        "'<|channel|>analysis<|message|>' to '<|end|>', opened by the model; "
        "turned off by the answer's channel opened in the prompt and `reasoning_effort: low`",
        "own",
    ),
    "Gemma 2": ("'<bos>', written by the template", "none", "folded into the first user turn"),
    "SmolLM 3": ("none", "'<think>' to '</think>', opened by the model; turned off by `enable_thinking: false`", "own"),
}
IDS = re.compile(r" \(\d+( tokens[^)]*)?\)| = \[.*\]")


def template_of(name):
    family = FAMILIES[name]
    return Template(family.source, family.tokens, name, family.special, family.bos == "tokenizer")


def expected_lines(name):
    family, (bos, thoughts, system_turn) = FAMILIES[name], FOUR[name]
    values = (bos, repr(family.plain), repr(family.between), ", ".join(map(repr, family.stops)), thoughts, system_turn)
    return dict(zip(("BOS", "prefix", "next turn", "stops", "thoughts", "system turn"), values, strict=True))


@pytest.fixture
def folder(tmp_path):
    """Makes the pocket teacher's folder one with a family's template and special tokens."""

    def make(name):
        family, place = FAMILIES[name], shutil.copytree(POCKET / "teacher", tmp_path / "model")
        (place / "chat_template.jinja").write_text(family.source, encoding="utf-8")
        config = json.loads((place / "tokenizer_config.json").read_text())
        config = {key: value for key, value in config.items() if key not in ("bos_token", "eos_token", "chat_template")}
        (place / "tokenizer_config.json").write_text(json.dumps({**config, **family.tokens}))
        return place

    return make


@pytest.fixture
def llama():
    """Serves a template as llama.cpp does; the model's tokens are the given marks, and letters."""
    with_name = []

    def start(source, tokens, marks):
        pattern = re.compile("|".join([*map(re.escape, sorted(marks, key=len, reverse=True)), "."]), re.DOTALL)

        async def models(_):
            return web.json_response({"data": [{"id": "m", "owned_by": "llamacpp"}]})

        async def props(_):
            return web.json_response({"chat_template": source, **tokens})

        async def tokenize(request):
            pieces = pattern.findall((await request.json())["content"])
            return web.json_response({"tokens": [1000 + marks.index(p) if p in marks else ord(p) for p in pieces]})

        app = web.Application()
        app.add_routes([web.get("/v1/models", models), web.get("/props", props), web.post("/tokenize", tokenize)])
        with_name.append(serving(app))
        return with_name[-1].__enter__()

    yield start
    for served in with_name:
        served.__exit__(None, None, None)


def shown_by_prefix(capsys, monkeypatch, *words):
    import attar.cli.prefix  # noqa: F401 (adds the command)
    from attar.cli.app import app

    monkeypatch.setattr(sys, "argv", ["attar"])
    app(["prefix", *map(str, words)], standalone_mode=False)
    return {line[:12].rstrip(): line[13:] for line in capsys.readouterr().out.splitlines()}


def shown_by_doctor(checks):
    shown = {}
    for what, check in checks:
        if what in LABELS:
            shown[what] = check()
        if what == LABELS[-1]:
            return shown
    raise AssertionError("the facts are missing")


@pytest.mark.parametrize("name", FOUR)
def test_prefix_and_the_doctor_in_this_process_and_of_a_server_say_it_in_the_same_words(
    name, folder, llama, capsys, monkeypatch
):
    family, place = FAMILIES[name], folder(name)
    url = llama(family.source, dict(family.tokens), list(family.stops))
    shown = {
        "files": shown_by_prefix(capsys, monkeypatch, place),
        "url": shown_by_prefix(capsys, monkeypatch, "m", "--url", url),
        "local": shown_by_doctor(local.checks(Local(Spec("local", str(place))), 1)),
        "server": shown_by_doctor(server.checks(Http(Spec("http", "m", {"url": url})), 1)),
    }
    for where, lines in shown.items():
        assert {label: IDS.sub("", words) for label, words in lines.items()} == expected_lines(name), where
        assert list(lines) == list(LABELS), where
    assert shown["server"]["stops"].startswith(f"{family.stops[0]!r} (1000), ")
    assert shown["server"] == shown["url"]
    assert " = [" in shown["server"]["prefix"]
    assert " = [" in shown["local"]["prefix"]


@pytest.mark.parametrize("name", FAMILIES)
def test_thoughts_are_described_as_the_family_has_them(name):
    facts = describe(template_of(name))
    thoughts = FAMILIES[name].thoughts
    assert (facts.thoughts is None) == (thoughts is None)
    assert facts.system_turn == ("own" if FAMILIES[name].system == "own" else "folded")
    assert facts.next_turn_prefix == FAMILIES[name].between
    if thoughts and name in OFF:
        opener, off = OFF[name]
        opening, closing = thoughts.marks
        assert to_lines(facts)["thoughts"] == f"{opening!r} to {closing!r}, opened by the {opener}; turned off by {off}"


def test_thoughts_that_are_off_by_default_say_what_turns_them_on():
    facts = describe(template_of("DeepSeek V3.1"))
    assert facts.thoughts == Thoughts(THINK, "prompt", "default", {"thinking": True})
    assert to_lines(facts)["thoughts"].endswith("; off by default, turned on by `thinking: true`")


@pytest.mark.parametrize("how", ["off", "on"])
def test_an_engines_own_setting_changes_none_of_the_facts(how):
    from attar.engines.thinking import with_arguments

    options = {"thinking": how}
    template = template_of("Qwen 3")
    assert describe(with_arguments(template, options), options).thoughts == describe(template).thoughts


@pytest.mark.parametrize(
    ("in_files", "asked", "expected"),
    [
        (None, None, "unknown: no file says whether the tokenizer writes one"),
        (True, None, "'<s>', written by the tokenizer"),
        (None, True, "'<s>', written by the tokenizer"),
        (True, False, "none"),
    ],
)
def test_what_the_tokenizer_itself_does_counts_more_than_what_its_files_say(in_files, asked, expected):
    source = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<e>{% endfor %}<assistant>"
    template = Template(source, {"bos_token": "<s>"}, adds_bos=in_files)
    assert to_lines(describe(template, adds_bos=asked))["BOS"] == expected


def test_a_stop_of_several_tokens_is_doubted_only_if_it_looks_like_one_token():
    facts = Facts("none", None, "a", "b", ("<|end|>", "### Answer:", "<|x|>"), None, "own")
    ids = TokenIds(lambda text: [7], lambda text: [3] if text == "<|x|>" else [1, 2])
    lines = to_lines(facts, ids)
    assert lines["prefix"] == "'a' = [7]"
    assert lines["stops"] == (
        "'<|end|>' (2 tokens: no token of this model, so is the template its own?), '### Answer:' (2 tokens), '<|x|>' (3)"
    )


def test_the_facts_for_programs_are_plain_values_in_the_order_of_the_lines():
    facts = to_json(describe(template_of("Qwen 3")))
    assert json.loads(json.dumps(facts)) == {
        "bos": "none",
        "bos_token": None,
        "prefix": "<|im_start|>user\n",
        "next_turn_prefix": "<|im_end|>\n<|im_start|>user\n",
        "stops": ["<|im_end|>", "<|im_start|>"],
        "thoughts": {
            "marks": [["<think>", "</think>"]],
            "opened_by": "model",
            "off_by": "argument",
            "arguments": {"enable_thinking": False},
        },
        "system_turn": "own",
    }
    assert to_json(Facts("none", None, "a", "b", (), None, "own", hidden=True))["thoughts"] == "unknown"
    assert list(facts) == ["bos", "bos_token", "prefix", "next_turn_prefix", "stops", "thoughts", "system_turn"]

"""API keys are in no file, log or error; replies are kept as they came."""

import json
import logging

import pytest
from servers_for_tests import asks, good, http, refused

from attar.core.errors import EngineError, RecipeError
from attar.engines.keys import is_secret, looks_like_key, mask, refuse_keys
from attar.runtime.run_file import check_run_file

SECRET = "sk-Zq81nV0xLpTr52mKd9"


@pytest.mark.parametrize("key", [SECRET, "hf_aBcDeFgHiJkLmNoP", "AIzaSyD-9tSrke72PouQMnMX", "0f3a9c5e7b1d2f4a6c8e0b1d3f5a7c9e"])
def test_a_key_is_known_by_its_looks(key):
    assert looks_like_key(key)
    assert is_secret(key)


@pytest.mark.parametrize("text", ["EMPTY", "none", "Qwen/Qwen3-8B", "/data/models/llama-3-8b", "token", "http://localhost:8000/v1",
                                  "meta-llama/Llama-3.1-8B-Instruct", "MY_API_KEY", "a sentence with 2025 in it"])  # fmt: skip
def test_names_paths_and_words_are_no_keys(text):
    assert not looks_like_key(text)


@pytest.mark.parametrize("key", ["EMPTY", "none", "token", "dummy-key", "sk-none", "localhost"])
def test_a_placeholder_is_no_secret(key):
    assert not is_secret(key)


@pytest.mark.parametrize("written", [
    SECRET,
    json.dumps(SECRET),
    "".join(f"\\u{ord(letter):04x}" for letter in SECRET),
    "".join(f"\\u{ord(letter):04X}" for letter in SECRET),
    SECRET.replace("-", "%2D"),
    SECRET.replace("-", "\\u002d"),
    json.dumps(json.dumps("".join(f"\\u{ord(letter):04x}" for letter in SECRET))),
])  # fmt: skip
def test_a_key_is_masked_however_it_is_escaped(written):
    masked = mask(f"bad key {written}!", SECRET)
    assert "***" in masked
    assert len(masked) < 24


def test_a_key_that_is_cut_short_is_masked():
    assert mask(f"bad key {SECRET[:12]}", SECRET) == "bad key ***"


async def says_empty(asked):
    return good(asked, "An EMPTY list, and EMPTY again.")


def test_a_reply_that_holds_a_placeholder_key_is_kept_as_it_came(server, monkeypatch):
    monkeypatch.setenv("MY_KEY", "EMPTY")
    engine = http(server(says_empty).url, key_env="MY_KEY")
    assert [reply.text for reply in engine.generate(asks(1))] == ["An EMPTY list, and EMPTY again."]
    assert not engine.errors


@pytest.mark.parametrize("repeated", [SECRET, json.dumps(SECRET)[1:-1], "".join(f"\\u{ord(letter):04x}" for letter in SECRET)])
def test_a_real_secret_in_a_reply_is_masked_counted_and_logged(repeated, server, monkeypatch, caplog):
    """Escaped too: a model that answers in JSON may repeat the key as JSON writes it."""

    async def speak(asked):
        return good(asked, f"the key is {repeated}.")

    monkeypatch.setenv("MY_KEY", SECRET)
    engine = http(server(speak).url, key_env="MY_KEY")
    with caplog.at_level(logging.WARNING, "attar"):
        assert [reply.text for reply in engine.generate(asks(1))] == ["the key is ***."]
    assert engine.errors == {"key in a reply": 1}
    assert "a reply repeats the API key" in caplog.text
    assert SECRET not in caplog.text


def test_an_error_s_escaped_key_is_masked(server, monkeypatch):
    async def speak(asked):
        return refused(400, "x" * 290 + SECRET)

    monkeypatch.setenv("MY_KEY", SECRET)
    [reply] = http(server(speak).url, key_env="MY_KEY").generate(asks(1))
    assert SECRET[:8] not in reply.error
    assert reply.error.endswith("xx***")


HELD = [
    {"key_env": SECRET},
    {"key_env": "hf_aBcDeFgHiJkLmNoP1234"},
    {"url": f"http://h/v1?key={SECRET}"},
    {"url": f"http://me:{SECRET}@h/v1"},
    {"extra": {"api_key": "hunter2hunter2"}},
    {"extra": {"nested": [{"x": SECRET}]}},
    {"server": {"api-key": "hunter2"}},
    {"server": {"hf-token": [SECRET]}},
    {"command": ["run", f"--api-key={SECRET}"]},
]


@pytest.mark.parametrize("options", HELD)
def test_a_key_in_an_option_is_refused_and_not_repeated(options):
    with pytest.raises(EngineError) as caught:
        refuse_keys(options, "http engine m")
    for secret in (SECRET, "hunter2", "hf_aBcDeFgHiJkLmNoP1234"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("options", HELD)
def test_a_run_file_that_holds_a_key_is_refused_before_anything_is_written(options, tmp_path):
    kind = "vllm" if "server" in options or "command" in options else "http"
    engine = {"kind": kind, "model": "m", **({"url": "http://h/v1"} if kind == "http" else {}), **options}
    content = {"recipe": "magpie", "engines": {"teacher": engine}}
    with pytest.raises(RecipeError, match="engine 'teacher'") as caught:
        check_run_file(content, tmp_path / "x.yaml")
    for secret in (SECRET, "hunter2", "hf_aBcDeFgHiJkLmNoP1234"):
        assert secret not in str(caught.value)


def test_ordinary_options_are_taken():
    refuse_keys(
        {
            "url": "http://localhost:8000/v1",
            "key_env": "MY_KEY",
            "server": {"tensor-parallel-size": 2, "api-key": "EMPTY", "chat-template": "/data/templates/llama-3.1-8b.jinja"},
            "extra": {"chat_template_kwargs": {"enable_thinking": False}, "stop_token_ids": [1, 2], "user": "me"},
        },
        "http engine m",
    )

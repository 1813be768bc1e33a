"""What the doctor says of an engine: by its verbs, as a model in this process, and behind a server."""

import shutil
from dataclasses import replace
from math import log

import pytest
from aiohttp import web
from servers_for_tests import Served, http

from attar.core.errors import EngineError
from attar.engines.base import Reply, Spec
from attar.engines.describe import LABELS
from attar.engines.doctor import local, server, verbs
from attar.engines.doctor.engine import examine
from attar.engines.local.engine import Local
from attar.engines.local.spec import POCKET


def examine_all(spec, rows=4):
    return {finding.what: finding for finding in examine(spec, rows)}


def list_good(found):
    return [what for what, finding in found.items() if finding.good]


def run_checks(checks):
    """What each check says, or why it fails."""
    said = {}
    for what, check in checks:
        try:
            said[what] = check()
        except EngineError as error:
            said[what] = f"fails: {error}"
    return said


# by verbs


def test_an_engine_of_any_kind_is_tried_with_every_verb_that_its_kind_has():
    found = examine_all(Spec("fake", "m"))
    assert list_good(found) == list(found)
    assert list(found) == [
        *("identity", "chat template", *LABELS, "chat", "label log-probs", "embeddings", "rewards"),
    ]
    assert found["embeddings"].told == "8 dimensions"
    assert found["prefix"].told == "'<user>'"
    assert found["stops"].told == "'<end>', '<assistant>', '<user>'"


def test_a_verb_that_fails_has_its_reason_and_the_others_are_still_tried():
    found = examine_all(Spec("fake", "m", {"faults": 1.0}))
    assert list_good(found) == ["identity", "chat template", *LABELS]
    assert {found[what].told for what in ("chat", "label log-probs", "embeddings", "rewards")} == {"fault on demand"}
    assert all(finding.needed for finding in found.values())


@pytest.mark.parametrize("count", [0, 2])
def test_one_request_has_one_reply(count):
    with pytest.raises(EngineError, match=f"{count} replies to one request"):
        verbs.only(iter([Reply(0, "a", "stop")] * count))
    assert verbs.only(iter([Reply(0, "a", "stop")])).text == "a"


# in this process


def test_a_writer_in_this_process_shows_its_prefix_token_by_token_and_draws_from_nothing():
    found = examine_all(Spec("local", "pocket:teacher", {"threads": 1}), rows=8)
    assert list_good(found) == [
        *("identity", "chat template", *LABELS, "training marks", "chat", "sampling", "label log-probs", "embeddings"),
    ]
    assert found["BOS"].told == "none"
    assert found["prefix"].told == "'<|im_start|>user\\n' = [2, 605, 202]"
    assert found["stops"].told == "'<|im_end|>' (3), '<|im_start|>' (2)"
    assert found["chat"].told.startswith("answers '")
    assert found["sampling"].told.startswith("8 texts sampled from the prefix, ")
    assert found["training marks"].told.startswith("the template marks the assistant's turns")


def test_a_reward_model_is_asked_for_rewards_and_not_to_write():
    found = examine_all(Spec("local", "pocket:rewarder", {"threads": 1}))
    assert list_good(found)[:3] == ["identity", "chat template", "rewards"]
    assert "sampling" not in found
    assert float(found["rewards"].told.partition(" ")[0]) < 0  # a greeting is no answer of its world


def test_a_base_that_never_ends_a_draw_is_no_teacher():
    found = run_checks(local.checks(Local(Spec("local", "pocket:base", {"threads": 1})), 4))
    assert found["sampling"].startswith("fails: none of 4 texts sampled from the prefix ended by itself: this is a base model")
    assert found["embeddings"].endswith(" dimensions")


# behind a server


async def speak(asked):
    """A server that counts a letter as a token, weighs `7` and `8`, and keeps to a schema; it has no other verbs."""
    chat = "messages" in asked
    text = '{"ok": true}' if "response_format" in asked else "7"
    usage = {"prompt_tokens": len(asked["messages"][-1]["content"]) + 9 if chat else len(asked.get("prompt", ""))}
    if not chat and "prompt" not in asked:
        return web.json_response({"error": {"message": "no such verb"}}, status=404)
    choice = {"index": 0, "finish_reason": "stop"} | ({"message": {"content": text}} if chat else {"text": text})
    if asked.get("logprobs") and chat:
        tops = [{"token": token, "logprob": log(share)} for token, share in (("7", 0.6), ("8", 0.2))]
        choice["logprobs"] = {"content": [{"token": "7", "logprob": log(0.6), "top_logprobs": tops}]}
    return web.json_response({"choices": [choice], "usage": {**usage, "completion_tokens": 1}})


@pytest.fixture
def server_of_vllm():
    """Its prompts end with `<think>`, and it shows no template."""

    async def think(asked):
        if "tokens" in asked:
            return web.json_response({"prompt": "".join(map(chr, asked["tokens"]))})
        if "max_tokens" not in asked:
            return web.json_response({"tokens": [ord(letter) for letter in "?<think>"]})
        assert asked["max_tokens"] == 16 + 4096
        return web.json_response({"choices": [{"finish_reason": "stop", "message": {"content": "Hm.</think>Yes."}}]})

    async def models(_):
        return web.json_response({"data": [{"id": "m", "owned_by": "vllm"}]})

    running = Served(think, models=models)
    yield running.url
    running.stop()


@pytest.fixture
def served():
    running = Served(speak)
    yield running
    running.stop()


def test_a_server_is_tried_check_by_check_and_what_it_lacks_is_not_needed(served):
    found = examine_all(Spec("http", "m", {"url": served.url, "tries": 1}), rows=2)
    assert [what for what, finding in found.items() if finding.needed] == ["identity", "server"]
    assert {"identity", "server", "chat", "raw prompts", "label log-probs", "structured output", "speed"} <= set(
        list_good(found)
    )
    assert found["chat"].told == "answers '7' (stop); a greeting is 11 tokens"
    assert found["raw prompts"].told == "are sent as text and not re-templated ('Hi' is 2 tokens, 11 in chat)"
    assert found["label log-probs"].told.partition(" of ")[2].startswith("2 of nine labels")
    assert "8 " not in found["embeddings"].told
    assert not found["embeddings"].good
    assert not found["rewards"].good


def test_raw_prompts_that_cost_as_much_as_chat_are_found_to_be_re_templated(served):
    async def templated(asked):
        return await speak({"messages": [{"content": asked["prompt"]}]} if "prompt" in asked else asked)

    served._speak = templated
    assert "the server re-templates raw prompts" in run_checks(server.checks(http(served.url, tries=1), 2))["raw prompts"]


@pytest.mark.parametrize(("end", "doubted"), [("<|im_end|>", False), ("<|over|>", True)])
def test_a_template_with_marks_that_the_model_has_not_is_doubted(end, doubted, served, tmp_path):
    folder = shutil.copytree(POCKET / "teacher", tmp_path / "teacher")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_end|>", end))
    stops = run_checks(server.checks(http(served.url, tokenizer=str(folder)), 2))["stops"]
    assert stops.startswith(f"'{end}' (")
    assert ("no token of this model, so is the template its own?" in stops) == doubted


THOUGHT = {"content": "<think>\nHm.\n</think>\n\nYes."}
LIMIT = "`thinking_tokens` (4,096) limits the thought and `max_tokens` the answer alone"


@pytest.mark.parametrize(
    ("message", "options", "expected"),
    [
        ({"content": "Yes."}, {}, "answers 'Yes.' (stop); a greeting is 0 tokens"),
        (
            THOUGHT,
            {"thinking": "on"},
            f"answers 'Yes.' (stop) after a thought of 3 characters; {LIMIT}; a greeting is 0 tokens",
        ),
        (
            {"content": "Yes.", "reasoning_content": "Hm."},
            {"thinking": "on", "thinking_tokens": 50},
            "answers 'Yes.' (stop) after a thought of 3 characters; `thinking_tokens` (50) limits the thought and "
            "`max_tokens` the answer alone; a greeting is 0 tokens",
        ),
        (
            THOUGHT,
            {},
            "answers 'Yes.' (stop) after a thought of 3 characters; `max_tokens` limits both together, for the template is not "
            "known here: set `thinking: on`; a greeting is 0 tokens",
        ),
        (
            THOUGHT,
            {"thinking": "off"},
            "fails: `thinking: off`, but the reply has a thought, 'Hm.': the server or the model ignores it; leave `thinking` "
            "out, or take a server that passes it to the template (vllm, sglang, llamacpp)",
        ),
        ({"content": "Yes."}, {"thinking": "off"}, "answers 'Yes.' (stop); a greeting is 0 tokens"),
        (
            {"content": "<think>\nHm, and so on"},
            {},
            "fails: thought not closed: there is no answer; raise `thinking_tokens`, set `thinking: on` if the template is not "
            "known, or `thinking: off`",
        ),
    ],
)
def test_a_replys_thought_is_apart_from_its_answer_and_what_it_means_for_limits_is_said(message, options, expected, served):
    async def think(asked):
        return web.json_response({"choices": [{"index": 0, "finish_reason": "stop", "message": message}], "usage": {}})

    served._speak = think
    checks = ((what, check) for what, check in server.checks(http(served.url, **options), 2) if what == "chat")
    assert run_checks(checks)["chat"] == expected


def test_a_thought_that_a_vllm_opens_by_a_template_of_its_own_has_a_limit_of_its_own(server_of_vllm):
    checks = ((what, check) for what, check in server.checks(http(server_of_vllm), 2) if what == "chat")
    assert f"answers 'Yes.' (stop) after a thought of 3 characters; {LIMIT}" in run_checks(checks)["chat"]


def test_an_answer_in_json_is_checked_without_the_thought_before_it(served):
    async def think(asked):
        return web.json_response(
            {"choices": [{"finish_reason": "stop", "message": {"content": '<think>a</think>{"ok": true}'}}]}
        )

    served._speak = think
    checks = ((what, check) for what, check in server.checks(http(served.url), 2) if what == "structured output")
    assert run_checks(checks)["structured output"] == "the reply follows the JSON schema"


def test_a_model_in_this_process_that_thinks_has_a_limit_for_its_thought():
    """The pocket teacher with a template that opens a thought: what it writes never closes one."""
    engine = Local(Spec("local", "pocket:teacher", {"threads": 1, "thinking_tokens": 4}))
    source = engine.template.source.replace("assistant\\n' }}{% endif", "assistant\\n<think>' }}{% endif")
    assert source != engine.template.source
    engine.template = replace(engine.template, source=source + "{# </think> #}")
    found = run_checks(check for check in local.checks(engine, 1) if check[0] == "chat")
    assert found["chat"].startswith("fails: thought ")
    assert ": there is no answer; raise `thinking_tokens`" in found["chat"]


@pytest.mark.parametrize(("seconds", "asked"), [(30.0, 40), (0.0, 8)])
def test_a_slow_server_is_not_asked_for_all_that_measures_a_fast_one(seconds, asked, served, monkeypatch):
    monkeypatch.setattr(server, "_SPEED_SECONDS", seconds)
    (speed,) = (check for what, check in server.checks(http(served.url), 10) if what == "speed")
    assert " rows/s, " in speed()
    assert len(served.posted) == asked


def test_where_nobody_listens_there_is_nothing_more_to_try(served):
    url = served.url
    served.stop()
    found = examine_all(Spec("http", "m", {"url": url, "patience": 0}))
    assert list(found)[-1] == "server"
    assert not found["server"].good
    assert "nothing answers on 127.0.0.1" in found["server"].told
    assert len(found) == 2

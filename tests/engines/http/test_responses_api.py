import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import EngineError
from attar.engines.base import Reply, Request, Sampling
from attar.engines.http.failures import FailedTry
from attar.engines.http.hosted_thinking import Thinking
from attar.engines.http.responses_api import first_logprobs, full_body, logprobs_body, read_text, text_body

TALK = ({"role": "system", "content": "be brief"}, {"role": "user", "content": "2+2"})
USAGE = {"input_tokens": 11, "output_tokens": 30, "output_tokens_details": {"reasoning_tokens": 20}}


def body(thinking="auto", tokens=None, **sampling):
    return text_body(Request(0, messages=TALK, sampling=Sampling(**sampling), seed=7), Thinking(thinking, tokens))


def message(*parts, **more):
    return {"type": "message", "role": "assistant", "status": "completed", "content": list(parts), **more}


def text(words):
    return {"type": "output_text", "text": words, "annotations": []}


def reply(*items, status="completed", **more):
    return read_text({"status": status, "output": list(items), "usage": USAGE, **more}, 3)


def test_a_chat_is_sent_as_input_that_is_not_stored_without_a_seed():
    assert body(max_tokens=50, temperature=0.7, top_p=0.9) == {
        "input": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "2+2"}],
        "max_output_tokens": 50, "store": False, "temperature": 0.7, "top_p": 0.9,
    }  # fmt: skip


def test_the_temperature_that_is_the_default_is_not_sent_and_every_other_is():
    assert "temperature" not in body(temperature=1.0)
    assert body(temperature=0.0)["temperature"] == 0.0


def test_a_limit_below_what_the_api_takes_is_raised_to_it():
    assert body(max_tokens=1)["max_output_tokens"] == 16


@pytest.mark.parametrize(
    ("thinking", "tokens", "field", "most"),
    [
        ("auto", None, None, 100),
        ("auto", 500, None, 600),
        ("off", 500, {"effort": "none"}, 100),
        ("on", 500, {"effort": "medium", "summary": "auto"}, 600),
        ("on", None, {"effort": "medium", "summary": "auto"}, 4196),
    ],
)
def test_a_thought_has_room_beside_the_answer(thinking, tokens, field, most):
    sent = body(thinking, tokens, max_tokens=100)
    assert (sent.get("reasoning"), sent["max_output_tokens"]) == (field, most)


def test_a_schema_goes_under_text():
    schema = {"type": "object"}
    assert body(schema=schema)["text"] == {
        "format": {"type": "json_schema", "name": "reply", "schema": schema, "strict": True}
    }  # fmt: skip


def test_stop_strings_are_refused_before_anything_is_sent():
    with pytest.raises(EngineError, match=r"no stop strings.*use api: chat"):
        body(stop=("\n",))


def test_extra_and_omit_shape_the_body_as_elsewhere():
    options = {"extra": {"reasoning": {"effort": "high"}}, "omit": ["temperature"]}
    sent = full_body("gpt", body("on", temperature=0.5), options)
    assert (sent["model"], sent["reasoning"], "temperature" in sent) == ("gpt", {"effort": "high"}, False)


def test_the_text_and_the_summaries_of_the_thoughts_are_kept_apart():
    summary = [{"type": "summary_text", "text": "first"}, {"type": "summary_text", "text": "then"}]
    thought = {"type": "reasoning", "summary": summary, "encrypted_content": "gAAA"}
    assert reply(thought, message(text("4"), text("!"))) == Reply(3, "4!", "stop", "first\n\nthen", tokens_in=11, tokens_out=30)


def test_whole_thoughts_of_open_models_and_comments_on_the_way_are_thoughts_too():
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "2 and 2"}]}
    comment = message(text("let me see"), phase="commentary")
    said = reply(thought, comment, message(text("4"), phase="final_answer"))
    assert (said.text, said.reasoning) == ("4", "2 and 2\n\nlet me see")


def test_an_answer_at_its_limit_is_truncated_even_where_nothing_was_said_yet():
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert reply(message(text("so")), **cut) == Reply(3, "so", "length", tokens_in=11, tokens_out=30)
    assert reply({"type": "reasoning", "summary": []}, **cut) == Reply(3, "", "length", tokens_in=11, tokens_out=30)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (reply(message({"type": "refusal", "refusal": "I can't"})), "the model refused: I can't"),
        (reply(status="incomplete", incomplete_details={"reason": "content_filter"}), "finish reason content_filter"),
        (reply(status="failed", error={"code": "invalid_prompt", "message": "no"}), "invalid_prompt: no"),
    ],
)
def test_what_the_model_will_not_say_is_the_row_s_error_and_is_paid_for(said, why):
    assert said == Reply(3, error=why, tokens_in=11, tokens_out=30)


@pytest.mark.parametrize(
    "said",
    [
        reply(status="in_progress"),
        reply(status=None),
        reply(message()),
        reply(status="failed", error={"code": "server_error", "message": "oops"}),
        read_text({"status": "completed"}, 0),
        read_text([], 0),
    ],
)
def test_what_is_no_answer_is_asked_again(said):
    assert isinstance(said, FailedTry)
    assert said.retry


def test_log_probabilities_are_asked_for_and_found_where_the_api_has_them():
    sent = logprobs_body(Request(0, messages=TALK), Thinking("on"), 50)
    assert (sent["include"], sent["top_logprobs"]) == (["message.output_text.logprobs"], 20)
    assert (sent["reasoning"], sent["max_output_tokens"]) == ({"effort": "none"}, 16)
    tops = [{"top_logprobs": [{"token": "A", "logprob": -0.5}]}]
    assert first_logprobs({"output": [message({**text("A"), "logprobs": tops})]}) == {
        "choices": [{"logprobs": {"content": tops}}]
    }  # fmt: skip


KEYS = (
    "status",
    "output",
    "type",
    "content",
    "text",
    "summary",
    "refusal",
    "usage",
    "phase",
    "error",
    "code",
    "message",
    "reason",
)
WORDS = ("completed", "incomplete", "failed", "message", "reasoning", "output_text", "refusal", "summary_text", "\ud800")
LEAVES = st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.text(max_size=3) | st.sampled_from(WORDS)
JSON = st.recursive(
    LEAVES, lambda x: st.lists(x, max_size=4) | st.dictionaries(st.sampled_from(KEYS), x, max_size=6), max_leaves=25
)
PARTS = st.lists(
    JSON | st.fixed_dictionaries({"type": JSON, "text": JSON}, optional={"refusal": JSON, "logprobs": JSON}), max_size=3
)
ITEMS = st.fixed_dictionaries({"content": PARTS | JSON}, optional={"summary": PARTS | JSON, "phase": JSON, "type": JSON})
NEAR = st.fixed_dictionaries(
    {"status": st.sampled_from(WORDS[:3]) | JSON, "output": st.lists(ITEMS | JSON, max_size=3) | JSON},
    optional={"error": JSON, "incomplete_details": JSON, "usage": JSON},
)


@given(JSON | NEAR)
def test_whatever_json_comes_there_is_a_reply_or_a_failed_try(found):
    said = read_text(found, 5)
    assert isinstance(said, FailedTry) or (said.index == 5 and (said.text is None) != (said.error is None))
    if isinstance(said, Reply):
        assert "".join(filter(None, (said.text, said.reasoning, said.error))).encode() is not None
    first_logprobs(found)

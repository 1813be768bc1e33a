import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import EngineError
from attar.engines.base import Reply, Request, Sampling
from attar.engines.http.anthropic_api import full_body, key_header, read_limits, read_text, text_body
from attar.engines.http.failures import FailedTry
from attar.engines.http.hosted_thinking import Thinking

TALK = (
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "2+2"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "sure?"},
)
USAGE = {"input_tokens": 5, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 4, "output_tokens": 30}


def body(thinking="auto", tokens=None, ways=None, **sampling):
    return text_body(Request(0, messages=TALK, sampling=Sampling(**sampling), seed=7), Thinking(thinking, tokens, ways))


def reply(*blocks, reason="end_turn", **more):
    return read_text({"content": list(blocks), "stop_reason": reason, "usage": USAGE, **more}, 3)


def text(words):
    return {"type": "text", "text": words}


def thought(words):
    return {"type": "thinking", "thinking": words, "signature": "EqQB"}


def test_system_turns_go_in_a_field_of_their_own_and_there_is_no_seed():
    assert body(max_tokens=50, temperature=0.7, top_p=0.9, stop=("\n\n", "END")) == {
        "system": "be brief", "messages": list(TALK[1:]), "max_tokens": 50, "temperature": 0.7, "top_p": 0.9,
        "stop_sequences": ["\n\n", "END"],
    }  # fmt: skip


def test_the_temperature_that_is_the_default_is_not_sent_since_newer_models_refuse_the_field():
    assert "temperature" not in body(temperature=1.0)
    assert body(temperature=0.0)["temperature"] == 0.0


def test_the_key_and_the_version_have_headers_of_their_own():
    assert key_header("k") == {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    assert key_header("") == {"anthropic-version": "2023-06-01"}


@pytest.mark.parametrize(
    ("thinking", "tokens", "ways", "field", "most"),
    [
        ("auto", None, ("enabled",), None, 100),
        ("off", 2000, ("enabled",), {"type": "disabled"}, 100),
        ("off", None, (), None, 100),
        ("on", 2000, ("enabled", "adaptive"), {"type": "enabled", "budget_tokens": 2000}, 2100),
        ("on", None, None, {"type": "enabled", "budget_tokens": 4096}, 4196),
        ("on", 2000, ("adaptive",), {"type": "adaptive", "display": "summarized"}, 2100),
    ],
)
def test_a_thought_has_a_budget_beside_the_answer_in_the_way_that_the_model_takes(thinking, tokens, ways, field, most):
    sent = body(thinking, tokens, ways, max_tokens=100)
    assert (sent.get("thinking"), sent["max_tokens"]) == (field, most)


def test_thinking_that_cannot_be_had_is_refused_before_anything_is_sent():
    with pytest.raises(EngineError, match="takes `thinking_tokens` of 1024 or more, not 500"):
        body("on", 500, ("enabled",))
    with pytest.raises(EngineError, match="does not think"):
        body("on", ways=())


def test_a_schema_goes_under_output_config():
    assert body(schema={"type": "object"})["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}


def test_a_cache_mark_is_on_the_system_turn_or_on_the_whole_prompt_or_nowhere():
    mark = {"type": "ephemeral"}
    assert full_body("c", body(), {"cache": "system"})["system"] == [
        {"type": "text", "text": "be brief", "cache_control": mark}
    ]  # fmt: skip
    assert full_body("c", body(), {"cache": "prompt"})["cache_control"] == mark
    assert "cache_control" not in str(full_body("c", body(), {}))


def test_extra_and_omit_shape_the_body_as_elsewhere():
    sent = full_body("c", body(temperature=0.5), {"extra": {"top_k": 5}, "omit": ["temperature"]})
    assert (sent["model"], sent["top_k"], "temperature" in sent) == ("c", 5, False)


def test_the_answer_and_the_thoughts_are_kept_apart_and_encrypted_ones_left_out():
    said = reply(thought("2 and 2"), {"type": "redacted_thinking", "data": "EmwK"}, thought("so"), text("4"), text("!"))
    assert said == Reply(3, "4!", "stop", "2 and 2\n\nso", tokens_in=11, tokens_out=30)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("model_context_window_exceeded", "length")],
)
def test_how_it_ended_is_said_in_two_words(reason, finish):
    assert reply(text("4"), reason=reason).finish == finish


def test_an_answer_that_never_began_is_empty_not_missing():
    assert reply(thought("2 and"), reason="max_tokens").text == ""
    assert reply().text == ""
    assert reply({"type": "redacted_thinking", "data": "EmwK"}).text == ""


def test_a_thought_that_is_not_shown_is_none():
    assert reply(thought(""), text("4")).reasoning is None


@pytest.mark.parametrize(
    ("reason", "details", "why"),
    [
        ("refusal", {"category": "bio", "explanation": "Harmful."}, "the model refused: Harmful."),
        ("refusal", {"category": "cyber", "explanation": None}, "the model refused: cyber"),
        ("refusal", None, "the model refused: no reason given"),
        ("tool_use", None, "finish reason tool_use"),
        ("pause_turn", None, "finish reason pause_turn"),
    ],
)
def test_what_the_model_will_not_say_is_the_row_s_error_and_is_paid_for(reason, details, why):
    assert reply(text("I"), reason=reason, stop_details=details) == Reply(3, error=why, tokens_in=11, tokens_out=30)


@pytest.mark.parametrize(
    "said",
    [
        reply(text("4"), reason=None),
        reply(text("4"), reason="new"),
        reply({"type": "text"}),
        reply({"type": "tool_use"}),
        reply("4"),
        read_text({"stop_reason": "end_turn"}, 0),
        read_text("x", 0),
    ],
)
def test_what_is_no_answer_is_asked_again(said):
    assert isinstance(said, FailedTry)
    assert said.retry


def test_a_model_s_entry_says_how_it_can_think_and_how_much_it_can_write():
    types = {"enabled": {"supported": False}, "adaptive": {"supported": True}}
    entry = {"max_tokens": 64000, "capabilities": {"thinking": {"supported": True, "types": types}}}
    assert read_limits(entry) == (64000, ("adaptive",))
    assert read_limits({"capabilities": {"thinking": {"supported": False, "types": types}}}) == (None, ())
    assert read_limits({"id": "c", "max_tokens": "many", "capabilities": None}) == (None, None)


KEYS = ("content", "type", "text", "thinking", "stop_reason", "usage", "stop_details", "explanation", "capabilities", "types")
WORDS = ("end_turn", "max_tokens", "refusal", "text", "thinking", "redacted_thinking", "\udc00")
LEAVES = st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.text(max_size=3) | st.sampled_from(WORDS)
JSON = st.recursive(
    LEAVES, lambda x: st.lists(x, max_size=4) | st.dictionaries(st.sampled_from(KEYS), x, max_size=6), max_leaves=25
)
BLOCKS = st.fixed_dictionaries({"type": st.sampled_from(WORDS) | JSON}, optional={"text": JSON, "thinking": JSON})
NEAR = st.fixed_dictionaries(
    {"stop_reason": st.sampled_from(WORDS[:3]) | JSON, "content": st.lists(BLOCKS | JSON, max_size=3) | JSON},
    optional={"stop_details": JSON, "usage": JSON},
)


@given(JSON | NEAR)
def test_whatever_json_comes_there_is_a_reply_or_a_failed_try(found):
    said = read_text(found, 5)
    assert isinstance(said, FailedTry) or (said.index == 5 and (said.text is None) != (said.error is None))
    if isinstance(said, Reply):
        assert "".join(filter(None, (said.text, said.reasoning, said.error))).encode() is not None
    if isinstance(found, dict):
        read_limits(found)

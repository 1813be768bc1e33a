import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import EngineError
from attar.engines.base import Reply, Request, Sampling
from attar.engines.http.failures import FailedTry
from attar.engines.http.gemini_api import (
    first_logprobs,
    full_body,
    key_header,
    logprobs_body,
    read_limits,
    read_text,
    text_body,
    text_path,
)
from attar.engines.http.hosted_thinking import Thinking

TALK = (
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "2+2"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "sure?"},
)
USAGE = {"promptTokenCount": 11, "candidatesTokenCount": 10, "thoughtsTokenCount": 20, "totalTokenCount": 41}


def body(thinking="auto", tokens=None, ways=None, seed=7, **sampling):
    return text_body(Request(0, messages=TALK, sampling=Sampling(**sampling), seed=seed), Thinking(thinking, tokens, ways))


def config(*args, **kwargs):
    return body(*args, **kwargs)["generationConfig"]


def reply(*parts, reason="STOP", **more):
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": reason, **more}
    return read_text({"candidates": [candidate], "usageMetadata": USAGE}, 3)


def test_a_chat_is_sent_as_contents_of_parts():
    assert body(max_tokens=50, temperature=0.7, top_p=0.9, stop=("END",), seed=2**31 + 9) == {
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "2+2"}]},
            {"role": "model", "parts": [{"text": "4"}]},
            {"role": "user", "parts": [{"text": "sure?"}]},
        ],
        "generationConfig": {"temperature": 0.7, "topP": 0.9, "maxOutputTokens": 50, "stopSequences": ["END"], "seed": 9},
    }  # fmt: skip
    assert "seed" not in config(temperature=0.0)


def test_the_model_is_in_the_path_and_the_key_in_a_header_of_its_own():
    assert text_path("gemini-2.5-flash") == "models/gemini-2.5-flash:generateContent"
    assert text_path("tunedModels/mine") == "tunedModels/mine:generateContent"
    assert (key_header("k"), key_header("")) == ({"x-goog-api-key": "k"}, {})
    assert "model" not in full_body("gemini-2.5-flash", body(), {})


def test_a_schema_makes_the_answer_json():
    sent = config(schema={"type": "object"})
    assert (sent["responseMimeType"], sent["responseJsonSchema"]) == ("application/json", {"type": "object"})


@pytest.mark.parametrize(
    ("thinking", "tokens", "ways", "field", "most"),
    [
        ("auto", None, None, None, 100),
        ("auto", None, (), None, 100),
        ("auto", None, ("budget",), {"includeThoughts": True}, 4196),
        ("auto", 500, ("budget",), {"includeThoughts": True, "thinkingBudget": 500}, 600),
        ("off", 500, ("budget",), {"thinkingBudget": 0}, 100),
        ("off", None, (), None, 100),
        ("on", 500, ("budget",), {"includeThoughts": True, "thinkingBudget": 500}, 600),
        ("on", None, None, {"includeThoughts": True, "thinkingBudget": 4096}, 4196),
    ],
)
def test_a_thought_has_a_budget_beside_the_answer_and_is_shown(thinking, tokens, ways, field, most):
    sent = config(thinking, tokens, ways, max_tokens=100)
    assert (sent.get("thinkingConfig"), sent["maxOutputTokens"]) == (field, most)


def test_thinking_that_cannot_be_had_is_refused_before_anything_is_sent():
    with pytest.raises(EngineError, match="does not think"):
        body("on", ways=())


def test_extra_and_omit_reach_into_the_generation_config():
    options = {
        "extra": {"safetySettings": [], "generationConfig": {"topK": 5, "maxOutputTokens": 9}},
        "omit": ["seed", "top_p", "systemInstruction"],
    }
    sent = full_body("g", body(temperature=0.5, top_p=0.9), options)
    assert sent["generationConfig"] == {"temperature": 0.5, "topK": 5, "maxOutputTokens": 9}
    assert sent.keys() == {"contents", "generationConfig", "safetySettings"}


def test_the_answer_and_the_thoughts_are_kept_apart_and_both_are_counted():
    said = reply({"text": "2 and 2", "thought": True}, {"text": "4"}, {"text": "!", "thoughtSignature": "C"})
    assert said == Reply(3, "4!", "stop", "2 and 2", tokens_in=11, tokens_out=30)


def test_an_answer_at_its_limit_is_truncated_even_where_nothing_was_said_yet():
    assert reply({"text": "so"}, reason="MAX_TOKENS").finish == "length"
    bare = {"candidates": [{"finishReason": "MAX_TOKENS", "content": {"role": "model"}}], "usageMetadata": USAGE}
    assert read_text(bare, 3) == Reply(3, "", "length", tokens_in=11, tokens_out=30)


def test_an_answer_that_never_followed_its_thought_is_empty_not_missing():
    assert reply({"text": "2 and 2", "thought": True}).text == ""


@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "SPII", "BLOCKLIST", "LANGUAGE", "OTHER"])
def test_what_the_model_will_not_say_is_the_row_s_error_and_is_paid_for(reason):
    assert reply(reason=reason) == Reply(3, error=f"finish reason {reason}", tokens_in=11, tokens_out=30)
    assert reply(reason=reason, finishMessage="It harms.").error == f"finish reason {reason} (It harms.)"


def test_a_prompt_that_is_blocked_is_the_row_s_error():
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 11}}
    assert read_text(blocked, 3) == Reply(3, error="the prompt was blocked: SAFETY", tokens_in=11)


@pytest.mark.parametrize(
    "said",
    [
        reply(),
        reply({"text": "4"}, reason=None),
        reply({"text": 4}),
        reply({"text": "4"}, reason="FINISH_REASON_UNSPECIFIED"),
        read_text({"candidates": []}, 0),
        read_text({"candidates": ["4"]}, 0),
        read_text(None, 0),
    ],
)
def test_what_is_no_answer_is_asked_again(said):
    assert isinstance(said, FailedTry)
    assert said.retry


def test_log_probabilities_are_asked_for_before_any_thought_and_found_where_the_api_has_them():
    sent = logprobs_body(Request(0, messages=TALK), Thinking("on", ways=("budget",)), 50)["generationConfig"]
    assert sent == {
        "temperature": 0.0, "maxOutputTokens": 1, "thinkingConfig": {"thinkingBudget": 0}, "responseLogprobs": True,
        "logprobs": 20,
    }  # fmt: skip
    assert "thinkingConfig" not in logprobs_body(Request(0, messages=TALK), Thinking("on"), 5)["generationConfig"]
    tops = {"topCandidates": [{"candidates": [{"token": "A", "tokenId": 1, "logProbability": -0.5}]}]}
    assert first_logprobs({"candidates": [{"logprobsResult": tops}]}) == {
        "choices": [{"logprobs": {"content": [{"top_logprobs": [{"token": "A", "logprob": -0.5}]}]}}]
    }  # fmt: skip


def test_a_model_s_entry_says_whether_it_thinks_and_how_much_it_can_write():
    assert read_limits({"outputTokenLimit": 65536, "thinking": True}) == (65536, ("budget",))
    assert read_limits({"outputTokenLimit": 8192, "thinking": False}) == (8192, ())
    assert read_limits({"outputTokenLimit": None}) == (None, None)


KEYS = ("candidates", "content", "parts", "text", "thought", "finishReason", "usageMetadata", "promptFeedback", "blockReason")
KEYS = (*KEYS, "logprobsResult", "topCandidates", "promptTokenCount")
WORDS = ("STOP", "MAX_TOKENS", "SAFETY", "\ud800")
LEAVES = st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.text(max_size=3) | st.sampled_from(WORDS)
JSON = st.recursive(
    LEAVES, lambda x: st.lists(x, max_size=4) | st.dictionaries(st.sampled_from(KEYS), x, max_size=6), max_leaves=25
)
PARTS = st.lists(JSON | st.fixed_dictionaries({"text": JSON}, optional={"thought": JSON}), max_size=3)
CANDIDATES = st.fixed_dictionaries(
    {"finishReason": st.sampled_from(WORDS) | JSON, "content": st.fixed_dictionaries({"parts": PARTS | JSON}) | JSON},
    optional={"finishMessage": JSON, "logprobsResult": JSON},
)
NEAR = st.fixed_dictionaries(
    {"candidates": st.lists(CANDIDATES | JSON, max_size=2) | JSON}, optional={"usageMetadata": JSON, "promptFeedback": JSON}
)


@given(JSON | NEAR)
def test_whatever_json_comes_there_is_a_reply_or_a_failed_try(found):
    said = read_text(found, 5)
    assert isinstance(said, FailedTry) or (said.index == 5 and (said.text is None) != (said.error is None))
    if isinstance(said, Reply):
        assert "".join(filter(None, (said.text, said.reasoning, said.error))).encode() is not None
    first_logprobs(found)
    if isinstance(found, dict):
        read_limits(found)

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.engines.base import Reply, Request, Sampling
from attar.engines.http import payloads
from attar.engines.http.failures import FailedTry

HOT = Sampling(temperature=0.7, top_p=0.9, max_tokens=5, stop=("\n",))


def rows(count):
    return [Request(10 + place) for place in range(count)]


def chat(content="hello", finish="stop", index=0, **message):
    return {"index": index, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}


def read(*choices, of=1, **usage):
    return payloads.read_texts({"choices": list(choices), "usage": usage}, rows(of))


def test_a_temperature_means_the_same_everywhere_and_a_greedy_request_has_no_seed():
    plain = payloads.sampling_body(Sampling(max_tokens=5), 7, "other")
    assert plain == {"temperature": 0.0, "max_tokens": 5}
    assert payloads.sampling_body(HOT, 7, "openai") == {
        "temperature": 0.7, "max_completion_tokens": 5, "seed": 7, "top_p": 0.9, "stop": ["\n"],
    }  # fmt: skip
    for dialect, off in (("vllm", 0), ("sglang", -1), ("llamacpp", 0)):
        body = payloads.sampling_body(Sampling(temperature=1.0), 7, dialect)
        assert (body["top_k"], body["min_p"], body["top_p"]) == (off, 0.0, 1.0)
        assert 1.0 in (body.get("repetition_penalty"), body.get("repeat_penalty"))


def test_a_seed_fits_into_what_the_server_takes():
    assert payloads.sampling_body(HOT, 2**40 + 5, "llamacpp")["seed"] == 5
    assert payloads.sampling_body(HOT, 2**63 + 5, "vllm")["seed"] == 5


def test_a_schema_is_sent_as_openai_has_it():
    schema = {"type": "object"}
    body = payloads.sampling_body(Sampling(schema=schema), 0, "other")
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["schema"] == schema


def test_a_chat_a_raw_text_and_one_of_ollama_s_give_the_same_reply():
    said = [Reply(10, "hello", "stop", tokens_in=3, tokens_out=2)]
    raw = {"index": 0, "finish_reason": "stop", "text": "hello"}
    assert read(chat(), prompt_tokens=3, completion_tokens=2) == said
    assert read(raw, prompt_tokens=3, completion_tokens=2) == said
    own = {"response": "hello", "done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}
    assert payloads.read_ollama(own, rows(1)) == said


@pytest.mark.parametrize("own", [None, [], {}, {"response": "x"}, {"response": 3, "done_reason": "stop"}])
def test_of_ollama_s_replies_the_misshapen_are_asked_again(own):
    [mishap] = payloads.read_ollama(own, rows(1))
    assert isinstance(mishap, FailedTry)
    assert mishap.retry


@pytest.mark.parametrize("reason", [["stop"], {}])
def test_of_ollama_s_replies_one_that_ends_oddly_is_asked_again(reason):
    assert isinstance(payloads.read_ollama({"response": "x", "done_reason": reason}, rows(1))[0], FailedTry)


def test_a_part_without_text_is_no_word():
    [result] = read(chat([{"type": "text", "text": None}]))
    assert isinstance(result, FailedTry) or result.text == ""


def test_a_choice_whose_number_is_null_is_taken_by_place():
    assert [reply.text for reply in read(chat("a", index=None), chat("b", index=None), of=2)] == ["a", "b"]


def test_choices_go_where_their_number_says_and_by_place_without_one():
    mixed = read(chat("c", index=2), chat("a", index=0), chat("b", index=1), of=3)
    assert [(reply.index, reply.text) for reply in mixed] == [(10, "a"), (11, "b"), (12, "c")]
    bare = [{key: value for key, value in chat(text).items() if key != "index"} for text in "ab"]
    assert [reply.text for reply in read(*bare, of=2)] == ["a", "b"]


def test_a_missing_choice_leaves_the_others_whole():
    first, second, third = read(chat("a", index=0), chat("c", index=2), of=3)
    assert (first.text, third.text) == ("a", "c")
    assert isinstance(second, FailedTry)
    assert str(second) == "2 answers to 3 requests"


@pytest.mark.parametrize(
    ("choices", "why"),
    [
        ([chat(index=0), chat(index=0)], "two answers with index 0"),
        ([chat(index=0), chat(index=1), chat(index=2)], "answer index 2, expected 0 to 1"),
        ([chat(index=0), chat(index=-1)], "answer index -1, expected 0 to 1"),
        ([chat(index=0), chat(index="1")], "answer index '1', expected 0 to 1"),
    ],
)
def test_choices_that_cannot_be_told_apart_are_none(choices, why):
    with pytest.raises(FailedTry, match=why):
        read(*choices, of=2)


def test_half_a_pair_of_surrogates_becomes_the_sign_for_it():
    body = json.loads(
        '{"choices": [{"finish_reason": "length", "message": {"content": "so \\ud83d", "reasoning": "\\udc00"}}]}'
    )
    [reply] = payloads.read_texts(body, rows(1))
    assert (reply.text, reply.reasoning) == ("so \ufffd", "\ufffd")
    whole = json.loads('{"choices": [{"finish_reason": "stop", "message": {"content": "so \\ud83d\\ude00"}}]}')
    assert payloads.read_texts(whole, rows(1))[0].text == "so \U0001f600"


@given(st.text(st.characters(categories=None) | st.sampled_from("\ud800\udbff\udc00\udfffa")))
def test_clean_text_can_always_be_kept_and_good_text_is_let_be(text):
    clean = payloads.replace_surrogates(text)
    assert clean.encode().decode() == clean
    if all(not 0xD800 <= ord(letter) <= 0xDFFF for letter in text):
        assert clean == text


@pytest.mark.parametrize(
    ("message", "text", "thought"),
    [
        ({"content": "4", "reasoning_content": "2+2"}, "4", "2+2"),
        ({"content": "4", "reasoning": "2+2"}, "4", "2+2"),
        ({"content": "<think>\n2+2\n</think>\n\n4"}, "<think>\n2+2\n</think>\n\n4", None),  # as it came: `thinking` separates
        ({"content": None, "reasoning_content": "2+2"}, "", "2+2"),
        ({"content": [{"type": "text", "text": "4"}, {"type": "text", "text": "2"}]}, "42", None),
        ({"content": "4", "reasoning_content": ""}, "4", None),
    ],
)
def test_a_server_s_own_field_for_thoughts_is_read(message, text, thought):
    [reply] = read({"finish_reason": "stop", "message": message})
    assert (reply.text, reply.reasoning or None, reply.error) == (text, thought or None, None)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("stop", "stop"), ("eos", "stop"), ("end_turn", "stop"), ("stop_sequence", "stop"), ("length", "length")],
)
def test_how_it_ended_is_said_in_two_words(given, kept):
    assert read(chat(finish=given))[0].finish == kept


def test_a_text_cut_off_before_its_first_word_is_empty_not_missing():
    [reply] = read(chat(None, "length"))
    assert (reply.text, reply.finish, reply.error) == ("", "length", None)


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        (chat(finish="content_filter"), "finish reason content_filter"),
        (chat(None, "tool_calls"), "finish reason tool_calls"),
        (chat(None, refusal="I would rather not"), "the model refused: I would rather not"),
    ],
)
def test_what_the_model_will_not_say_is_the_row_s_error_and_is_paid_for(choice, why):
    assert read(choice, prompt_tokens=3, completion_tokens=1) == [Reply(10, error=why, tokens_in=3, tokens_out=1)]


@pytest.mark.parametrize(
    "choice",
    [chat(finish=None), chat(finish="error"), chat(None), chat(7), {"finish_reason": "stop"}, {**chat(), "message": "hello"}],
)
def test_an_answer_without_text_or_end_is_asked_again(choice):
    [mishap] = read(choice)
    assert isinstance(mishap, FailedTry)
    assert mishap.retry
    assert not mishap.overloaded


@given(st.integers(1, 9), st.integers(0, 1000), st.integers(0, 1000))
def test_shares_of_the_usage_add_up_to_it(count, tokens_in, tokens_out):
    replies = read(*(chat(index=i) for i in range(count)), of=count, prompt_tokens=tokens_in, completion_tokens=tokens_out)
    assert sum(reply.tokens_in for reply in replies) == tokens_in
    assert sum(reply.tokens_out for reply in replies) == tokens_out
    assert max(reply.tokens_out for reply in replies) - min(reply.tokens_out for reply in replies) <= 1


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None, "completion_tokens": "many"}, {"completion_tokens": -1}])
def test_usage_that_is_not_told_counts_nothing(usage):
    [reply] = payloads.read_texts({"choices": [chat()], "usage": usage}, rows(1))
    assert (reply.text, reply.tokens_in, reply.tokens_out) == ("hello", 0, 0)


@pytest.mark.parametrize("usage", [[1], "3", 3])
def test_usage_of_another_shape_counts_nothing_either(usage):
    assert payloads.read_texts({"choices": [chat()], "usage": usage}, rows(1)) == [Reply(10, "hello", "stop")]


KEYS = ("choices", "index", "message", "content", "text", "finish_reason", "refusal", "reasoning", "error", "role")
LEAVES = (
    st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.text(max_size=5) | st.sampled_from(["stop", "length"])
)
JSON = st.recursive(
    LEAVES, lambda x: st.lists(x, max_size=4) | st.dictionaries(st.sampled_from(KEYS), x, max_size=6), max_leaves=20
)
MESSAGES = st.fixed_dictionaries({}, optional={"content": JSON, "refusal": JSON, "reasoning": JSON, "reasoning_content": JSON})
CHOICES = st.fixed_dictionaries({}, optional={"index": JSON, "message": MESSAGES | JSON, "text": JSON, "finish_reason": JSON})


@given(JSON | st.fixed_dictionaries({"choices": st.lists(CHOICES | JSON, max_size=4)}), st.integers(1, 3))
def test_whatever_json_comes_every_row_gets_a_reply_or_a_mishap(body, count):
    try:
        found = payloads.read_texts(body, rows(count))
    except FailedTry:
        return
    assert len(found) == count
    for place, result in enumerate(found):
        assert isinstance(result, FailedTry) or result.index == 10 + place
        if isinstance(result, Reply):
            assert (result.text is None) != (result.error is None)
            assert (result.text or "" + (result.reasoning or "") + (result.error or "")).encode() is not None

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.data.formats import FORMATS, detect, format_row, parse_row

U, A, S = (lambda text, role=role: {"role": role, "content": text} for role in ("user", "assistant", "system"))
TEXT = st.text(max_size=20)
TURN = st.builds(
    lambda role, text: {"role": role, "content": text}, st.sampled_from(("system", "user", "assistant", "tool")), TEXT
)
SINGLE = st.builds(lambda s, q, a: [*([S(s)] if s else []), U(q), A(a)], TEXT, TEXT, TEXT)


@pytest.mark.parametrize(
    ("row", "form"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [], "prompt": "q", "instruction": "q", "output": "a"}, "messages"),
        ({"conversations": []}, "sharegpt"),
        ({"conversation": []}, "sharegpt"),
        ({"instruction": "q", "output": "a"}, "alpaca"),
        ({"instruction": "q", "response": "a"}, "prompt"),
        ({"question": "q"}, "prompt"),
        ({"messages": None, "query": "q"}, "prompt"),
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, "preference"),
        ({"messages": [], "chosen": "a", "rejected": "b"}, "preference"),
    ],
)
def test_a_format_is_told_by_its_keys(row, form):
    assert detect(row) == form


@pytest.mark.parametrize("row", [{}, {"text": "hello"}, {"messages": "hello"}, {"prompt": None}, {"chosen": "a"}])
def test_a_row_of_no_known_format_is_refused_with_its_keys(row):
    with pytest.raises(ValueError, match=f"no known chat format in the keys {', '.join(row) or r'.none.'}$"):
        detect(row)


CASES = {
    "messages with the roles of others": (
        {
            "messages": [
                {"role": "developer", "content": "s"},
                {"role": "Human", "content": "q"},
                {"role": "model", "content": "a"},
            ]
        },
        ([S("s"), U("q"), A("a")], "q", "a"),
    ),
    "text in parts": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]},
        ([U("ab")], "ab", None),
    ),
    "two rounds": (
        {"messages": [U("q1"), A("a1"), U("q2"), A("a2")]},
        ([U("q1"), A("a1"), U("q2"), A("a2")], "q2", "a2"),
    ),
    "an open question": ({"messages": [U("q1"), A("a1"), U("q2")]}, ([U("q1"), A("a1"), U("q2")], "q2", None)),
    "no question at all": ({"messages": [S("s"), A("a")]}, ([S("s"), A("a")], None, "a")),
    "sharegpt": (
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "system": "s"},
        ([S("s"), U("q"), A("a")], "q", "a"),
    ),
    "a system turn of its own wins": (
        {"conversations": [{"from": "system", "value": "own"}, {"from": "human", "value": "q"}], "system": "s"},
        ([S("own"), U("q")], "q", None),
    ),
    "alpaca": ({"instruction": "q", "input": "", "output": "a"}, ([U("q"), A("a")], "q", "a")),
    "alpaca with input": ({"instruction": "q", "input": "x", "output": "a"}, ([U("q\n\nx"), A("a")], "q\n\nx", "a")),
    "alpaca with system": ({"instruction": "q", "output": "a", "system": "s"}, ([S("s"), U("q"), A("a")], "q", "a")),
    "prompt": ({"prompt": "q", "response": "a"}, ([U("q"), A("a")], "q", "a")),
    "another spelling": ({"problem": "q", "solution": "a", "system": "s"}, ([S("s"), U("q"), A("a")], "q", "a")),
    "a prompt of turns": ({"prompt": [S("s"), U("q")], "completion": [A("a")]}, ([S("s"), U("q"), A("a")], "q", "a")),
    "a prompt alone": ({"prompt": "q"}, ([U("q")], "q", None)),
}


@pytest.mark.parametrize("case", CASES)
def test_every_shape_becomes_our_columns(case):
    row, (messages, prompt, response) = CASES[case]
    assert parse_row(row) == {"messages": messages, "prompt": prompt, "response": response}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "q", "chosen": "good", "rejected": "bad"},
        {"prompt": [U("q")], "chosen": [A("good")], "rejected": [A("bad")]},
        {"chosen": [U("q"), A("good")], "rejected": [U("q"), A("bad")]},
        {"prompt": "q", "chosen": [U("q"), A("good")], "rejected": [U("q"), A("bad")]},
    ],
)
def test_a_preference_is_one_question_and_two_answers(row):
    assert parse_row(row) == {"messages": [U("q")], "prompt": "q", "response": None, "chosen": "good", "rejected": "bad"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([1], "the row is list, not an object"),
        (None, "the row is NoneType, not an object"),
        ({"messages": []}, "the conversation is empty"),
        ({"messages": ["hi"]}, "a turn is str, not an object"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "unknown role 'wizard'"),
        ({"messages": [{"content": "x"}]}, "unknown role None"),
        ({"messages": [{"role": "user"}]}, "a turn has no text"),
        ({"messages": [{"role": "user", "content": 3}]}, "something other than text"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "url": "x"}]}]}, "something other than text"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "the key 'text' is missing"),
        ({"prompt": 3}, "something other than text"),
        ({"prompt": "q", "response": {"a": 1}}, "something other than text"),
        ({"prompt": [U("q")], "completion": [U("again")]}, "does not end with an assistant turn"),
        ({"chosen": [A("good")], "rejected": [A("bad")]}, "a preference without a prompt"),
        ({"prompt": "q", "chosen": None, "rejected": "bad"}, "a turn has no text"),
    ],
)
def test_a_row_that_does_not_hold_is_refused_with_the_reason(row, reason):
    with pytest.raises(ValueError, match=reason):
        parse_row(row)


def test_a_form_that_was_asked_for_is_not_guessed():
    assert parse_row({"messages": [U("x")], "prompt": "q"}, "prompt")["messages"] == [U("q")]
    with pytest.raises(ValueError, match="the key 'prompt' is missing"):
        parse_row({"messages": [U("x")]}, "prompt")
    with pytest.raises(ValueError, match="the key 'output' is missing"):
        parse_row({"instruction": "q"}, "alpaca")


def test_other_values_ride_along_and_nested_ones_as_json():
    row = parse_row({"prompt": "q", "score": 3, "source": None, "tags": ["ä", {"b": 1}]})
    assert {key: row[key] for key in ("score", "source", "tags")} == {"score": 3, "source": None, "tags": '["ä", {"b": 1}]'}
    assert set(row) == {"messages", "prompt", "response", "score", "source", "tags"}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("messages", {"messages": [S("s"), U("q"), A("a")]}),
        (
            "sharegpt",
            {"conversations": [{"from": f, "value": v} for f, v in (("system", "s"), ("human", "q"), ("gpt", "a"))]},
        ),
        ("alpaca", {"instruction": "q", "input": "", "output": "a", "system": "s"}),
        ("prompt", {"prompt": "q", "response": "a", "system": "s"}),
        (
            "preference",
            {"prompt": [S("s"), U("q"), A("a")], "chosen": [A("good")], "rejected": [A("bad")]},
        ),
    ],
)
def test_a_row_is_said_in_each_format(form, expected):
    preferred = {"chosen": "good", "rejected": "bad"} if form == "preference" else {}
    assert format_row({"messages": [S("s"), U("q"), A("a")], **preferred}, form) == expected


def test_a_preference_is_not_said_in_a_format_that_would_lose_it():
    with pytest.raises(ValueError, match="messages would lose the chosen and the rejected response"):
        format_row({"messages": [U("q")], "chosen": "good", "rejected": "bad"}, "messages")


def test_a_system_turn_beside_the_messages_is_not_lost():
    assert parse_row({"system": "s", "messages": [U("q"), A("a")]})["messages"] == [S("s"), U("q"), A("a")]


@pytest.mark.parametrize("form", ["alpaca", "prompt"])
@pytest.mark.parametrize("messages", [[U("q")], [A("a"), U("q")], [U("q"), A("a"), U("q"), A("a")], [U("s"), U("q"), A("a")]])
def test_more_or_less_than_one_question_and_answer_cannot_be_said_in_a_flat_format(form, messages):
    with pytest.raises(ValueError, match=f"{form} holds one prompt and one response, this row has {len(messages)} turns"):
        format_row({"messages": messages}, form)


@pytest.mark.parametrize("answers", [{}, {"chosen": "a"}, {"chosen": "a", "rejected": None}])
def test_a_preference_needs_both_answers(answers):
    with pytest.raises(ValueError, match="no chosen and rejected response"):
        format_row({"messages": [U("q")], **answers}, "preference")


@given(st.sampled_from(("messages", "sharegpt")), st.lists(TURN, min_size=1, max_size=6))
def test_any_conversation_comes_back_from_the_formats_that_hold_it(form, messages):
    assert parse_row(format_row({"messages": messages}, form))["messages"] == messages


@given(st.sampled_from(("alpaca", "prompt")), SINGLE)
def test_any_single_exchange_comes_back_from_the_flat_formats(form, messages):
    row = parse_row(format_row({"messages": messages}, form))
    assert row == {"messages": messages, "prompt": messages[-2]["content"], "response": messages[-1]["content"]}


@given(st.lists(TURN, min_size=1, max_size=4), TEXT, TEXT)
def test_any_preference_comes_back(messages, chosen, rejected):
    row = parse_row(format_row({"messages": messages, "chosen": chosen, "rejected": rejected}, "preference"))
    assert (row["messages"], row["chosen"], row["rejected"]) == (messages, chosen, rejected)


KEYS = st.sampled_from(
    ("messages", "conversations", "role", "content", "prompt", "chosen", "rejected", "instruction", "output", "type")
)
JSONISH = st.recursive(
    st.none() | st.integers() | st.text(max_size=6), lambda x: st.lists(x, max_size=3) | st.dictionaries(KEYS, x)
)


@given(JSONISH, st.none() | st.sampled_from(tuple(FORMATS)))
def test_any_json_is_either_understood_or_refused_by_value_error(value, form):
    try:
        row = parse_row(value, form)
    except ValueError:
        return
    assert row["messages"]
    assert all(isinstance(turn["content"], str) for turn in row["messages"])


def test_a_preference_keeps_the_whole_conversation_that_stands_beside_its_prompt():
    row = {"messages": [U("q1"), A("a1"), U("q2")], "prompt": "q2", "chosen": "good", "rejected": "bad"}
    assert parse_row(row)["messages"] == [U("q1"), A("a1"), U("q2")]


def test_a_turn_that_calls_tools_is_set_aside_not_emptied():
    with pytest.raises(ValueError, match="calls tools"):
        parse_row({"messages": [U("q"), {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}]})


BINARIZED = {  # as HuggingFaceH4/ultrafeedback_binarized has its rows (train_prefs): messages holds the chosen conversation
    "prompt": "q",
    "prompt_id": "0a1b",
    "chosen": [U("q"), A("good")],
    "rejected": [U("q"), A("bad")],
    "messages": [U("q"), A("good")],
    "score_chosen": 8.5,
    "score_rejected": 6.0,
}


def test_in_ultrafeedback_binarized_the_chosen_answer_is_no_part_of_the_prompt():
    row = parse_row(BINARIZED)
    assert (row["messages"], row["chosen"], row["rejected"]) == ([U("q")], "good", "bad")
    assert (row["prompt"], row["prompt_id"], row["score_chosen"]) == ("q", "0a1b", 8.5)


@pytest.mark.parametrize("answer", ["good", "bad"])
def test_an_answer_at_the_end_of_messages_is_one_of_the_two_that_are_compared(answer):
    row = {"messages": [U("q"), A(answer)], "chosen": "good", "rejected": "bad"}
    assert parse_row(row)["messages"] == [U("q")]
    with pytest.raises(ValueError, match="an answer that is neither chosen nor rejected"):
        parse_row({**row, "chosen": "other", "rejected": "another"})


def test_a_preference_of_several_turns_is_on_the_turns_that_both_share():
    talk = [U("q"), A("a"), U("and?")]
    row = {"prompt": "q", "chosen": [*talk, A("good")], "rejected": [*talk, A("bad")]}
    assert parse_row(row)["messages"] == talk
    with pytest.raises(ValueError, match="differ before their last turn"):
        parse_row({**row, "rejected": [U("q"), A("other"), U("and?"), A("bad")]})

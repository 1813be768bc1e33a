import json
from math import inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.replies import Failure, expected_score, parse_choice, parse_json_object, parse_number, parse_ranking

CHATTER = "abc xyz.,:!\n\"'`*-()[]"
NOISE = st.text(CHATTER, max_size=40)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
NESTED = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
OBJECTS = st.dictionaries(st.text(max_size=8), NESTED, max_size=4)
OPTIONS = ("easy", "Medium", "very hard")
LIKELY = [log(0.2), log(0.3), log(0.1), -inf, log(0.2)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("easy", "easy"),
        (" **EASY**.\n", "easy"),
        ("I would say medium, since it takes two steps.", "Medium"),
        ("medium... yes, Medium", "Medium"),
        ("This is very\nhard", Failure("names no option")),
        ("This is Very Hard!", "very hard"),
        ("uneasy", Failure("names no option")),
        ("easy_going", Failure("names no option")),
        ("easy or medium", Failure("names 2 options")),
        ("easy, medium, very hard", Failure("names 3 options")),
        ("", Failure("names no option")),
    ],
)
def test_a_choice_is_the_one_option_that_is_named(text, wanted):
    assert parse_choice(text, OPTIONS) == wanted


def test_an_option_within_a_longer_option_is_not_named_by_it():
    assert parse_choice("It is very hard.", ("hard", "very hard")) == "very hard"
    assert parse_choice("It is hard.", ("hard", "very hard")) == "hard"
    assert parse_choice("It is good enough.", ("good", "good enough")) == "good enough"


def test_an_option_may_hold_signs_that_mean_something_in_a_pattern():
    assert parse_choice("I pick C++ here", ("C++", "C#")) == "C++"
    assert parse_choice("a.b", ("a.b", "axb")) == "a.b"
    assert parse_choice("take axb now", ("a.b", "c")) == Failure("names no option")


@given(NOISE, st.sampled_from(("yes", "no")), NOISE)
def test_a_planted_option_is_found_in_any_noise(before, option, after):
    noisy = f"{before.replace('y', '')} {option.upper()} {after.replace('y', '')}"
    assert parse_choice(noisy, ("yes", "no")) == option


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("7", 7.0),
        ("Score: 7.", 7.0),
        ("**7.5**", 7.5),
        ("7, yes 7.0", 7.0),
        ("-3", -3.0),
        ("+3", 3.0),
        ("no score", Failure("no number")),
        ("90%", Failure("no number")),
        ("v2", Failure("no number")),
        ("1.2.3", Failure("no number")),
        ("7/10", Failure("2 numbers")),
        ("3-5", Failure("2 numbers")),
        ("11", Failure("number outside -5 to 10")),
        ("-6", Failure("number outside -5 to 10")),
        ("10", 10.0),
        ("-5", -5.0),
    ],
)
def test_a_number_is_the_only_one_of_a_reply_and_within_bounds(text, wanted):
    assert parse_number(text, -5, 10) == wanted


@given(NOISE, st.integers(-500, 500).map(lambda n: n / 4), NOISE)
def test_a_planted_number_is_found_in_any_noise(before, value, after):
    assert parse_number(f"{before} {value} {after}", -125, 125) == value


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"a": 1}', {"a": 1}),
        ('Sure!\n```json\n{"a": {"b": [{"c": "}"}]}}\n```\nDone {"z": 0}', {"a": {"b": [{"c": "}"}]}}),
        ('a set {x, y} and then {"a": 2}', {"a": 2}),
        ("{}", {}),
        ("[1, 2]", Failure("no JSON object")),
        ("", Failure("no JSON object")),
        ('{"a": 1', Failure("truncated JSON")),
        ('{"why": "x", "scores": {"a": 5}, "fin', Failure("truncated JSON")),
        ('{"why": "x", "scores": {"a": 5},', Failure("truncated JSON")),
        ('{"a": NaN}', Failure("broken JSON: NaN is not JSON")),
        ('{"a": -Infinity}', Failure("broken JSON: -Infinity is not JSON")),
    ],
)
def test_a_json_object_is_the_first_that_can_be_read(text, wanted):
    assert parse_json_object(text) == wanted


@given(NOISE, OBJECTS, st.text(max_size=30), st.sampled_from((None, 2)))
def test_a_planted_json_object_comes_back_as_it_was(before, planted, after, indent):
    assert parse_json_object(before + json.dumps(planted, indent=indent) + after) == planted


def test_braces_deeper_than_python_can_follow_are_a_failure():
    assert isinstance(parse_json_object('{"a":' * 3000), Failure)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("3 > 1 > 2", [3, 1, 2]),
        ("[2] [3] [1]", [2, 3, 1]),
        ("1. 2, then 3", [1, 2, 3]),
        ("3 > 1", Failure("not an order of 1 to 3")),
        ("3 > 1 > 1", Failure("not an order of 1 to 3")),
        ("0 > 1 > 2", Failure("not an order of 1 to 3")),
        ("4 > 1 > 2", Failure("not an order of 1 to 3")),
        ("1 > 2 > 3 > 1", Failure("not an order of 1 to 3")),
        ("none", Failure("not an order of 1 to 3")),
    ],
)
def test_a_ranking_names_every_item_once(text, wanted):
    assert parse_ranking(text, 3) == wanted


@given(st.permutations(range(1, 13)), st.lists(NOISE, min_size=12, max_size=12))
def test_a_planted_ranking_is_found_in_any_noise(order, between):
    assert parse_ranking("".join(f"{noise} {item} " for noise, item in zip(between, order, strict=True)), 12) == order


def test_a_number_too_long_for_python_is_no_place_in_a_ranking():
    assert parse_ranking("1" * 5000, 1) == Failure("not an order of 1 to 1")


@given(st.text() | st.text('{}[]":,0123456789.-+eNaIfinty \\u%'))
def test_no_text_whatever_raises(text):
    assert parse_choice(text, OPTIONS) in OPTIONS or isinstance(parse_choice(text, OPTIONS), Failure)
    assert isinstance(parse_number(text, 0, 10), float | Failure)
    assert isinstance(parse_json_object(text), dict | Failure)
    assert isinstance(parse_ranking(text, 3), list | Failure)


def test_a_score_is_the_mean_of_the_numbers_by_their_weights():
    value, mass, error = expected_score(tuple(LIKELY), (1, 2, 3, 4, 5), 0.1)
    assert mass == pytest.approx(0.8)
    assert value == pytest.approx((0.2 * 1 + 0.3 * 2 + 0.1 * 3 + 0.2 * 5) / 0.8)
    assert error is None
    assert expected_score(tuple(LIKELY), (1, 2, 3, 4, 5), 0.1, rounded=True)[0] == 2.0


def test_too_little_probability_is_no_score():
    value, mass, error = expected_score((log(0.01), log(0.02)), (1, 2), 0.1)
    assert value is None
    assert mass == pytest.approx(0.03)
    assert error == "the judge gives the answers that may be 0.03 of its probability"
    assert expected_score((-inf, -inf), (1, 2), 0.0)[0] is None


@given(st.lists(st.floats(-30, 0), min_size=2, max_size=11))
def test_a_score_lies_between_the_least_and_the_highest_number(weights):
    value, _, _ = expected_score(tuple(weights), tuple(range(len(weights))), 0.0)
    assert -1e-9 <= value <= len(weights) - 1 + 1e-9

import polars as pl
import pytest
from engines_for_tests import Scripted

from attar.core.errors import DataError
from attar.core.table import COLUMNS
from attar.stages.annotate import reward

TALKS = [
    [("user", "Why?"), ("assistant", "Own one.")],
    [("system", "Be brief."), ("user", "One?"), ("assistant", "Two."), ("user", "And?"), ("assistant", "Own three.")],
    [("user", "Unanswered?")],
    [("user", "Nothing said?"), ("assistant", "Own four.")],
]


def table():
    talks = [[{"role": role, "content": text} for role, text in talk] for talk in TALKS]
    return pl.DataFrame(
        {
            "id": list("abcd"),
            "messages": pl.Series(talks, dtype=COLUMNS["messages"]),
            "response": ["Own one.", "Own three.", None, "Own four."],
            "reward": [1.0, 2.0, None, 4.0],
            "base_response": ["Base one.", "Base three.", "Base two.", None],
        }
    )


def against_base(say):
    engine = Scripted(say)
    out = reward.score(table(), engine=engine, response="base_response", into="base_reward")
    return out, [[(turn["role"], turn["content"]) for turn in request.messages] for request in engine.asked]


def test_anothers_response_takes_the_place_of_the_last_answer_and_of_nothing_before_it():
    _, heard = against_base(lambda _: 0.0)
    assert heard[0] == [("user", "Why?"), ("assistant", "Base one.")]
    assert heard[1] == [*TALKS[1][:4], ("assistant", "Base three.")]


def test_a_conversation_that_has_no_answer_of_its_own_is_scored_with_anothers():
    _, heard = against_base(lambda _: 0.0)
    assert heard[2] == [("user", "Unanswered?"), ("assistant", "Base two.")]


def test_where_there_is_no_other_response_nothing_is_scored_least_of_all_the_rows_own():
    out, heard = against_base(lambda _: 7.0)
    assert len(heard) == 3
    assert out["base_reward"].to_list() == [7.0, 7.0, 7.0, None]
    assert out["base_reward_error"].to_list() == [None, None, None, "no base response"]


def test_each_score_stands_in_its_own_row_and_the_rest_of_the_row_is_as_it_was():
    marks = {"Base one.": -1.5, "Base three.": ValueError("too long"), "Base two.": 0.0}
    out, _ = against_base(lambda request: marks[request.messages[-1]["content"]])
    assert out["base_reward"].to_list() == [-1.5, None, 0.0, None]
    assert out["base_reward_error"].to_list() == [None, "too long", None, "no base response"]
    assert out.drop("base_reward", "base_reward_error").equals(table())


def test_the_rows_own_response_is_scored_as_it_stands_in_its_conversation():
    engine = Scripted(lambda request: float(len(request.messages)))
    out = reward.score(table().drop("base_response"), engine=engine)
    assert out["reward"].to_list() == [2.0, 5.0, None, 2.0]
    assert out["reward_error"].to_list() == [None, None, "no response", None]


def test_a_response_column_that_is_not_there_is_named():
    with pytest.raises(DataError, match="column 'base_response' is missing"):
        reward.score(table().drop("base_response"), engine=Scripted(lambda _: 0.0), response="base_response")


def test_a_second_rewarder_has_a_column_of_its_own():
    first, second = Scripted(lambda _: 4.0), Scripted(lambda _: -1.0)
    out = reward.score(reward.score(table().head(1), engine=first), engine=second, into="second")
    assert out.select("reward", "second").rows() == [(4.0, -1.0)]


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="'messages' is missing; the table has: id, response, reward"):
        reward.score(table().drop("messages", "base_response"), engine=Scripted(lambda _: 0.0))


def test_a_reward_that_is_not_a_number_is_a_failure_and_not_the_highest():
    out = reward.score(table().head(1), engine=Scripted(lambda _: float("nan")))
    assert (out["reward"].to_list(), out["reward_error"].to_list()) == ([None], ["the reward is not a number"])

from math import exp

import polars as pl
import pytest
from engines_for_tests import Scripted

from attar.core.table import COLUMNS, turns
from attar.stages.evaluate.judging import reward_judge

WORTH = {"good": 2.0, "bad": 0.5, "odd": float("nan"), "broken": RuntimeError("no reward today")}


def battles(*pairs):
    asked = [turns(("user", "q"), ("assistant", one)) if one else turns(("user", "q")) for one, _ in pairs]
    return pl.DataFrame(
        {"id": [str(i) for i in range(len(pairs))], "response": [one for one, _ in pairs], "against": [two for _, two in pairs]}
    ).with_columns(messages=pl.Series(asked, dtype=COLUMNS["messages"]))


def worth():
    return Scripted(lambda request: WORTH[request.messages[-1]["content"]])


def test_the_chance_of_a_win_is_the_logistic_of_the_rewards_difference():
    found = reward_judge.prefer(battles(("good", "bad"), ("bad", "good"), ("bad", "bad")), engine=worth())
    sure = 1 / (1 + exp(-1.5))
    assert found["preference"].to_list() == pytest.approx([sure, 1 - sure, 0.5])
    assert found.select("reward", "against_reward").row(0) == (2.0, 0.5)
    assert (found["judge"][0], found["order"][0]) == ("scripted", None)


def test_each_side_ends_the_conversation_in_the_others_place():
    engine = worth()
    reward_judge.prefer(battles(("good", "bad")), engine=engine)
    assert [[turn["content"] for turn in request.messages] for request in engine.asked] == [["q", "good"], ["q", "bad"]]


def test_a_side_without_a_reward_is_no_preference_and_says_why():
    found = reward_judge.prefer(battles(("good", "odd"), ("broken", "bad"), (None, "bad")), engine=worth())
    assert found["preference"].to_list() == [None] * 3
    assert found["preference_error"].to_list() == ["the reward is not a number", "no reward today", "nothing to judge"]


def test_answers_alone_are_scored_by_their_reward():
    found = reward_judge.score(battles(("good", "x"), (None, "x")), engine=worth())
    assert found.select("score", "score_error").rows() == [(2.0, None), (None, "nothing to judge")]


def test_a_hopeless_lead_is_no_overflow():
    def far(request):
        return -1e6 if request.messages[-1]["content"] == "bad" else 0.0

    assert reward_judge.prefer(battles(("bad", "good")), engine=Scripted(far))["preference"].to_list() == [0.0]

from math import inf, log

import polars as pl
import pytest
from engines_for_tests import Scripted
from hypothesis import given
from hypothesis import strategies as st

from attar.annotate import judge, safety
from attar.annotate.judge import expected
from attar.engines.base import Spec
from attar.engines.local import Local
from attar.errors import RecipeError
from attar.table import COLUMNS

ROWS = pl.DataFrame({"id": ["a", "b"], "prompt": ["Say {response}", "Hi"], "response": ["{prompt} done", None]})
LIKELY = [log(0.2), log(0.3), log(0.1), -inf, log(0.2)]


def test_a_score_is_the_mean_of_the_numbers_by_their_weights():
    value, mass, error = expected(tuple(LIKELY), (1, 2, 3, 4, 5), 0.1)
    assert mass == pytest.approx(0.8)
    assert value == pytest.approx((0.2 * 1 + 0.3 * 2 + 0.1 * 3 + 0.2 * 5) / 0.8)
    assert error is None
    assert expected(tuple(LIKELY), (1, 2, 3, 4, 5), 0.1, rounded=True)[0] == 2.0


def test_too_little_probability_is_no_score():
    value, mass, error = expected((log(0.01), log(0.02)), (1, 2), 0.1)
    assert value is None
    assert mass == pytest.approx(0.03)
    assert error == "the judge gives the answers that may be 0.03 of its probability"
    assert expected((-inf, -inf), (1, 2), 0.0)[0] is None


@given(st.lists(st.floats(-30, 0), min_size=2, max_size=11))
def test_a_score_lies_between_the_least_and_the_highest_number(weights):
    value, _, _ = expected(tuple(weights), tuple(range(len(weights))), 0.0)
    assert -1e-9 <= value <= len(weights) - 1 + 1e-9


def test_prompt_and_response_stand_in_the_question_as_they_are_and_a_missing_one_is_not_asked():
    engine = Scripted(lambda _: [log(0.1)] * 9 + [log(0.05)] * 2)
    out = judge.score(ROWS, engine=engine)
    (asked,) = engine.asked
    assert asked.messages[1]["content"] == "Instruction:\nSay {response}\n\nAnswer:\n{prompt} done\n\nYour grade:"
    assert asked.labels == tuple(map(str, range(11)))
    assert out["score"][0] == pytest.approx((0.1 * 36 + 0.05 * 19) / 1.0)
    assert out["score_mass"][0] == pytest.approx(1.0)
    assert out["score_error"].to_list() == [None, "nothing to judge"]


def test_a_failed_reply_keeps_its_reason_and_a_rubric_is_named_rightly():
    out = judge.score(ROWS.head(1), engine=Scripted(lambda _: ValueError("down")), rubric="quality", into="q")
    assert out["q_error"].to_list() == ["down"]
    with pytest.raises(RecipeError, match="no rubric 'help'"):
        judge.score(ROWS, engine=Scripted(str), rubric="help")


def test_no_rows_have_no_scores():
    out = judge.score(ROWS.clear(), engine=Scripted(str))
    assert out.schema["score"] == pl.Float64
    assert len(out) == 0


def test_a_guard_gives_the_probability_of_safe_and_sees_what_its_kind_wants_to_see():
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    rows = pl.DataFrame({"id": ["a"], "messages": pl.Series([talk], dtype=COLUMNS["messages"])})
    engine = Scripted(lambda _: [log(0.6), log(0.2)])
    out = safety.score(rows, engine=engine, guard="guard")
    assert out["safe"][0] == pytest.approx(0.75)
    assert [dict(turn) for turn in engine.asked[0].messages] == talk
    plain = safety.score(rows, engine=engine)
    assert plain["safe"][0] == pytest.approx(0.75)
    assert "[user]\nHi\n\n[assistant]\nHello." in engine.asked[1].messages[1]["content"]
    assert engine.asked[1].messages[0]["role"] == "system"


def test_the_pocket_teacher_answers_with_its_five_numbers_and_agrees_with_the_truth_beyond_chance():
    from random import Random

    from attar.world.speech import instruct, respond
    from attar.world.tasks import draw
    from attar.world.verify import corrupt, grade

    dice = Random(3)
    tasks = [draw(dice) for _ in range(80)] * 2
    answers = [respond(task) for task in tasks[:80]] + [corrupt(task, dice) for task in tasks[80:]]
    rows = pl.DataFrame(
        {
            "id": [f"r{i}" for i in range(160)],
            "prompt": [instruct(task, Random(i % 80)) for i, task in enumerate(tasks)],
            "response": answers,
            "truth": [float(grade(task, answer)) for task, answer in zip(tasks, answers, strict=True)],
        }
    )
    teacher = Local(Spec("local", "pocket:teacher", {"dtype": "float64", "threads": 1}))
    scores = judge.score(rows, engine=teacher, rubric="pocket")
    assert scores["score_mass"].mean() > 0.95
    by_chance = 0.155  # what a correlation of 160 unrelated pairs stays below in 39 of 40 draws
    assert scores.select(pl.corr("score", "truth")).item() > by_chance

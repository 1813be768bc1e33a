from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.core.stage import columns_read
from attar.stages.evaluate.figures import accuracy
from attar.statistics.intervals import wilson


def answers(*rows, **more):
    """Rows of question and whether the answer is right."""
    schema = {"question": pl.String, "correct": pl.Boolean}
    table = pl.DataFrame(rows, schema=schema, orient="row").with_row_index("id").with_columns(pl.col("id").cast(pl.String))
    return table.with_columns(**{name: pl.Series(values) for name, values in more.items()})


def line(out, name):
    return out.row(by_predicate=pl.col("id") == name, named=True)


def test_of_one_answer_a_question_the_interval_is_wilsons():
    out = accuracy.figures(answers(*((f"q{i}", i < 7) for i in range(10))))
    low, high = wilson(7, 10)
    told = {"id": "accuracy", "figure": "accuracy", "value": 0.7, "low": low, "high": high, "count": 10, "answers": 10}
    assert line(out, "accuracy") == {**told, "low": pytest.approx(low), "high": pytest.approx(high)}
    assert line(out, "unscored")["value"] == 0.0


def test_answers_that_only_repeat_make_nothing_surer_and_answers_that_differ_make_it_surer():
    once = accuracy.interval([1.0] * 7 + [0.0] * 13)
    again = accuracy.figures(answers(*((f"q{i}", i < 7) for i in range(20) for _ in range(5))))
    assert (line(again, "accuracy")["low"], line(again, "accuracy")["high"]) == (
        pytest.approx(once["low"], abs=0.02),
        pytest.approx(once["high"], abs=0.02),
    )
    mixed = accuracy.figures(answers(*((f"q{i}", (i + j) % 20 < 7) for i in range(20) for j in range(0, 20, 4))))
    assert line(mixed, "accuracy")["high"] - line(mixed, "accuracy")["low"] < 0.5 * (once["high"] - once["low"])


def test_every_question_counts_alike_however_often_it_was_answered():
    out = accuracy.figures(answers(("p", True), ("q", False), ("q", False), ("q", False)))
    assert (line(out, "accuracy")["value"], line(out, "accuracy")["count"], line(out, "accuracy")["answers"]) == (0.5, 2, 4)
    alone = accuracy.figures(answers(("p", True), ("q", False), ("q", False), ("q", False)), question=None)
    assert (line(alone, "accuracy")["value"], line(alone, "accuracy")["count"]) == (0.25, 4)


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=1, max_size=5), st.integers(1, 6))
def test_pass_at_k_is_the_share_of_all_draws_of_k_answers_that_hold_a_right_one(questions, k):
    rows = [(f"q{i}", right) for i, tries in enumerate(questions) for right in tries]
    out = line(accuracy.figures(answers(*rows), tries=[k]), f"pass@{k}")
    able = [tries for tries in questions if len(tries) >= k]
    shares = [np.mean([any(draw) for draw in combinations(tries, k)]) for tries in able]
    assert out["count"] == len(able)
    assert out["value"] == (pytest.approx(np.mean(shares)) if able else None)


def test_rows_without_a_verdict_are_left_out_and_told():
    out = accuracy.figures(answers(("p", True), ("q", None), ("r", None), ("s", False)))
    assert [(row["figure"], row["value"], row["count"]) for row in out.to_dicts()] == [
        ("accuracy", 0.5, 2),
        ("unscored", 0.5, 4),
    ]
    none = accuracy.figures(answers(("p", None)))
    assert (line(none, "accuracy")["value"], line(none, "accuracy")["low"], line(none, "unscored")["value"]) == (None, None, 1)


def test_each_model_has_its_figures_and_each_value_of_a_column():
    rows = answers(("p", True), ("q", False), ("p", True), ("q", True), model=["a", "a", "b", "b"], level=[1, 2, 1, 2])
    out = accuracy.figures(rows, model="model", by=["level"]).filter(pl.col("figure") == "accuracy")
    assert out.select("id", "model", "level", "value").rows() == [
        ("a/all/accuracy", "a", "all", 0.5),
        ("a/1/accuracy", "a", "1", 1.0),
        ("a/2/accuracy", "a", "2", 0.0),
        ("b/all/accuracy", "b", "all", 1.0),
        ("b/1/accuracy", "b", "1", 1.0),
        ("b/2/accuracy", "b", "2", 1.0),
    ]
    knobs = {"model": "model", "by": ["level"], "question": None}
    assert columns_read(accuracy.figures, knobs) == ("correct", "model", "level")


@pytest.mark.parametrize(
    ("questions", "tries", "shape"), [(100, 1, (2, 2)), (50, 4, (9, 1)), (50, 16, (0.3, 0.3)), (20, 8, (2, 2))]
)
def test_intervals_hold_the_truth_as_often_as_they_say(questions, tries, shape):
    rng = np.random.default_rng(7)
    chances = rng.beta(*shape, (1000, questions))
    shares = rng.binomial(tries, chances) / tries
    truth = shape[0] / sum(shape)
    held = sum((told := accuracy.interval(draw.tolist()))["low"] <= truth <= told["high"] for draw in shares)
    assert 0.93 <= held / 1000 <= 0.975


def test_none_or_all_right_is_no_surer_than_there_are_questions():
    out = accuracy.figures(answers(*((f"q{i}", True) for i in range(10) for _ in range(8))))
    assert (line(out, "accuracy")["low"], line(out, "accuracy")["high"]) == wilson(10, 10)


def test_what_is_no_verdict_is_refused():
    with pytest.raises(DataError, match="'correct' must hold true or false, got Int"):
        accuracy.figures(answers(("p", True)).with_columns(correct=1))
    with pytest.raises(DataError, match="column 'question' is missing"):
        accuracy.figures(answers(("p", True)).drop("question"))
    with pytest.raises(RecipeError, match="tries must be >= 1, got 0"):
        accuracy.figures(answers(("p", True)), tries=[0])


def test_few_questions_of_several_tries_have_the_interval_of_students_t():
    rows = [(f"q{i}", right) for i, share in enumerate((2, 1, 1, 1, 0)) for right in [True] * share + [False] * (2 - share)]
    table = pl.DataFrame({"id": range(10), "question": [q for q, _ in rows], "correct": [right for _, right in rows]})
    line = accuracy.figures(table).filter(figure="accuracy").row(0, named=True)
    # variance of the mean 0.5 / 25, n = 0.25 / 0.02 * 4/5 * (1.96 / 2.776)^2 = 4.985, half = 0.98 / sqrt(n + 1.96^2)
    assert (line["low"], line["high"]) == (pytest.approx(0.5 - 0.3299, abs=1e-4), pytest.approx(0.5 + 0.3299, abs=1e-4))

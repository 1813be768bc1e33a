import polars as pl
import pytest

from attar.core.errors import DataError
from attar.stages.evaluate.figures.means import Draws, Mix, Part, figures_of
from attar.statistics.intervals import wilson

WHOLE = Part("mean", None, pl.lit(True))
MATH, CODE = (Part("mean", name, pl.col("subject") == name) for name in ("math", "code"))
BOTH = Mix("balanced", None, "mean", {"math": 1.0, "code": 3.0, "law": 9.0})


def answers(*rows):
    schema = {"question": pl.String, "subject": pl.String, "score": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").with_row_index("id").with_columns(pl.col("id").cast(pl.String))


def lines(out):
    return {row["id"]: row for row in out.to_dicts()}


ROWS = answers(("a", "math", 1.0), ("b", "math", 0.0), ("c", "code", 0.9), ("d", None, 0.1), ("e", "code", None))


def test_means_of_parts_and_of_their_mix_are_those_worked_out_by_hand():
    found = lines(figures_of(ROWS, [WHOLE, MATH, CODE], Draws("score", count=50), [BOTH]))
    assert {name: (pytest.approx(row["value"]), row["count"]) for name, row in found.items()} == {
        "balanced": (0.8, 3),  # (1 x 0.5 + 3 x 0.9) / 4: no row is of law
        "mean": (0.5, 4),
        "math/mean": (0.5, 2),
        "code/mean": (0.9, 1),
        "unscored": (0.2, 5),
    }
    assert [row["category"] for row in found.values()] == ["all", "all", "math", "code", "all"]
    assert (found["math/mean"]["low"], found["math/mean"]["high"]) == (0.0, 1.0)  # a twice, or b twice


def test_a_row_without_a_score_can_count_for_something():
    found = lines(figures_of(ROWS, [WHOLE, CODE], Draws("score", count=10, missing=0.0)))
    assert (found["mean"]["value"], found["mean"]["count"]) == (pytest.approx(2.0 / 5), 5)
    assert (found["code/mean"]["value"], found["unscored"]["value"]) == (pytest.approx(0.45), 0.2)


def test_a_share_of_all_has_wilsons_interval_over_questions_and_a_mean_of_ones_has_not():
    rows = answers(*((f"q{i}", "math", 1.0) for i in range(8) for _ in range(3)))
    share, mean = (lines(figures_of(rows, [WHOLE], Draws("score", share=of, count=20)))["mean"] for of in (True, False))
    assert (share["value"], share["low"], share["high"], share["count"]) == (1.0, *wilson(8, 8), 24)
    assert (mean["low"], mean["high"]) == (1.0, 1.0)


def test_a_part_without_rows_has_no_value_and_rows_of_one_question_are_drawn_together():
    rows = answers(*((name, "math", value) for name, value in (("a", 0.0), ("b", 1.0)) for _ in range(50)))
    found = lines(figures_of(rows, [MATH, CODE], Draws("score", count=200)))
    assert (found["code/mean"]["value"], found["code/mean"]["low"], found["code/mean"]["count"]) == (None, None, 0)
    assert (found["math/mean"]["low"], found["math/mean"]["high"]) == (0.0, 1.0)


def test_each_model_and_each_of_several_judges_has_lines_of_its_own_with_who_judged():
    rows = pl.concat(
        ROWS.with_columns(pl.col("score") * part, model=pl.lit(model), judge=pl.lit(judge))
        for model, judge, part in (("x", "j", 1.0), ("x", "k", 0.5), ("y", "j", 0.1))
    )
    found = figures_of(rows, [WHOLE], Draws("score", count=10)).filter(pl.col("figure") == "mean")
    assert found.select("id", "judge").rows() == [("x/j/mean", "j"), ("x/k/mean", "k"), ("y/j/mean", "j")]
    assert found["value"].to_list() == pytest.approx([0.5, 0.25, 0.05])
    alone = figures_of(rows.filter(pl.col("judge") == "j"), [WHOLE], Draws("score", count=10))
    assert alone["id"].to_list() == ["x/mean", "x/unscored", "y/mean", "y/unscored"]


def test_scores_that_are_no_numbers_and_intervals_without_draws_are_refused():
    with pytest.raises(DataError, match="'score' must hold numbers, got String"):
        figures_of(ROWS.cast({"score": pl.String}), [WHOLE], Draws("score"))
    with pytest.raises(DataError, match="bootstrap must be >= 1, got 0"):
        figures_of(ROWS, [WHOLE], Draws("score", count=0))

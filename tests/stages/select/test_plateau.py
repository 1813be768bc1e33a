import polars as pl
import pytest

from attar.core.errors import RecipeError
from attar.stages.select import plateau


def scored(*values: float | None) -> list[pl.DataFrame]:
    """A round's answers, in parts of one row."""
    return [pl.DataFrame({"id": [str(i)], "rating": pl.Series([value], dtype=pl.Float64)}) for i, value in enumerate(values)]


def reached(*rounds, **knobs) -> dict:
    (line,) = plateau.check(*rounds, score="rating", **knobs).to_dicts()
    return line


def test_rounds_that_get_better_are_no_plateau():
    line = reached(scored(1.0, 3.0), scored(2.5), scored(2.6), patience=1)
    assert (line["stop"], line["worths"], line["reason"]) == (False, [2.0, 2.5, 2.6], None)


def test_as_many_rounds_as_patience_allows_without_a_better_one_are_a_plateau():
    assert not reached(scored(3.0), scored(2.0), patience=2)["stop"]
    line = reached(scored(3.0), scored(2.0), scored(3.0), patience=2)
    assert (line["stop"], line["reason"]) == (True, "no better than 3.000 by 0 for 2 rounds")


def test_what_is_better_by_less_than_is_asked_is_not_better():
    assert reached(scored(3.0), scored(3.4), patience=1, least=0.5)["stop"]
    assert not reached(scored(3.0), scored(3.6), patience=1, least=0.5)["stop"]


def test_a_round_of_no_answers_is_no_better_so_that_a_plateau_stays_one():
    assert reached(scored(3.0), scored(None), scored(), patience=2)["stop"]


def test_rows_pass_until_a_plateau_is_reached():
    rows = pl.DataFrame({"id": ["a", "b"]})
    assert plateau.gate(rows, pl.DataFrame({"id": ["plateau"], "stop": [False]})).equals(rows)
    assert plateau.gate(rows, pl.DataFrame({"id": ["plateau"], "stop": [True]})).is_empty()


def test_a_patience_of_none_is_refused():
    with pytest.raises(RecipeError, match="patience must be >= 1"):
        plateau.check(scored(1.0), score="rating", patience=0)

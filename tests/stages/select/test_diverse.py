import numpy as np
import polars as pl
import pytest

from attar.core.errors import RecipeError
from attar.stages.select import diverse


@pytest.mark.parametrize(
    ("rows", "knobs", "message"),
    [
        (np.ones(3), {}, "must be a matrix of floats"),
        (np.ones((3, 2), dtype=np.int64), {}, "must be a matrix of floats"),
        (np.ones((3, 2)), {"threshold": 1.5}, "threshold must be a cosine in"),
        (np.ones((3, 2)), {"keep": -1}, "keep must be >= 0, got -1"),
        (np.ones((3, 2)), {"block": 0}, "block must be >= 1, got 0"),
    ],
)
def test_what_cannot_be_filtered_is_refused_by_name(rows, knobs, message):
    with pytest.raises(RecipeError, match=message):
        diverse.repr_filter(rows, **knobs)


POOL = pl.DataFrame(
    {
        "id": ["a", "b", "c", "d", "e", "f"],
        "embedding": [[1.0, 0.0], [3.0, 0.1], [0.0, 2.0], None, [0.1, 1.0], [-1.0, 0.0]],
        "score": [1.0, 5.0, 3.0, 9.0, 3.0, None],
    },
    schema_overrides={"embedding": pl.List(pl.Float32)},
)


def test_of_two_rows_that_are_alike_the_better_one_is_kept_and_the_other_names_it():
    verdicts = diverse.keep(POOL, by="score")
    assert verdicts.columns == ["id", "kept", "reason", "because"]
    assert dict(verdicts.select("id", "kept").iter_rows()) == {
        "a": False,
        "b": True,
        "c": True,
        "d": False,
        "e": False,
        "f": False,
    }
    assert verdicts["because"].to_list() == ["b", None, None, None, "c", None]  # c and e are as good: c by its id
    # 3 / sqrt(9.01) and 1 / sqrt(1.01)
    assert verdicts["reason"].to_list()[0::4] == ["cosine 0.999 with a kept row", "cosine 0.995 with a kept row"]
    assert verdicts["reason"].to_list()[3::2] == ["no embedding", "no score"]


def test_without_a_worth_the_rows_are_walked_in_their_order():
    assert diverse.keep(POOL)["kept"].to_list() == [True, False, True, False, False, True]


def test_enough_is_enough_and_the_rest_says_so():
    verdicts = diverse.keep(POOL, by="score", keep=1)
    assert verdicts["kept"].to_list() == [False, True, False, False, False, False]
    assert verdicts["reason"].to_list()[2] == "behind the 1 that are kept"


def test_a_worth_that_is_not_a_number_is_none():
    rows = POOL.with_columns(pl.Series("score", [float("nan"), 1.0, 1.0, 1.0, 1.0, 1.0]))
    verdicts = diverse.keep(rows, by="score")
    assert verdicts["kept"].to_list() == [False, True, True, False, False, True]
    assert verdicts["reason"][0] == "no score"


def test_an_empty_table_has_no_verdicts():
    assert diverse.keep(POOL.clear(), by="score").height == 0

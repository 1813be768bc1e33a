import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError
from attar.stages.select import length_matched

POOL = pl.DataFrame({"id": [f"r{i}" for i in range(2000)], "chars": [20 + i * 7919 % 1500 for i in range(2000)]})
LONG = POOL.filter(pl.col("chars") > 700).filter(pl.col("chars") % 5 == 0)


def drawn(table, like, **knobs):
    return table.filter(length_matched.draw(table, like, by="chars", **knobs)["kept"])


def test_the_rows_that_are_drawn_are_as_many_and_as_long_as_those_they_stand_for():
    some = drawn(POOL, LONG)
    assert len(some) == len(LONG)
    ours, theirs = sorted(some["chars"]), sorted(LONG["chars"])
    assert all(abs(math.log((1 + a) / (1 + b))) <= math.log(1.05) for a, b in zip(ours, theirs, strict=True))


def test_they_are_drawn_at_random_and_not_the_selection_itself():
    shared = [len(set(drawn(POOL, LONG, seed=seed)["id"]) & set(LONG["id"])) / len(LONG) for seed in range(5)]
    assert all(0.1 < share < 0.35 for share in shared)  # of the rows of these lengths a fifth were selected
    assert set(drawn(POOL, LONG, seed=1)["id"]) != set(drawn(POOL, LONG, seed=2)["id"])


def test_the_draw_does_not_hang_on_the_order_of_the_pool():
    assert set(drawn(POOL.reverse(), LONG, seed=1)["id"]) == set(drawn(POOL, LONG, seed=1)["id"])


@given(
    st.lists(st.integers(0, 50), max_size=30),
    st.lists(st.integers(0, 5000), max_size=30),
)
def test_as_many_are_drawn_as_there_are_rows_for_whatever_the_lengths(pool, like):
    table = pl.DataFrame({"id": [f"p{i}" for i in range(len(pool))], "chars": pool}, schema_overrides={"chars": pl.Int64})
    other = pl.DataFrame({"id": [f"l{i}" for i in range(len(like))], "chars": like}, schema_overrides={"chars": pl.Int64})
    out = length_matched.draw(table, other, by="chars")
    assert out["id"].to_list() == table["id"].to_list()
    assert out["kept"].sum() == min(len(pool), len(like))


def test_a_row_without_length_is_not_drawn_and_none_can_stand_for_one():
    table = pl.DataFrame({"id": ["a", "b"], "chars": [None, 5]})
    out = length_matched.draw(table, table[1:], by="chars")
    assert out.to_dicts()[0] == {"id": "a", "kept": False, "reason": "no chars", "because": None}
    with pytest.raises(DataError, match="row 'a' of `like` has no chars"):
        length_matched.draw(table, table, by="chars")


def test_how_well_lengths_match_is_told():
    here = pl.DataFrame({"id": ["a", "b", "c"], "chars": [10, 20, 60]})
    there = pl.DataFrame({"id": ["b", "c", "d"], "chars": [20, 60, 100]})
    told = {row["id"]: (row["here"], row["there"]) for row in length_matched.compare(here, there, by="chars").to_dicts()}
    assert told["rows"] == (3, 3)
    assert told["shared"] == (2, 2)
    assert told["mean"] == (30, 60)
    assert told["50% are below"] == (20, 60)
    assert told["25% are below"] == (15, 40)

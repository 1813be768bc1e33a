import polars as pl
import pytest

from attar.core.errors import RecipeError
from attar.stages.select import until_enough


def rows(count: int) -> pl.DataFrame:
    return pl.DataFrame({"id": [f"r{i}" for i in range(count)], "opening": ["..."] * count})


def test_before_anything_was_drawn_as_many_are_drawn_as_are_wanted():
    assert until_enough.next_draws(rows(10), wanted=4).equals(rows(4))
    assert until_enough.next_draws(rows(10), wanted=40).equals(rows(10))


def test_what_is_missing_is_drawn_by_the_share_that_the_last_batch_kept():
    assert (
        len(until_enough.next_draws(rows(100), rows(50), rows(40), rows(10), rows(5), wanted=55)) == 20
    )  # 10 missing, half are kept
    assert len(until_enough.next_draws(rows(100), rows(30), rows(20), wanted=22)) == 3  # 2 missing, two in three are kept


def test_nothing_is_drawn_once_there_is_enough_or_a_batch_brought_too_little():
    assert until_enough.next_draws(rows(10), rows(8), rows(6), wanted=6).is_empty()
    assert until_enough.next_draws(rows(100), rows(100), rows(1), wanted=50, stall=0.02).is_empty()
    assert until_enough.next_draws(rows(100), rows(100), rows(2), wanted=50, stall=0.02).equals(rows(100))
    assert until_enough.next_draws(rows(100), rows(100), rows(1), rows(0), rows(0), wanted=50).is_empty()  # a stall stays one


def test_the_batches_are_told_with_what_ended_them():
    there = until_enough.summarise(rows(10), rows(8), rows(5), rows(2), wanted=10)
    assert there.rows() == [
        ("batch-1", 10, 8, 0.8, 8, None),
        ("batch-2", 5, 2, 0.4, 10, "the 10 wanted are there"),
    ]
    (stalled,), (drawn,) = (
        until_enough.summarise(rows(asked), rows(kept), wanted=1000)["end"].to_list() for asked, kept in ((100, 1), (10, 9))
    )
    assert stalled == "999 short; stalled: the last batch kept less than 2%"
    assert drawn == "991 short; no more was to be drawn"


def test_a_batch_without_what_was_kept_of_it_is_refused():
    with pytest.raises(RecipeError, match="3 tables are no batches"):
        until_enough.next_draws(rows(1), rows(1), rows(1), rows(1), wanted=1)

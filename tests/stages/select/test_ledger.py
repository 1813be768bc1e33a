import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.core.table import verdicts
from attar.stages.select import ledger


def pool_of(errors, **columns):
    ids = [f"r{i}" for i in range(len(errors))]
    return pl.DataFrame({"id": ids, "messages_error": errors, **columns}, schema_overrides={"messages_error": pl.String})


def judged(rows, dropped):
    ids = rows["id"].to_list()
    return verdicts(ids, [i not in dropped for i in ids], [dropped.get(i) for i in ids], [None] * len(ids))


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.lists(st.sets(st.integers(0, 11)), max_size=4))
def test_each_row_is_dropped_once_by_the_first_step_that_says_so(bad, rounds):
    table = pool_of(["unreadable" if one else None for one in bad], n=list(range(len(bad))))
    book = ledger.open_ledger(table)
    fate = {f"r{i}": ("read", "unreadable") if one else None for i, one in enumerate(bad)}
    for number, places in enumerate(rounds):
        rest = ledger.remaining_rows(table, book, columns=["n"])
        assert rest["id"].to_list() == [name for name, end in fate.items() if end is None]
        assert rest["n"].to_list() == [int(name[1:]) for name in rest["id"]]
        says = {f"r{place}": f"reason {number}" for place in places}
        book = ledger.update(book, judged(rest, says), step=f"step{number}")
        fate = {name: end or (says.get(name) and (f"step{number}", says[name])) for name, end in fate.items()}
    assert book["id"].to_list() == list(fate)
    assert book["kept"].to_list() == [end is None for end in fate.values()]
    assert list(zip(book["step"], book["reason"], strict=True)) == [end or (None, None) for end in fate.values()]


def test_the_row_that_crowded_another_out_is_entered():
    book = ledger.open_ledger(pool_of([None, None]))
    says = verdicts(["r0", "r1"], [True, False], [None, "repeats"], [None, "r0"])
    book = ledger.update(book, says, step="exact")
    assert book["because"].to_list() == [None, "r0"]
    book = ledger.update(book, verdicts(["r0"], [False], ["rank 2"], [None]), step="budget")
    assert book["because"].to_list() == [None, "r0"]


def test_what_is_left_has_columns_of_several_tables_and_what_orders_it():
    table = pool_of([None, "bad", None], a=[1.0, 2.0, 3.0])
    more = pl.DataFrame({"id": ["r0", "r1", "r2"], "a": [7, 8, 9], "b": ["x", "y", "z"]})
    rest = ledger.remaining_rows(table, ledger.open_ledger(table), more, columns=["b"], by="a * 2")
    assert rest.to_dict(as_series=False) == {"id": ["r0", "r2"], "b": ["x", "z"], "pool_score": [2.0, 6.0]}
    assert ledger.remaining_rows(table, ledger.open_ledger(table), more)["pool_order"].to_list() == [-1, -3]


def test_a_pools_own_columns_are_not_taken_for_the_ledgers():
    table = pool_of([None, None])
    more = pl.DataFrame({"id": ["r0", "r1"], "kept": ["so", "so"], "place": ["here", "there"]})
    rest = ledger.remaining_rows(table, ledger.open_ledger(table), more, columns=["kept", "place"])
    assert rest.select("kept", "place").rows() == [("so", "here"), ("so", "there")]


def test_verdicts_and_columns_of_other_rows_are_refused():
    table = pool_of([None, None])
    book = ledger.open_ledger(table)
    with pytest.raises(DataError, match="must be on the ledger's kept rows"):
        ledger.update(book, judged(book.head(1), {}), step="exact")
    with pytest.raises(DataError, match="same rows in the same order"):
        ledger.remaining_rows(table, book, pl.DataFrame({"id": ["r1", "r0"]}))


def test_what_orders_rows_is_a_number():
    table = pool_of([None], lang=["en"])
    with pytest.raises(RecipeError, match="'lang' must be a number that ranks the rows, got String"):
        ledger.remaining_rows(table, ledger.open_ledger(table), by="lang")


@pytest.mark.parametrize("values", [["a", None, "  "], [1.0, None, float("nan")], [[1.0], None, None]])
def test_a_row_without_a_value_says_that_it_has_none(values):
    told = ledger.keep_with_value(pl.DataFrame({"id": ["a", "b", "c"], "x": values}), column="x", called="score")
    assert told["kept"].to_list() == [True, False, False]
    assert told["reason"].to_list() == [None, "no score", "no score"]


def test_a_row_without_a_value_says_why_where_that_is_told():
    table = pl.DataFrame({"id": ["a", "b", "c"], "x": [1, None, None], "x_error": [None, "too long", None]})
    assert ledger.keep_with_value(table, column="x", told=True)["reason"].to_list() == [None, "too long", "no x"]


def test_the_first_rows_stay_and_the_others_name_the_last_of_them():
    told = ledger.keep_first(pl.DataFrame({"id": ["a", "b", "c"]}), keep=2)
    assert told.rows() == [("a", True, None, None), ("b", True, None, None), ("c", False, "after the first 2", "b")]
    assert ledger.keep_first(pl.DataFrame({"id": ["a"]}), keep=5)["kept"].to_list() == [True]

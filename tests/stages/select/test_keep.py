import polars as pl
import pytest

from attar.core.errors import DataError
from attar.stages.select import keep

ROWS = pl.DataFrame({"id": ["a", "b"], "n": [1, 2]})


def test_columns_of_the_same_rows_stand_beside_them():
    out = keep.columns(ROWS, pl.DataFrame({"id": ["a", "b"], "m": [3, 4]}))
    assert out.to_dicts() == [{"id": "a", "n": 1, "m": 3}, {"id": "b", "n": 2, "m": 4}]


@pytest.mark.parametrize("ids", [["b", "a"], ["a", "c"], ["a"]])
def test_columns_of_other_rows_are_refused(ids):
    with pytest.raises(DataError, match="not of these rows"):
        keep.columns(ROWS, pl.DataFrame({"id": ids}))


def test_tables_are_put_together_with_null_where_one_lacks_a_column():
    out = keep.concat(ROWS, pl.DataFrame({"id": ["c"], "m": [5]}))
    assert out.to_dicts() == [{"id": "a", "n": 1, "m": None}, {"id": "b", "n": 2, "m": None}, {"id": "c", "n": None, "m": 5}]


def test_a_row_that_is_in_two_tables_is_named():
    with pytest.raises(DataError, match="row 'b' is in two"):
        keep.concat(ROWS, ROWS.tail(1))


ANSWERS = pl.DataFrame(
    {
        "id": ["a", "b", "c", "d"],
        "response": ["yes", None, " \n", "no"],
        "response_error": [None, "cut off", None, None],
    }
)


def test_verdicts_drop_a_row_without_an_answer_with_the_reason():
    out = keep.has_answer(ANSWERS)
    assert out["kept"].to_list() == [True, False, False, True]
    assert out["reason"].to_list() == [None, "no answer: cut off", "no answer: empty answer", None]
    assert keep.has_answer(ANSWERS.drop("response_error"))["reason"][1] == "no answer: empty answer"


def test_no_verdict_keeps_a_row_that_has_no_answer():
    everything = pl.DataFrame({"id": ["a", "b", "c", "d"], "kept": [True] * 4})
    assert keep.rows(ANSWERS, everything)["id"].to_list() == ["a", "c", "d"]

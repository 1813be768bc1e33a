import polars as pl
import pytest

from attar.core.errors import DataError, RecipeError
from attar.core.stage import columns_read
from attar.stages.select import keep, where

TABLE = pl.DataFrame({"id": ["a", "b", "c"], "prompt": ["Say:", "Say it.", "No"], "reward": [1.0, -2.0, None]})


def test_a_row_is_kept_where_the_rule_is_true_and_unknown_is_not_true():
    out = where.holds(TABLE, rule="reward > 0")
    assert out.to_dicts() == [
        {"id": "a", "kept": True, "reason": None, "because": None},
        {"id": "b", "kept": False, "reason": "not: reward > 0", "because": None},
        {"id": "c", "kept": False, "reason": "unknown: reward > 0", "because": None},
    ]


def test_rules_may_look_at_text_and_join():
    assert where.holds(TABLE, rule="NOT ends_with(prompt, ':')")["kept"].to_list() == [False, True, True]
    assert where.holds(TABLE, rule="reward IS NULL OR length(prompt) = 4")["kept"].to_list() == [True, False, True]


def test_a_rule_reads_only_the_columns_that_it_names():
    assert columns_read(where.holds, {"rule": "reward > 0 AND length(prompt) > reward"}) == (
        "reward",
        "prompt",
        "response_error?",
    )


@pytest.mark.parametrize(
    ("rule", "error", "told"),
    [
        ("reward >", RecipeError, "is no expression"),
        ("rewards > 0", DataError, "column 'rewards' is missing; the table has: id, prompt, reward"),
        ("reward + 1", RecipeError, "is Float64, not true or false"),
        ("prompt > 3", RecipeError, "does not work on these columns"),
    ],
)
def test_a_bad_rule_is_one_clear_error(rule, error, told):
    with pytest.raises(error, match=told):
        where.holds(TABLE, rule=rule)


def test_the_kept_rows_come_unchanged_and_in_order():
    verdicts = where.holds(TABLE, rule="reward IS NULL OR reward > 0")
    assert keep.rows(TABLE, verdicts).equals(TABLE[[0, 2]])


def test_verdicts_on_other_rows_are_refused():
    with pytest.raises(DataError, match="the verdicts are not on these rows"):
        keep.rows(TABLE, where.holds(TABLE.reverse(), rule="reward > 0"))


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ("length(a) - length(b) < 0", [True, False]),
        ("-length(a) < -2", [False, True]),
        ("LENGTH (lower(a)) - 2 < 0 AND b <> 'length('", [True, False]),
        ("abs(length(a) - length(concat(b, ')'))) = 1", [False, True]),
    ],
)
def test_the_difference_of_two_lengths_may_be_below_nought(rule, kept):
    table = pl.DataFrame({"id": ["1", "2"], "a": ["x", "yyy"], "b": ["yy", "z"]})
    assert where.holds(table, rule=rule)["kept"].to_list() == kept


def test_a_bracket_that_is_never_closed_is_an_error_of_the_rule():
    with pytest.raises(RecipeError, match="is no expression"):
        where.expression("length(a > 2")


def test_no_rule_keeps_a_row_without_an_answer():
    table = pl.DataFrame({"id": ["a", "b"], "prompt": ["x", "y"], "response_error": [None, "cut off"]})
    out = where.holds(table, rule="length(prompt) > 0")
    assert (out["kept"].to_list(), out["reason"].to_list()) == ([True, False], [None, "no answer: cut off"])

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.core.stage import columns_read
from attar.stages.select import budget

TABLE = pl.DataFrame({"id": list("abcde"), "score": [5.0, 4.0, None, 2.0, 1.0], "cost": [40, 50, 1, 30, 5]})


def kept(out):
    return out.filter("kept")["id"].to_list()


def test_the_walk_stops_at_the_first_row_that_does_not_fit_though_a_cheaper_one_comes():
    out = budget.fill(TABLE, by="score", tokens=100, cost="cost")
    assert kept(out) == ["a", "b"]  # d would make 120; e would fit
    assert out.to_dicts()[4] == {"id": "e", "kept": False, "reason": "rank 4 by score, past 100 of cost", "because": "b"}


def test_a_budget_that_is_met_exactly_is_kept():
    assert kept(budget.fill(TABLE, by="score", tokens=120, cost="cost")) == ["a", "b", "d"]
    assert kept(budget.fill(TABLE, by="score", tokens=119.5, cost="cost")) == ["a", "b"]


def test_a_row_whose_cost_is_unknown_is_left_out_and_stops_nobody():
    table = TABLE.with_columns(cost=pl.Series([None, 50, 1, 30, 5]))
    out = budget.fill(table, by="score", tokens=85, cost="cost")
    assert kept(out) == ["b", "d", "e"]
    assert out["reason"].to_list() == ["no cost", None, "no score", None, None]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), max_size=30), st.integers(0, 200), st.integers(0, 200))
def test_a_larger_budget_keeps_all_that_a_smaller_one_keeps(rows, one, more):
    table = pl.DataFrame(
        {"id": [f"{i:02}" for i in range(len(rows))], "score": [row[0] for row in rows], "cost": [row[1] for row in rows]},
        schema={"id": pl.String, "score": pl.Int64, "cost": pl.Int64},
    )
    few, many = (set(kept(budget.fill(table, by="score", tokens=tokens, cost="cost"))) for tokens in (one, one + more))
    assert few <= many
    left, expected = one + more, set()
    for name, _, cost in sorted(table.rows(), key=lambda row: (-row[1], row[0])):
        if cost > left:
            break
        left, expected = left - cost, expected | {name}
    assert many == expected


STRATA = pl.DataFrame(
    {"id": list("abcdef"), "score": [6, 5, 4, 3, 2, 1], "n": [10, 10, 10, 10, 10, 30], "kind": list("xxxxyy")}
)


def test_strata_share_the_tokens_evenly_or_by_what_their_rows_cost():
    even = budget.fill(STRATA, by="score", tokens=40, cost="n", per="kind")
    assert kept(even) == ["a", "b", "e"]  # 20 each
    whole = budget.fill(STRATA, by="score", tokens=80, cost="n", per="kind", share="proportional")
    assert kept(whole) == list("abcdef")  # 40 each, which is all there is
    cheap = STRATA.with_columns(n=pl.Series([10, 10, 10, 10, 5, 5]))
    half = budget.fill(cheap, by="score", tokens=25, cost="n", per="kind", share="proportional")
    assert kept(half) == ["a", "b", "e"]  # 20 and 5
    unscored = pl.concat([cheap, pl.DataFrame({"id": ["g"], "score": [None], "n": [50], "kind": ["y"]}, schema=cheap.schema)])
    assert kept(budget.fill(unscored, by="score", tokens=25, cost="n", per="kind", share="proportional")) == ["a", "b", "e"]


def test_a_budget_for_all_keeps_all_though_its_shares_are_rounded():
    table = pl.DataFrame({"id": ["a", "b"], "score": [1, 1], "n": [1, 48], "kind": ["x", "y"]})
    assert 1 / 49 * 49 < 1
    assert kept(budget.fill(table, by="score", tokens=49, cost="n", per="kind", share="proportional")) == ["a", "b"]


def test_any_rows_for_as_many_tokens_as_a_selection_took():
    many = pl.DataFrame({"id": [f"r{i}" for i in range(300)], "n": [1 + i % 17 for i in range(300)]})
    like = many[:40]
    out = budget.chance(many, like, cost="n", seed=3)
    spent = many.filter(out["kept"])["n"].sum()
    assert 0 <= like["n"].sum() - spent < 17
    assert set(kept(budget.chance(many.reverse(), like, cost="n", seed=3))) == set(kept(out))
    assert set(kept(budget.chance(many, like, cost="n", seed=4))) != set(kept(out))
    unknown = budget.chance(TABLE.with_columns(cost=pl.Series([None, 50, 1, 30, 5])), cost="cost", tokens=86)
    assert unknown["reason"].to_list() == ["no cost", None, None, None, None]


def test_a_worth_called_chance_is_a_column_like_any_other():
    out = budget.fill(TABLE.rename({"score": "chance"}), by="chance", tokens=200, cost="cost")
    assert out["reason"].to_list() == [None, None, "no chance", None, None]


def test_what_a_row_costs_is_an_expression_that_must_be_an_amount():
    assert kept(budget.fill(TABLE, by="score", tokens=22.5, cost="cost / 4")) == ["a", "b"]
    assert columns_read(budget.fill, {"by": "score", "cost": "cost / 4"}) == ("score", "cost")
    with pytest.raises(DataError, match="row 'd'"):
        budget.fill(TABLE, by="score", tokens=9, cost="cost * (score - 3)")
    with pytest.raises(DataError, match="must be finite and >= 0, got inf in row 'a'"):
        budget.fill(TABLE, by="score", tokens=9, cost="cost / (5 - score)")
    with pytest.raises(RecipeError, match="must be a number"):
        budget.fill(TABLE, by="score", tokens=9, cost="id")
    with pytest.raises(RecipeError, match="takes either tokens or a table"):
        budget.chance(TABLE, cost="cost")


def test_nothing_to_spend_on_is_no_verdict():
    assert len(budget.fill(TABLE.clear(), by="score", tokens=5, cost="cost")) == 0
    assert kept(budget.fill(TABLE, by="score", tokens=0, cost="cost")) == []

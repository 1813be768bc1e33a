import polars as pl
import pytest

from attar.core.errors import RecipeError
from attar.core.stage import columns_read
from attar.stages.select import rank

TABLE = pl.DataFrame({"id": ["a", "b", "c", "d", "e"], "score": [1.0, 3.0, None, 3.0, 2.0], "length": [5, 1, 9, 1, 5]})


def kept(out):
    return out.filter("kept")["id"].to_list()


def test_the_highest_are_kept_and_ties_go_by_id():
    assert kept(rank.top(TABLE, by="score", keep=1)) == ["b"]
    assert kept(rank.top(TABLE, by="score", keep=3)) == ["b", "d", "e"]


def test_a_null_is_never_kept_however_many_are_wanted():
    out = rank.top(TABLE, by="score", keep=99)
    assert kept(out) == ["a", "b", "d", "e"]
    assert out.filter(pl.col("id") == "c")["reason"].to_list() == ["no score"]


def test_a_dropped_row_says_its_rank_and_the_last_that_was_kept():
    out = rank.top(TABLE, by="score", keep=2)
    assert out["id"].to_list() == TABLE["id"].to_list()
    assert out.filter(pl.col("id") == "a").to_dicts() == [
        {"id": "a", "kept": False, "reason": "rank 4 by score, 2 kept", "because": "d"}
    ]


def test_rows_are_ranked_by_any_expression():
    assert kept(rank.top(TABLE, by="score - length", keep=1)) == ["b"]
    assert kept(rank.top(TABLE, by="-length", keep=2)) == ["b", "d"]
    assert columns_read(rank.top, {"by": "score - length"}) == ("score", "length")


def test_chance_depends_on_ids_and_seed_and_not_on_order():
    many = pl.DataFrame({"id": [f"r{i}" for i in range(200)]})
    first, other = kept(rank.chance(many, keep=50, seed=1)), kept(rank.chance(many, keep=50, seed=2))
    assert len(first) == len(other) == 50
    assert first != other
    assert set(kept(rank.chance(many.reverse(), keep=50, seed=1))) == set(first)


def test_chance_keeps_as_many_as_another_table_has():
    many = pl.DataFrame({"id": [f"r{i}" for i in range(20)]})
    assert len(kept(rank.chance(many, TABLE))) == 5
    with pytest.raises(RecipeError, match="either a number to keep or a table"):
        rank.chance(many)


def test_chance_favours_no_place():
    many = pl.DataFrame({"id": [f"r{i}" for i in range(40)]})
    counts = dict.fromkeys(many["id"], 0)
    for seed in range(200):
        for name in kept(rank.chance(many, keep=10, seed=seed)):
            counts[name] += 1
    assert all(20 <= count <= 80 for count in counts.values())  # 50 expected, standard deviation 6


def test_nothing_to_rank_is_no_verdict():
    assert len(rank.top(TABLE.clear(), by="score", keep=3)) == 0
    assert len(rank.top(TABLE, by="score", keep=0).filter("kept")) == 0


def test_strata_share_the_number_to_keep_evenly():
    many = pl.DataFrame({"id": list("abcdef"), "score": [6, 5, 4, 3, 2, 1], "kind": ["x", "x", "x", "x", "y", None]})
    out = rank.top(many, by="score", keep=4, per="kind")
    assert kept(out) == ["a", "b", "e"]
    assert out.filter(pl.col("id") == "c").to_dicts() == [
        {"id": "c", "kept": False, "reason": "rank 3 by score, 2 kept", "because": "b"}
    ]


ANSWERS = pl.DataFrame(
    {"id": ["p.0", "p.1", "q.0", "q.1", "r.0"], "parent": ["p", "p", "q", "q", "r"], "reward": [1.0, 2.0, 3.0, 3.0, None]}
)


def test_of_each_prompt_the_best_answer_is_kept_ties_by_id_and_nulls_never():
    out = rank.best(ANSWERS, by="reward")
    assert kept(out) == ["p.1", "q.0"]
    assert out["id"].to_list() == ANSWERS["id"].to_list()
    assert out.to_dicts()[0] == {"id": "p.0", "kept": False, "reason": "rank 2 of its parent by reward", "because": "p.1"}
    assert out.to_dicts()[4]["reason"] == "no reward"


def test_proportional_shares_follow_the_rows_and_sum_to_the_number_to_keep():
    many = pl.DataFrame({"id": list("abcdefg"), "score": [7, 6, 5, 4, 3, 2, 1], "kind": list("xxxxyyz")})
    out = rank.top(many, by="score", keep=4, per="kind", share="proportional")
    assert kept(out) == ["a", "b", "e", "g"]  # 16/7, 8/7, 4/7 rows: the cut-off parts are 2/7, 1/7 and 4/7
    assert kept(rank.top(many, by="score", keep=99, per="kind", share="proportional")) == many["id"].to_list()


def test_what_is_not_a_number_is_no_worth():
    out = rank.top(pl.DataFrame({"id": ["a", "b"], "score": [float("nan"), 1.0]}), by="score", keep=1)
    assert kept(out) == ["b"]
    assert out["reason"].to_list() == ["no score", None]


def test_an_expression_that_does_not_fit_the_columns_or_a_number_below_none_is_refused():
    with pytest.raises(RecipeError, match="score - id"):
        rank.top(TABLE, by="score - id", keep=1)
    with pytest.raises(RecipeError, match="keep -1"):
        rank.top(TABLE, by="score", keep=-1)


def test_the_lowest_tenth_goes_and_says_below_what_it_is():
    """Of twenty values 1 to 20 two are below the one that has a tenth below it, which is 3."""
    table = pl.DataFrame({"id": [f"r{i:02}" for i in range(22)], "reward": [*range(1, 21), None, float("nan")]}, strict=False)
    out = rank.drop_lowest(table, by="reward")
    assert out["id"].to_list() == table["id"].to_list()
    dropped = out.filter(~pl.col("kept")).select("id", "reason").rows()
    lowest = "in the lowest tenth by reward (< 3)"
    assert dropped == [("r00", lowest), ("r01", lowest), ("r20", "no reward"), ("r21", "no reward")]


def test_of_equals_none_is_among_the_lowest_and_of_fewer_than_ten_nothing():
    def dropped(values, **knobs):
        table = pl.DataFrame({"id": list(map(str, range(len(values)))), "s": values}, schema_overrides={"s": pl.Float64})
        return rank.drop_lowest(table, by="s", **knobs).filter(~pl.col("kept"))["id"].to_list()

    assert dropped([7.0] * 50) == []
    assert dropped([0.0] * 4 + [1.0] * 16) == []  # the tenth ends inside of the four
    assert dropped([0.0] * 1 + [1.0] * 19) == ["0"]
    assert dropped([float(i) for i in range(9)]) == []
    assert dropped([3.0, 1.0, 2.0, 4.0], share=0.5) == ["1", "2"]
    assert dropped([]) == []


def test_a_share_of_all_is_refused():
    with pytest.raises(RecipeError, match="share must be >= 0 and < 1, got 1"):
        rank.drop_lowest(TABLE, by="score", share=1)

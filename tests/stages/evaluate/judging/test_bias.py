from random import Random

import polars as pl
import pytest

from attar.core.errors import DataError, RecipeError
from attar.stages.evaluate.judging import bias


def named(**columns):
    count = len(next(iter(columns.values())))
    names = [f"q{i}" for i in range(count)]
    floats = {name: pl.Float64 for name in columns if name.startswith("preference") or name == "score"}
    return pl.DataFrame({"id": names, "question": names, **columns}, schema_overrides=floats)


def values(out):
    return dict(out.select("figure", "value").iter_rows())


def test_what_the_first_place_is_worth_is_as_worked_out_by_hand():
    # shown first 0.9 0.8 0.3, second 0.5 0.2 0.6; the second battle goes to the first place twice, the third to the second
    out = bias.position(named(preference_first=[0.9, 0.8, 0.3], preference_second=[0.5, 0.2, 0.6]))
    assert values(out) == {
        "won_first": pytest.approx(2 / 3),
        "won_second": pytest.approx(1.3 / 3),
        "first_wins": pytest.approx((0.7 + 0.8 + 0.35) / 3),
        "disagrees": pytest.approx(2 / 3),
        "to_first": pytest.approx(1 / 2),
        "gap": pytest.approx(0.7 / 3),
    }
    assert out["count"].to_list() == [3, 3, 3, 3, 2, 3]


def test_battles_shown_in_one_order_each_still_tell_the_gap():
    out = values(bias.position(named(preference_first=[0.9, None, 0.7], preference_second=[None, 0.4, None])))
    assert out["gap"] == pytest.approx(0.8 - 0.4)
    assert out["disagrees"] is None


def test_a_judge_without_a_favourite_place_has_a_gap_whose_interval_holds_nought():
    rng = Random(7)
    fair = [rng.random() for _ in range(300)]
    noise = [[min(1, max(0, p + rng.gauss(0, 0.1))) for p in fair] for _ in range(2)]
    out = bias.position(named(preference_first=noise[0], preference_second=noise[1]))
    gap = out.row(by_predicate=pl.col("figure") == "gap", named=True)
    assert gap["low"] < 0 < gap["high"]
    assert gap["high"] - gap["low"] < 0.05  # paired: the answers' own differences are not in it
    bent = bias.position(named(preference_first=[min(1, p + 0.1) for p in noise[0]], preference_second=noise[1]))
    assert bent.row(by_predicate=pl.col("figure") == "gap", named=True)["low"] > 0


def test_preference_rises_by_so_much_for_each_doubling_of_length():
    sizes = [(1, 1), (3, 1), (1, 3), (7, 1), (15, 1)]  # one more each: 0, 1, -1, 2 and 3 doublings
    rows = named(
        response=["r" * one for one, _ in sizes],
        against=["a" * other for _, other in sizes],
        preference=[0.45 + 0.1 * doublings for doublings in (0, 1, -1, 2, 3)],
    )
    out = bias.length(rows)
    assert values(out)["slope"] == pytest.approx(0.1)
    assert values(out)["longer_wins"] == pytest.approx(1.0)  # those of one length are left out
    assert out["count"].to_list() == [5, 4]
    assert values(bias.length(rows.with_columns(against=pl.col("response"))))["slope"] is None


def test_a_judge_that_is_only_milder_does_not_favour_its_own():
    models = ["mine", "mine", "other", "other"]
    harsh = named(score=[5.0, 6.0, 4.0, 7.0], model=models)
    mild = harsh.with_columns(pl.col("score") + 2)
    out = values(bias.self_preference(mild, harsh, names=["mild", "harsh"], own=["mine", None], score="score"))
    assert (out["gap"], out["rest"], out["self"]) == (2.0, 2.0, 0.0)
    fond = harsh.with_columns(score=pl.Series([8.0, 9.0, 4.0, 7.0]))
    assert values(bias.self_preference(fond, harsh, names=["fond", "harsh"], own=["mine", None], score="score"))["self"] == 3.0


def test_in_battles_those_against_its_own_model_count_the_other_way_round():
    sides = {"model": ["mine", "x", "x"], "opponent": ["x", "mine", "y"]}
    judge = named(preference=[0.9, 0.2, 0.1], **sides)
    other, third = named(preference=[0.6, 0.5, 0.9], **sides), named(preference=[0.8, 0.3, 0.9], **sides)
    out = bias.self_preference(judge, other, third, names=["j", "k", "l"], own=["mine", None, None])
    assert values(out) == {"gap": pytest.approx(((0.9 - 0.7) + (0.4 - 0.2)) / 2)}
    assert out["count"].to_list() == [2]


def test_what_cannot_be_looked_at_is_refused():
    table = named(preference=[0.5], model=["x"])
    with pytest.raises(DataError, match="no answer of 'mine' was scored by both 'a' and another judge"):
        bias.self_preference(table, table, names=["a", "b"], own=["mine", None])
    with pytest.raises(RecipeError, match="each judge's own model or null"):
        bias.self_preference(table, table, names=["a", "b"], own=[None, None])
    with pytest.raises(DataError, match="'preference_first' must hold numbers, got String"):
        bias.position(named(preference_second=[0.1]).with_columns(preference_first=pl.lit("x")))

from math import log, log10

import numpy as np
import polars as pl
import pytest
from battles_for_tests import battles, ratings_of
from hypothesis import given, settings
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.stages.evaluate.figures import bradley_terry
from attar.statistics.intervals import wilson

FORTY = battles(*[("new", "old", 1)] * 30, *[("new", "old", 0)] * 10)


def test_of_two_models_the_strength_is_the_log_of_wins_by_losses():
    out = bradley_terry.ratings(FORTY, anchor="old", ridge=0)
    assert ratings_of(out) == {"new": pytest.approx(log(3)), "old": 0}
    assert ratings_of(out, "rating") == {"new": pytest.approx(1000 + 400 * log10(3)), "old": 1000}
    assert ratings_of(out, "win_rate") == {"new": pytest.approx(75), "old": 50}


def test_its_interval_is_about_the_normal_one():
    row = bradley_terry.ratings(FORTY, anchor="old", bootstrap=4000).row(
        by_predicate=pl.col("id") == "new/win_rate", named=True
    )
    half = 196 * (0.75 * 0.25 / 40) ** 0.5
    assert (row["low"], row["high"]) == (pytest.approx(75 - half, abs=2.6), pytest.approx(75 + half, abs=2.6))


def test_strengths_add_along_a_chain_and_ties_are_half_a_win():
    rows = [*[("a", "b", 1)] * 3, ("a", "b", 0), ("b", "c", 1), ("c", "b", 0), ("b", "c", 0.5), ("c", "b", 0.5), ("b", "c", 0)]
    out = bradley_terry.ratings(battles(*rows), anchor="c", ridge=0)  # b won 1 + 1 + 0.5 + 0.5 of 5 against c
    assert ratings_of(out) == {"a": pytest.approx(log(3) + log(3 / 2)), "b": pytest.approx(log(3 / 2)), "c": 0}


def test_a_weight_is_as_many_rows():
    heavy = battles(("new", "old", 1), ("new", "old", 0), votes=[3.0, 2.0])
    assert ratings_of(bradley_terry.ratings(heavy, anchor="old", weight="votes", ridge=0))["new"] == pytest.approx(log(1.5))


def test_a_covariate_that_splits_the_games_is_solved_by_hand():
    rows = [*[("new", "old", 1)] * 3, ("new", "old", 0), ("old", "new", 0), *[("old", "new", 1)] * 2]
    longer = [1.0] * 4 + [1.0] * 3  # where the new one is longer it wins 3 of 4; where it is shorter, 1 of 3
    out = bradley_terry.ratings(battles(*rows, longer=longer), anchor="old", covariates=["longer"], ridge=0)
    assert ratings_of(out)["new"] == pytest.approx((log(3) - log(2)) / 2)  # what is half way between log 3 and log 1/2
    assert ratings_of(out, "longer")[None] == pytest.approx((log(3) + log(2)) / 2)


def test_questions_that_are_asked_four_times_are_no_more_questions():
    once = bradley_terry.ratings(FORTY, anchor="old", seed=1)
    four = bradley_terry.ratings(
        pl.concat([FORTY.with_columns(id=pl.col("id") + f"/{i}") for i in range(4)]), anchor="old", seed=1
    )
    ends = once.select("low", "high").to_numpy()
    assert four.select("low", "high").to_numpy() == pytest.approx(ends, rel=1e-2)  # the ridge weighs a quarter


@settings(max_examples=20)
@given(st.randoms())
def test_ratings_depend_on_neither_the_order_of_battles_nor_of_sides(random):
    rng = np.random.default_rng(3)
    rows = [
        (f"m{i}", f"m{j}", float(rng.random() < 0.5), float(rng.normal())) for i in range(4) for j in range(i) for _ in range(5)
    ]
    first = battles(*[row[:3] for row in rows], lead=[row[3] for row in rows])
    flip = [random.random() < 0.5 for _ in rows]
    turned = first.with_columns(flip=pl.Series(flip)).with_columns(
        model=pl.when("flip").then("opponent").otherwise("model"),
        opponent=pl.when("flip").then("model").otherwise("opponent"),
        preference=pl.when("flip").then(1 - pl.col("preference")).otherwise("preference"),
        lead=pl.when("flip").then(-pl.col("lead")).otherwise("lead"),
    )
    other = turned[random.sample(range(len(rows)), len(rows))]
    one, two = (bradley_terry.ratings(t, anchor="m0", covariates=["lead"], bootstrap=20) for t in (first, other))
    for column in ("value", "low", "high"):
        assert two[column].to_numpy() == pytest.approx(one[column].to_numpy(), abs=1e-6)


def test_the_ridge_moves_nobody_who_both_won_and_lost():
    with_it, without = (ratings_of(bradley_terry.ratings(FORTY, anchor="old", ridge=ridge), "rating") for ridge in (0.01, 0))
    assert 0 < without["new"] - with_it["new"] < 0.3


def test_who_lost_everything_has_one_end_and_a_note():
    lost = battles(*[("null", "old", 0)] * 50, *[("new", "old", i % 2) for i in range(50)])
    out = bradley_terry.ratings(lost, anchor="old")
    odds, _, rate = out.filter(pl.col("model") == "null").to_dicts()
    high = wilson(0, 100)[1]  # of 100 questions
    assert (odds["low"], odds["high"]) == (None, pytest.approx(log(high / (1 - high)), abs=0.05))
    assert (rate["low"], rate["high"]) == (0.0, pytest.approx(100 * high, abs=0.2))
    assert rate["value"] < rate["high"]
    assert "lost everything" in rate["note"]
    assert out.filter(pl.col("model") != "null")["note"].null_count() == 6


def test_without_a_ridge_who_won_everything_is_an_error_that_names_it():
    with pytest.raises(DataError, match=r"'new'.*set a ridge"):
        bradley_terry.ratings(battles(("new", "old", 1), ("new", "old", 1)), anchor="old", ridge=0)


def test_models_that_never_met_are_an_error_that_names_them():
    rows = [("a", "b", i % 2) for i in range(4)] + [("c", "d", i % 2) for i in range(4)]
    with pytest.raises(DataError, match="links 'c', 'd' with the anchor 'a'"):
        bradley_terry.ratings(battles(*rows), anchor="a")


def test_groups_where_one_always_won_are_an_error():
    rows = [("a", "b", i % 2) for i in range(4)] + [("c", "d", i % 2) for i in range(4)] + [("a", "c", 1)]
    with pytest.raises(DataError, match="'c', 'd' and the anchor 'a'"):
        bradley_terry.ratings(battles(*rows), anchor="a")


@pytest.mark.parametrize(
    ("rows", "knobs", "match"),
    [
        ([("new", "old", 1)], {"anchor": "odl"}, "did you mean 'old'"),
        ([("new", "old", 1.5)], {"anchor": "old"}, "'b0'.*from 0 to 1"),
        ([("new", "new", 1)], {"anchor": "new"}, "two different models"),
        ([("new", None, 1)], {"anchor": "new"}, "has no question, model or opponent"),
        ([("new", "old", 1)], {"anchor": "old", "ridge": -1}, "must be >= 0"),
    ],
)
def test_a_mistake_is_named_by_what_is_wrong(rows, knobs, match):
    with pytest.raises((DataError, RecipeError), match=match):
        bradley_terry.ratings(battles(*rows), **knobs)


def test_battles_without_a_preference_do_not_count():
    more = pl.concat([FORTY, battles(("new", "old", None), ("new", "old", None)).cast(FORTY.schema)])
    assert bradley_terry.ratings(more, anchor="old").equals(bradley_terry.ratings(FORTY, anchor="old"))

from math import sqrt
from statistics import correlation

import numpy as np
import polars as pl
import pytest
from agreement_for_tests import HAND, LINES, line, table
from hypothesis import given, settings

from attar.core.errors import DataError, RecipeError
from attar.core.stage import columns_read
from attar.stages.evaluate.judging import agreement
from attar.statistics.intervals import wilson


def values(out):
    return dict(out.select("id", "value").iter_rows())


def test_the_figures_of_five_rows_are_those_worked_out_by_hand():
    out = agreement.measure(HAND, bootstrap=0)
    assert values(out) == {
        "spearman": pytest.approx(8.5 / sqrt(9.5 * 10)),
        "pearson": pytest.approx(11.8 / sqrt(12.8 * 14.8)),
        "pairs": 0.625,  # of p two pairs of three are right, the one of q is a tie
        "best": 0.25,  # of p it is not, of q each of the two as likely
        "lost": 1.0,
        "exact": 0.2,
        "absolute_error": 0.8,
        "bias": pytest.approx(0, abs=1e-12),
        "unscored": 0.0,
    }
    assert out["count"].to_list() == [5, 5, 4, 2, 2, 5, 5, 5, 5]


def test_without_prompts_pairs_are_made_of_all_rows_and_there_is_no_best():
    out = agreement.measure(HAND, of=None)
    assert (line(out, "pairs")["value"], line(out, "pairs")["count"]) == (pytest.approx(0.85), 10)
    assert line(out, "best") == {"id": "best", "value": None, "low": None, "high": None, "count": 0}


def test_what_has_no_score_or_no_label_is_left_out_and_what_has_no_score_is_counted():
    more = table(("p", None, 9), ("q", float("nan"), 0), ("q", 7, None)).with_columns(id="x" + pl.col("id"))
    out = agreement.measure(pl.concat([HAND, more]))
    same = agreement.measure(HAND)
    assert out.filter(pl.col("id") != "unscored").equals(same.filter(pl.col("id") != "unscored"))
    low, high = wilson(2, 7)
    assert line(out, "unscored") == {"id": "unscored", "value": 2 / 7, "low": low, "high": high, "count": 7}


def test_labels_that_are_all_equal_give_no_order_but_still_errors():
    got = {row["id"]: row for row in agreement.measure(HAND.with_columns(label=3.0)).to_dicts()}
    assert {
        name: (got[name]["value"], got[name]["low"], got[name]["count"]) for name in ("spearman", "pearson", "pairs", "best")
    } == {
        "spearman": (None, None, 5),
        "pearson": (None, None, 5),
        "pairs": (None, None, 0),
        "best": (None, None, 0),
    }
    assert got["absolute_error"]["value"] == pytest.approx(7 / 5)
    assert got["bias"]["value"] == pytest.approx(1 / 5)


@pytest.mark.parametrize("value", [0.1, 0.7, 1e9 / 3])
def test_what_rounding_leaves_of_a_score_that_is_always_the_same_is_no_agreement(value):
    for count in (3, 7, 11):
        out = agreement.measure(table(*(("p", value, i / 3) for i in range(count))), of=None, bootstrap=3)
        assert (values(out)["pearson"], values(out)["spearman"], values(out)["pairs"]) == (None, None, 0.5)


def test_a_half_is_rounded_up():
    assert values(agreement.measure(table(("p", 0.5, 1), ("p", 1.5, 2), ("p", 2.5, 3), ("p", 2.49, 3))))["exact"] == 0.75


@pytest.mark.parametrize(
    "rows", [HAND.with_columns(score=pl.lit(None, dtype=pl.Float64)), HAND.clear()], ids=["unscored", "empty"]
)
def test_where_nothing_is_scored_every_figure_is_null(rows):
    for out in (agreement.measure(rows), agreement.side_by_side(rows, rows, names=["a", "b"])):
        told = out.filter(~pl.col("id").str.ends_with("unscored"))
        assert told["value"].null_count() == len(told)
        assert set(told["count"]) == {0}
    assert line(agreement.measure(rows), "unscored")["value"] == (1.0 if len(rows) else None)
    assert line(agreement.reliability(rows), "all")["gap"] is None


def plain_pairs(rows, *, within):
    points = [(a[1] > b[1]) + (a[1] == b[1]) / 2 for a in rows for b in rows if a[2] > b[2] and (a[0] == b[0] or not within)]
    return (sum(points) / len(points) if points else None), len(points)


def plain_spearman(rows):
    ranks = [
        [sum((y < x) + (y == x) / 2 for y in column) for x in column] for column in ([r[1] for r in rows], [r[2] for r in rows])
    ]
    return None if any(len(set(rank)) == 1 for rank in ranks) else correlation(*ranks)


@given(LINES)
def test_pairs_and_ranks_are_those_of_plain_loops(rows):
    for of in ("parent", None):
        out = agreement.measure(table(*rows), of=of, bootstrap=0)
        share, count = plain_pairs(rows, within=of is not None)
        assert line(out, "pairs")["value"] == (share if share is None else pytest.approx(share))
        assert line(out, "pairs")["count"] == count
        assert line(out, "spearman")["value"] == (None if (rho := plain_spearman(rows)) is None else pytest.approx(rho))


@given(LINES)
@settings(max_examples=25)
def test_a_draw_is_the_rows_repeated_as_often_as_their_prompt_was_drawn(rows):
    names = sorted({row[0] for row in rows})
    drawn = [names[int(place)] for place in np.random.default_rng(5).integers(0, len(names), len(names)).tolist()]
    again = [(f"{place}", *row[1:]) for place, name in enumerate(drawn) for row in rows if row[0] == name]
    whole, other = agreement.measure(table(*rows), bootstrap=1, seed=5), values(agreement.measure(table(*again), bootstrap=0))
    for name, value, low, high, _ in whole.iter_rows():
        if low is not None and low == high:  # not Wilson's
            assert low == pytest.approx(other[name], abs=1e-9), (name, value)


@given(LINES)
@settings(max_examples=25)
def test_stretching_a_score_leaves_its_order_alone_and_turning_it_round_turns_that(rows):
    given_ = table(*rows)
    for of in ("parent", None):
        before, stretched = (
            agreement.measure(side, of=of, bootstrap=20) for side in (given_, given_.with_columns(pl.col("score").exp() - 7))
        )
        turned = values(agreement.measure(given_.with_columns(-pl.col("score")), of=of, bootstrap=0))
        ordered = pl.col("id").is_in(["spearman", "pairs", "best", "lost"])
        assert before.filter(ordered).equals(stretched.filter(ordered))
        if (pairs := values(before)["pairs"]) is not None:
            assert turned["pairs"] == pytest.approx(1 - pairs)
        if (rho := values(before)["spearman"]) is not None:
            assert turned["spearman"] == pytest.approx(-rho)


def crowd(prompts, answers, seed=0):
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 11, prompts * answers).astype(float)
    score = gold + rng.normal(0.5, 2, len(gold))
    return table(*((f"p{i // answers:04d}", s, g) for i, (s, g) in enumerate(zip(score, gold, strict=True))))


def test_the_order_of_the_table_does_not_matter():
    rows = crowd(40, 3)
    assert agreement.measure(rows.sample(fraction=1, shuffle=True, seed=1)).equals(agreement.measure(rows))


def test_of_rows_that_stand_alone_a_mean_has_its_normal_interval():
    rows = crowd(2000, 1)
    bias, half = line(agreement.measure(rows, of=None), "bias"), 1.96 * 2 / sqrt(2000)
    assert bias["value"] == pytest.approx(0.5, abs=2 * half)
    assert (bias["value"] - bias["low"], bias["high"] - bias["value"]) == (
        pytest.approx(half, rel=0.1),
        pytest.approx(half, rel=0.1),
    )


def test_over_all_rows_the_interval_of_pairs_is_that_of_drawing_rows_again():
    rows = crowd(150, 1)
    score, gold = rows["score"].to_numpy(), rows["label"].to_numpy()
    right, able = (score[:, None] > score) & (gold[:, None] > gold), gold[:, None] > gold
    rng = np.random.default_rng(1)
    draws = [np.ix_(at, at) for at in rng.integers(0, 150, (2000, 150))]
    low, high = np.quantile([right[at].sum() / able[at].sum() for at in draws], [0.025, 0.975])
    told = line(agreement.measure(rows, of=None), "pairs")
    assert (told["low"], told["high"]) == (pytest.approx(low, abs=0.006), pytest.approx(high, abs=0.006))


def test_answers_that_only_repeat_their_prompts_first_make_no_interval_narrower():
    once = crowd(50, 1)
    often = pl.concat([once.with_columns(id=pl.lit(f"{copy}-") + pl.col("id")) for copy in range(4)])
    one, four = agreement.measure(once), agreement.measure(often)
    for name in ("spearman", "pearson", "exact", "absolute_error", "bias"):
        for end in ("low", "high"):
            assert line(one, name)[end] == pytest.approx(line(four, name)[end]), name
    assert line(four, "bias")["count"] == 200


def test_a_score_without_a_fault_is_no_more_sure_than_its_prompts_are_many():
    rows = table(*((f"p{i}", j, j) for i in range(10) for j in range(5)), ("without pairs", 3, 3))
    out, beside = agreement.measure(rows), agreement.side_by_side(rows, names=["one"])
    for name, prompts in (("pairs", 10), ("best", 10), ("exact", 11)):
        low, high = wilson(prompts, prompts)
        for told in (line(out, name), line(beside, f"one/{name}")):
            assert (told["value"], told["low"], told["high"]) == (1.0, low, high)


def test_one_prompt_alone_has_no_interval():
    bias = line(agreement.measure(HAND.filter(pl.col("parent") == "p")), "bias")
    assert (bias["value"], bias["low"], bias["high"]) == (pytest.approx(0, abs=1e-12), None, None)


def test_scores_are_compared_on_the_rows_that_all_of_them_scored():
    other = HAND.with_columns(score=pl.Series([None, 3.0, 2.0, 4.0, 6.0])).reverse()
    out = agreement.side_by_side(HAND, other, names=["old", "new"])
    got = {
        name: values(out.filter(pl.col("name") == name).select(pl.col("figure").alias("id"), "value"))
        for name in ("old", "new")
    }
    assert (got["old"]["pairs"], got["new"]["pairs"]) == (0.25, 1.0)  # of p 2 against 3, and q's tie
    assert (got["old"]["unscored"], got["new"]["unscored"]) == (0.0, 0.2)
    assert line(out, "new/pairs")["over_first"] == 0.75
    assert line(agreement.side_by_side(other, HAND, names=["new", "old"]), "old/pairs")["over_first"] == -0.75
    assert line(out, "new/absolute_error")["over_first"] == -1.0
    assert set(out.filter(pl.col("name") == "old")["over_first"].drop_nulls()) == {0.0}
    assert out.columns[3:] == ["value", "low", "high", "count", "over_first", "over_first_low", "over_first_high"]


def test_what_both_scores_share_does_not_blur_the_difference_between_them():
    rows = crowd(60, 4)
    out = agreement.side_by_side(rows, rows.with_columns(pl.col("score") + 0.25), names=["one", "more"])
    bias = line(out, "more/bias")
    assert (bias["over_first"], bias["over_first_low"], bias["over_first_high"]) == (pytest.approx(0.25),) * 3
    assert bias["high"] - bias["low"] > 0.3
    assert line(out, "more/spearman")["over_first_high"] == 0.0


def test_each_score_beside_others_has_the_figures_that_it_has_alone():
    rows = crowd(30, 3)
    out = agreement.side_by_side(rows, crowd(30, 3).with_columns(-pl.col("score")), names=["one", "other"])
    alone = agreement.measure(rows).rename({"id": "figure"})
    assert out.filter(pl.col("name") == "one").select(alone.columns).equals(alone)


def test_rows_of_one_id_that_differ_and_names_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"row '2' .* in 'new' than in 'old'"):
        agreement.side_by_side(HAND, HAND.with_columns(label=pl.Series([1.0, 3.0, 9.0, 4.0, 6.0])), names=["old", "new"])
    with pytest.raises(DataError, match=r"row '0' .* another gold label or prompt"):
        agreement.side_by_side(HAND, HAND.with_columns(parent=pl.Series(["z", "p", "p", "q", "q"])), names=["old", "new"])
    for names in (["one"], ["one", "one"]):
        with pytest.raises(RecipeError, match="each of 2 tables"):
            agreement.side_by_side(HAND, HAND, names=names)
    with pytest.raises(RecipeError, match="each of 0 tables"):
        agreement.side_by_side(names=[])


def test_columns_that_are_no_numbers_endless_or_without_a_prompt_are_refused():
    with pytest.raises(DataError, match="'label' must hold numbers, got String"):
        agreement.measure(HAND.with_columns(pl.col("label").cast(pl.String)))
    with pytest.raises(DataError, match="row '1' has an infinite score"):
        agreement.measure(HAND.with_columns(score=pl.Series([1.0, float("inf"), 3.0, 4.0, 5.0])))
    with pytest.raises(DataError, match="row '4' has no parent"):
        agreement.measure(HAND.with_columns(parent=pl.Series(["p", "p", "p", "q", None])))
    with pytest.raises(RecipeError, match="bootstrap must be >= 0, got -1"):
        agreement.measure(HAND, bootstrap=-1)


def test_only_the_columns_that_are_named_are_read():
    assert columns_read(agreement.measure, {"gold": "human"}) == ("score", "human", "parent")
    assert columns_read(agreement.measure, {"of": None}) == ("score", "label")
    assert columns_read(agreement.side_by_side, {"names": ["a"], "of": "prompt"}) == ("score", "label", "prompt")


def test_few_prompts_have_the_wider_interval_that_they_need():
    covered = 0
    for seed in range(300):
        gaps = np.random.default_rng(seed).normal(size=6)
        table = pl.DataFrame({"id": list("abcdef"), "parent": list("abcdef"), "score": gaps, "label": [0.0] * 6})
        bias = agreement.measure(table, bootstrap=300, seed=seed).filter(id="bias").row(0, named=True)
        covered += bias["low"] <= 0 <= bias["high"]
    assert covered / 300 > 0.91  # the middle 95% of the draws cover the true bias 0 in 86% of cases

import polars as pl
import pytest
from engines_for_tests import Scripted
from pair_judges_for_tests import constant, good, picks_second, without_mass

from attar.api.judge_check import check_judge
from attar.core.errors import EngineError
from attar.stages.evaluate.judging import judge_check
from attar.statistics.intervals import wilson


def check(say):
    return check_judge(Scripted(say))


def figure(table, way, name):
    return table.row(by_predicate=(pl.col("way") == way) & (pl.col("figure") == name), named=True)


def test_a_good_judge_is_able_both_ways_and_is_asked_eighty_times():
    engine = Scripted(good)
    table = check_judge(engine)
    assert judge_check.reasons(table) == []
    assert len(engine.asked) == 80
    assert figure(table, "pointwise", "right")["value"] == figure(table, "pairwise", "right")["value"] == 1.0
    assert figure(table, "pointwise", "gap")["value"] == pytest.approx(7, abs=1e-3)  # 9 and 2
    assert figure(table, "pointwise", "spread")["value"] == pytest.approx(3.5, abs=1e-3)  # half are 9, half are 2
    assert figure(table, "pairwise", "disagrees")["value"] == 0
    assert figure(table, "pairwise", "first_shown")["value"] == 0.5
    assert judge_check.plain(table)["able"] == {"pointwise": True, "pairwise": True}


def test_a_judge_that_always_picks_the_second_answer_is_unable_in_pairs_only():
    table = check(picks_second)
    told = judge_check.plain(table)
    assert told["able"] == {"pointwise": True, "pairwise": False}
    assert "pairwise, its two orders disagree in 100% of pairs (at most 40%)" in told["reasons"]
    assert figure(table, "pairwise", "first_shown") | {"id": 0, "judge": 0, "way": 0} == {
        "id": 0,
        "judge": 0,
        "way": 0,
        "figure": "first_shown",
        "value": 0.0,
        "low": 0.0,
        "high": pytest.approx(wilson(0, 20)[1]),
        "count": 40,
        "unable": None,
    }


def test_a_judge_whose_probability_is_on_no_label_is_unable_both_ways():
    told = judge_check.plain(check(without_mass))
    assert told["able"] == {"pointwise": False, "pairwise": False}
    assert told["reasons"] == [f"{way}, its probability is on no label (median 1.0%)" for way in ("pointwise", "pairwise")]


def test_a_judge_whose_ratings_do_not_vary_is_unable_one_by_one_only():
    told = judge_check.plain(check(constant))
    assert told["able"] == {"pointwise": False, "pairwise": True}
    assert told["reasons"][0].startswith("pointwise, its ratings do not vary (standard deviation ")


def test_a_judge_that_cannot_give_label_probabilities_is_unable_for_that_reason():
    told = judge_check.plain(check(lambda request: ValueError("no logprobs here")))
    assert told["reasons"] == [
        "pointwise, only 0 of 20 pairs have a verdict (no logprobs here)",
        "pairwise, only 0 of 20 pairs have a verdict (shown first: no logprobs here)",
    ]


def compared(preferences):
    return pl.DataFrame(
        [
            {
                "question": f"q{i}",
                "preference": (first + second) / 2,
                "preference_first": first,
                "preference_second": second,
                "mass": 0.5,
                "preference_error": None,
            }
            for i, (first, second) in enumerate(preferences)
        ],
        schema_overrides={"preference_error": pl.String},
    )


def rated(scores, mass=0.8):
    rows = [
        {"question": f"q{i}", "better": side == 0, "score": score, "score_mass": mass, "score_error": None}
        for i, pair in enumerate(scores)
        for side, score in enumerate(pair)
    ]
    return pl.DataFrame(rows, schema_overrides={"score_error": pl.String, "score": pl.Float64})


def test_figures_are_those_worked_out_by_hand():
    """Five pairs: 2 of 4 decided pairs agree, one of them rightly; a tie in one order is no disagreement."""
    table = judge_check.figures(
        rated([(8, 2), (7, 7), (4, 6), (9, 5), (None, 3)]),
        compared([(0.9, 0.8), (0.9, 0.1), (0.2, 0.3), (0.1, 0.7), (0.5, 0.9)]),
        judge="j",
    )
    right = figure(table, "pointwise", "right")
    assert (right["value"], right["low"], right["high"], right["count"]) == (0.5, *wilson(2, 4), 4)
    assert right["unable"] == "it rates the better answer higher in 2 of 4 pairs (15% to 85%), as chance may do too"
    assert figure(table, "pointwise", "gap")["value"] == (6 + 0 - 2 + 4) / 4
    assert figure(table, "pointwise", "judged")["value"] == 0.8
    apart = figure(table, "pairwise", "disagrees")
    assert (apart["value"], apart["low"], apart["high"]) == (0.4, *wilson(2, 5))
    assert apart["unable"] is None  # 40% is not more than 40%
    agreed = figure(table, "pairwise", "right")
    assert (agreed["value"], agreed["count"]) == (0.5, 2)
    assert agreed["unable"] == "it picks the better answer in 1 of 2 pairs (9% to 91%), as chance may do too"
    first = [1, 1, 0, 0, 0.5, 0, 1, 1, 0, 0]  # shown first as `response`, then as `against`
    assert figure(table, "pairwise", "first_shown")["value"] == pytest.approx(sum(first) / 10)


@pytest.mark.parametrize(("right", "able"), [(14, False), (15, True)])  # Wilson's lower ends: 48% and 53%
def test_a_judge_must_be_right_more_often_than_a_coin_may_be(right, able):
    table = judge_check.figures(rated([(8, 2)] * right + [(2, 8)] * (20 - right)), judge="j")
    assert (judge_check.reasons(table) == []) is able


def test_ratings_that_hardly_vary_are_told_from_those_that_do():
    flat, varied = (judge_check.figures(rated([(5 + d, 5)] * 20), judge="j") for d in (0.09, 0.11))
    assert [len(judge_check.reasons(table)) for table in (flat, varied)] == [1, 0]  # standard deviations of 0.045 and 0.055


def test_the_median_has_the_interval_of_the_sign_test():
    """Of twenty values the sixth and the fifteenth: P(Binomial(20, 1/2) <= 5) = 2.07%."""
    table = judge_check.figures(
        rated([(8, 2)] * 20).with_columns(score_mass=pl.Series([(i // 2 + 1) / 20 for i in range(40)])), judge="j"
    )
    mass = figure(table, "pointwise", "mass")
    assert (mass["value"], mass["low"], mass["high"]) == pytest.approx((0.525, 0.3, 0.75))


def test_an_unable_judge_is_refused_with_its_figures_and_the_knob_unless_forced():
    table = check(picks_second)
    with pytest.raises(EngineError, match=r"scripted cannot judge: pairwise, .* disagree in 100% of pairs.*force_judge: true"):
        judge_check.refuse_unable(table)
    assert set(judge_check.refuse_unable(table, force=True)["figure"]) == {"disagrees", "right"}
    assert judge_check.refuse_unable(check(good)).is_empty()


def test_a_part_of_the_pairs_refuses_nobody():
    some = check(picks_second).with_columns(pl.when(pl.col("figure") == "judged").then(9).otherwise("count").alias("count"))
    assert len(judge_check.refuse_unable(some)) == 2

import re
from itertools import pairwise

import polars as pl
import pytest

from attar.core.errors import DataError
from attar.outputs.report import accuracy_curve
from attar.outputs.report.arm_scores import Arm, ScoreEstimate, arms
from attar.outputs.report.page import write_report

ROUNDS = ["round-4", "round-1", "round-2", "round-3", "oracle", "none"]


def drawn(chart, key):
    """The rows of the layer whose rows have this key."""
    return next(data for data in chart["datasets"].values() if key in data[0])


def arm(name, value, low=None, high=None, runs=()):
    figure = ScoreEstimate(value, value if low is None else low, value if high is None else high, runs or (value,))
    return Arm(name, figure, figure, {})


def test_three_seeds_stand_side_by_side_with_their_mean_and_its_interval(made, page, scored):
    for seed, right in enumerate((100, 106, 112)):
        made(f"seed-{seed}", {"scores": scored({"new": right, "old": 80 + seed})}, seed=seed)
    shown = page("seed-0", "seed-1", "seed-2")
    head, new, *_ = shown.table("arm")
    assert head == ["arm", "seed-0", "seed-1", "seed-2", "mean", "95% interval", "easy", "hard"]
    assert new[:6] == ["new", "50.0%", "53.0%", "56.0%", "53.0%", "45.5 to 60.5"]  # 53 +- 4.303 * 3 / sqrt(3)
    assert new[6:] == ["53.0%", "53.0%"]
    strokes = [data for data in shown.charts["arms"]["datasets"].values() if "label" not in data[0]]
    assert strokes[0][:3] == [{"arm": "new", "value": value} for value in (0.50, 0.53, 0.56)]
    leads = shown.tables[1]
    assert leads[1] == ["old", "+10.0", "+12.5", "+15.0", "+12.5", "+6.3 to +18.7"]  # 12.5 +- 4.303 * 2.5 / sqrt(3)
    assert "The runs differ in seed (0; 1; 2)." in shown.text
    assert "Everything below is from the first run, seed-0." in shown.text


def test_one_run_has_wilsons_interval_and_no_word_of_several(made, page, scored):
    made("one", {"scores": scored({"new": 160, "old": 80})})  # Wilson of 160 of 200: 73.9 to 85.0
    shown = page("one")
    assert shown.table("arm")[1][:3] == ["new", "80.0%", "73.9 to 85.0"]
    *levels, lead = shown.table("arm")[2][3:]
    assert levels == ["40.0%", "40.0%"]
    found = [float(number) for number in re.fullmatch(r"(\S+) \((\S+) to (\S+)\)", lead).groups()]
    assert found == pytest.approx([40.0, 33.2, 46.8], abs=0.8)  # 40 +- 1.96 * sqrt(0.4 * 0.6 / 200), in steps of half a point
    assert drawn(shown.charts["arms"], "label")[0]["label"] == "80.0% (73.9 to 85.0)"
    assert "first run" not in shown.text


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"new": 90}, "run 'b' has no arm 'old', but 'a' has one"),
        ({"new": 90, "old": 80, "odd": 1}, "run 'b' has an arm 'odd', but 'a' has none"),
        ({}, "run 'b' has no scores, because its recipe evaluates nothing"),
        (None, "run 'b' has no scores yet: finish it (attar resume b)"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_by_name(made, home, scored, other, message):
    made("a", {"scores": scored({"new": 100, "old": 80})})
    made("b", {"scores": scored(other) if other else None} if other != {} else {})
    with pytest.raises(DataError, match=re.escape(message)):
        write_report(home, "a", "b")


def test_runs_of_two_recipes_are_refused(made, home, scored):
    made("a", {"scores": scored({"new": 100})})
    made("b", {"scores": scored({"new": 90})}, recipe="pika")
    with pytest.raises(DataError, match="run 'b' has the recipe 'pika', but 'a' has 'alma'"):
        write_report(home, "a", "b")


def test_a_run_is_not_compared_with_itself(made, home, scored):
    made("a", {"scores": scored({"new": 100})})
    with pytest.raises(DataError, match="'a' and 'a' have identical scores"):
        write_report(home, "a", "a")


def test_an_arm_keeps_its_lead_whatever_arm_another_run_names_first(scored):
    one, two = scored({"new": 100, "old": 80}), scored({"old": 90, "new": 100})
    assert arms([one, two])[1].lead.runs == (pytest.approx(0.10), pytest.approx(0.05))


def test_rounds_stand_in_order_and_an_interval_beyond_all_or_nothing_is_cut_off():
    found = accuracy_curve.points([arm("round-10", 1.0, 0.9, 1.3), arm("round-2", 0.1, -0.2, 0.3), arm("oracle", 0.5)])
    assert [(point["round"], point["value"], point["low"], point["high"]) for point in found] == [
        (2, 0.1, 0.0, 0.3),
        (10, 1.0, 0.9, 1.0),
    ]


def test_each_run_has_a_line_of_its_own_and_one_run_has_none():
    several = [arm(f"round-{n}", 0.5, runs=(0.5 - n / 10, 0.5 + n / 10)) for n in (1, 2)]
    assert [(line["run"], line["round"], line["value"]) for line in accuracy_curve.runs(several)] == [
        (0, 1, 0.4),
        (0, 2, 0.3),
        (1, 1, 0.6),
        (1, 2, 0.7),
    ]
    assert accuracy_curve.runs([arm("round-1", 0.5)]) == []


def test_two_rounds_are_no_curve_and_stay_in_the_bars():
    two = [arm("round-2", 0.3), arm("round-1", 0.2), arm("none", 0.0)]
    assert accuracy_curve.curve(two) is None
    assert accuracy_curve.in_bars(two) == two


def test_labels_of_other_arms_never_overlap_and_many_of_them_are_not_drawn():
    numbered = [arm(f"round-{n}", 0.5) for n in (1, 2, 3)]
    levels = accuracy_curve.levels([*numbered, arm("a", 0.500), arm("b", 0.505), arm("c", 0.2)])
    assert [(level["name"], level["value"]) for level in levels] == [("b", 0.505), ("a", 0.5), ("c", 0.2)]
    assert all(above["label_y"] - below["label_y"] >= 0.05 for above, below in pairwise(levels))
    assert levels[2]["label_y"] == 0.2
    assert accuracy_curve.levels([*numbered, *(arm(name, 0.1) for name in "abcd")]) == []


def test_the_page_draws_rounds_as_a_curve_and_only_the_last_as_a_bar(made, page, scored):
    made("one", {"scores": scored(dict(zip(ROUNDS, (120, 60, 80, 100, 130, 10), strict=True)))})
    shown = page("one")
    points = drawn(shown.charts["curve"], "round")
    assert [(point["round"], point["value"]) for point in points] == [(1, 0.3), (2, 0.4), (3, 0.5), (4, 0.6)]
    assert [level["name"] for level in drawn(shown.charts["curve"], "label_y")] == ["oracle", "none"]
    bars = drawn(shown.charts["arms"], "label")
    assert [(bar["arm"], bar["value"]) for bar in bars] == [("round-4", 0.6), ("oracle", 0.65), ("none", 0.05)]
    assert [row[0] for row in shown.table("arm")[1:]] == ROUNDS
    assert shown.table("arm")[1][:3] == ["round-4", "60.0%", "53.1 to 66.5"]


def test_a_curve_over_runs_has_a_thin_line_for_each(made, page, scored):
    for seed in range(2):
        made(f"s{seed}", {"scores": scored({f"round-{n}": 20 * n + seed for n in (3, 1, 2)})}, seed=seed)
    lines = drawn(page("s0", "s1").charts["curve"], "run")
    assert [line["value"] for line in lines if line["run"] == 0] == pytest.approx([0.1, 0.2, 0.3])
    assert {line["run"] for line in lines} == {0, 1}


def test_figures_of_any_result_are_shown_with_who_stood_behind_them(made, page):
    row = {"figure": "win rate", "model": "new", "value": 0.625, "low": 0.5, "high": 0.75, "count": 805, "judge": "big"}
    made("one", {"figures-alpaca": pl.DataFrame([{"id": "a", **row}])})
    shown = page("one")
    assert "alpaca" in shown.text
    assert "judge: big" in shown.text
    assert shown.table("")[1] == [" new", "0.625", "0.5 to 0.75", "805"]
    assert [name for name in shown.charts if name.startswith("figure")] == ["figure-1-1"]

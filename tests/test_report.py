import re
from html.parser import HTMLParser
from itertools import pairwise

import polars as pl
import pytest

from attar.engines.base import Spec
from attar.errors import DataError
from attar.evaluate import agreement, stats
from attar.flow import trace
from attar.home import write_json
from attar.recipes.alma import alma
from attar.report.arms import Arm, Figure, arms
from attar.report.curve import FRAME, MARGIN, curve, height, in_bars
from attar.report.page import write_report
from attar.report.resources import by_round
from attar.report.trust import reliability
from attar.report.words import measured, points, took
from attar.select import cluster, enough
from attar.table import write_part

ROUNDS = ["round-4", "round-1", "round-2", "round-3", "oracle", "none"]


class Page(HTMLParser):
    """Tables as lists of rows of cells, and every tag with its attributes."""

    def __init__(self, html):
        super().__init__()
        self.tables, self.tags, self.open, self.text = [], [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        self.open += [tag] if tag in ("td", "th") else []

    def handle_endtag(self, tag):
        self.open = self.open[:-1] if tag in ("td", "th") else self.open

    def handle_data(self, data):
        self.text += data
        if self.open:
            self.tables[-1][-1][-1] += data.strip("\n")

    def table(self, first):
        return next(rows for rows in self.tables if rows[0][0] == first)

    def of(self, tag, kind):
        return [attrs for name, attrs in self.tags if name == tag and attrs.get("class") == kind]


def scored(right, count=200):
    """A table of scores: so many tasks right of so many, half of them easy, by arm."""
    exams = [
        pl.DataFrame(
            {
                "id": [f"t{i:03d}" for i in range(count)],
                "correct": [i < number for i in range(count)],
                "level": ["easy", "hard"] * (count // 2),
            }
        )
        for number in right.values()
    ]
    return stats.compare(*exams, arms=list(right))


@pytest.fixture
def made(home):
    """A run as a home keeps it: its record, its steps' folders, their cards."""

    def make(name, results, steps=(), recipe="alma", **knobs):
        lines = []
        for step in [*steps, *({"name": key, "stage": f"x.{key}", "table": table} for key, table in results.items())]:
            folder = f"{step['name']}-{name}"
            lines.append({"name": step["name"], "stage": step["stage"], "folder": folder, "engine": None, "inputs": []})
            if step.get("todo") or step.get("table", 0) is None:
                continue
            table = step.get("table", pl.DataFrame({"id": ["a"]}))
            write_part(table, home.steps / folder, 0, len(table))
            card = {"rows": len(table), "failed": 0, "errors": {}, "asked": 0, "recalled": 0, "tokens_out": 0, "engine": None}
            card |= {"seconds": 0.0, "spent": {"tokens_out": 0}} | step.get("card", {})
            write_json(home.steps / folder / "card.json", card)
        record = {"name": name, "recipe": recipe, "paper": None, "engines": {"base": {"kind": "local", "model": "b"}}}
        record |= {"knobs": knobs, "steps": lines, "results": {key: f"{key}-{name}" for key in results}, "finished": "today"}
        write_json(home.runs / f"{name}.json", record)
        return name

    return make


@pytest.fixture
def page(home):
    return lambda *names: Page(write_report(home, *names).read_text())


def test_three_seeds_stand_side_by_side_with_their_mean_and_its_interval(made, page):
    for seed, right in enumerate((100, 106, 112)):
        made(f"seed-{seed}", {"scores": scored({"new": right, "old": 80 + seed})}, seed=seed)
    shown = page("seed-0", "seed-1", "seed-2")
    head, new, *_ = shown.table("arm")
    assert head == ["arm", "seed-0", "seed-1", "seed-2", "mean", "95% interval", "easy", "hard"]
    assert new[:6] == ["new", "50.0%", "53.0%", "56.0%", "53.0%", "45.5 to 60.5"]  # 53 +- 4.303 * 3 / sqrt(3)
    assert new[6:] == ["53.0%", "53.0%"]
    assert [float(line["x1"]) for line in shown.of("line", "run")[:3]] == [320.0, 332.6, 345.2]  # 110 and 420 times the share
    leads = shown.tables[1]
    assert leads[1] == ["old", "+10.0", "+12.5", "+15.0", "+12.5", "+6.3 to +18.7"]  # 12.5 +- 4.303 * 2.5 / sqrt(3)
    assert "The runs differ in seed (0; 1; 2)." in shown.text
    assert "All that follows is of the first run, seed-0." in shown.text


def test_one_run_has_wilsons_interval_and_no_word_of_several(made, page):
    made("one", {"scores": scored({"new": 160, "old": 80})})  # Wilson of 160 of 200: 73.9 to 85.0
    shown = page("one")
    *levels, lead = shown.table("arm")[2][1:]
    assert levels == ["40.0%", "40.0%"]
    found = [float(number) for number in re.fullmatch(r"(\S+) \((\S+) to (\S+)\)", lead).groups()]
    assert found == pytest.approx([40.0, 33.2, 46.8], abs=0.8)  # 40 +- 1.96 * sqrt(0.4 * 0.6 / 200), in steps of half a point
    assert "80.0% (73.9 to 85.0)" in shown.text
    assert "first run" not in shown.text


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"scores": scored({"new": 90})}, "run 'b' has no arm 'old', and 'a' has one"),
        ({"scores": scored({"new": 90, "old": 80, "odd": 1})}, "run 'b' has an arm 'odd', and 'a' has none"),
        ({}, "run 'b' has no scores, for its recipe measured nothing"),
        ({"scores": None}, "run 'b' has no scores yet: finish it (attar resume b)"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_by_name(made, home, other, told):
    made("a", {"scores": scored({"new": 100, "old": 80})})
    made("b", other)
    with pytest.raises(DataError, match=re.escape(told)):
        write_report(home, "a", "b")


def test_runs_of_two_recipes_are_refused(made, home):
    made("a", {"scores": scored({"new": 100})})
    made("b", {"scores": scored({"new": 90})}, recipe="pika")
    with pytest.raises(DataError, match="run 'b' is of the recipe 'pika', and 'a' of 'alma'"):
        write_report(home, "a", "b")


def test_a_run_is_not_compared_with_itself(made, home):
    made("a", {"scores": scored({"new": 100})})
    with pytest.raises(DataError, match="'a' and 'a' have the very same scores"):
        write_report(home, "a", "a")


def test_an_arm_keeps_its_lead_whatever_arm_another_run_names_first():
    one, two = scored({"new": 100, "old": 80}), scored({"old": 90, "new": 100})
    assert arms([one, two])[1].lead.runs == (pytest.approx(0.10), pytest.approx(0.05))


def arm(name, value, low=None, high=None, runs=()):
    figure = Figure(value, value if low is None else low, value if high is None else high, runs or (value,))
    return Arm(name, figure, figure, {})


def test_a_point_at_half_lies_half_way_up_and_rounds_stand_equally_far_apart():
    drawn = curve([arm("round-3", 1.0), arm("round-1", 0.0), arm("round-2", 0.5, 0.25, 0.75)])
    left, top, wide, high = FRAME["left"] + MARGIN, FRAME["top"], FRAME["wide"] - 2 * MARGIN, FRAME["high"]
    assert drawn.line == [(left, top + high), (left + wide / 2, top + high / 2), (left + wide, top)]
    assert drawn.points[1].low == top + high * 3 / 4
    assert drawn.band[1] == (left + wide / 2, top + high / 4)
    assert drawn.band[4] == (left + wide / 2, top + high * 3 / 4)
    assert drawn.band[3] == (left + wide, top)  # from the last round's upper end to its lower one, and back


def test_a_round_that_is_missing_leaves_its_room():
    drawn = curve([arm("round-1", 0.1), arm("round-2", 0.2), arm("round-5", 0.3)])
    first, second, fifth = (x for x, _ in drawn.line)
    assert (fifth - first) == pytest.approx(4 * (second - first))


def test_an_interval_beyond_all_or_nothing_is_cut_off_where_it_is_drawn():
    assert (height(1.3), height(-0.2)) == (height(1.0), height(0.0))


def test_each_run_has_a_line_of_its_own():
    drawn = curve([arm(f"round-{n}", 0.5, runs=(0.5 - n / 10, 0.5 + n / 10)) for n in (1, 2, 3)])
    assert [[y for _, y in run] for run in drawn.runs] == [
        [height(0.4), height(0.3), height(0.2)],
        [height(0.6), height(0.7), height(0.8)],
    ]


def test_two_rounds_are_no_curve_and_stay_in_the_bars():
    two = [arm("round-2", 0.3), arm("round-1", 0.2), arm("none", 0.0)]
    assert curve(two) is None
    assert in_bars(two) == two


def test_labels_of_other_arms_never_overlap_and_many_of_them_are_not_drawn():
    numbered = [arm(f"round-{n}", 0.5) for n in (1, 2, 3)]
    levels = curve([*numbered, arm("a", 0.500), arm("b", 0.505), arm("c", 0.2)]).levels
    assert [level.arm.name for level in levels] == ["b", "a", "c"]
    assert [level.height for level in levels] == [height(0.505), height(0.5), height(0.2)]
    assert all(below.label - above.label >= 16 for above, below in pairwise(levels))
    assert not curve([*numbered, *(arm(name, 0.1) for name in "abcd")]).levels


def test_the_page_draws_rounds_as_a_curve_and_only_the_last_as_a_bar(made, page):
    right = dict(zip(ROUNDS, (120, 60, 80, 100, 130, 10), strict=True))
    made("one", {"scores": scored(right)})
    shown = page("one")
    assert len(shown.of("circle", "round")) == 4
    assert [float(each["cy"]) for each in shown.of("circle", "round")] == [height(n / 200) for n in (60, 80, 100, 120)]
    assert len(shown.of("line", "level")) == 2
    assert [bar["width"] for tag, bar in shown.tags if tag == "rect"] == ["252.0", "273.0", "21.0"]  # 420 times the share
    assert [row[0] for row in shown.table("arm")[1:]] == ROUNDS
    assert shown.table("arm")[1][:3] == ["round-4", "60.0%", "53.1 to 66.5"]


def test_a_curve_over_runs_has_a_thin_line_for_each(made, page):
    for seed in range(2):
        made(f"s{seed}", {"scores": scored({f"round-{n}": 20 * n + seed for n in (3, 1, 2)})}, seed=seed)
    shown = page("s0", "s1")
    assert len(shown.of("polyline", "run")) == 2
    first = shown.of("polyline", "run")[0]["points"].split()
    assert [float(place.split(",")[1]) for place in first] == [height(n / 10) for n in (1, 2, 3)]


def steps_of_rounds():
    def step(name, stage, seconds, rows=1, tokens=0, **more):
        card = {"rows": rows, "seconds": seconds, "tokens_out": 1, "spent": {"tokens_out": tokens}}
        return {"name": name, "stage": stage, "card": card, **more}

    return [
        step("student-a", "train.sft.train", 500.0),
        step("round-2-pick", "select.cluster.pick", 1.0),
        step("round-2-answers-1", "synth.respond.sample", 10.0, 60, 900),
        step("round-2-answers-2", "synth.respond.sample", 12.0, 40, 700),
        step("round-2-judge-1", "annotate.scorer.score", 5.0, 60),
        step("round-2-train", "train.sft.train", 30.0),
        step("round-10-answers-1", "synth.respond.sample", 200.0, 1200, 30_000),
        step("round-10-train", "train.prefer.train", 0.0, todo=True),
        step("random-prompts-round-2-train", "train.sft.train", 700.0),
    ]


def test_a_rounds_resources_are_the_sums_of_its_own_steps():
    steps = steps_of_rounds()
    second, tenth = by_round(steps, {step["name"]: step["card"] for step in steps if not step.get("todo")})
    assert (second.number, second.answers, second.tokens, second.whole) == (2, 100, 1600, True)
    assert (second.writing, second.judging, second.training, second.seconds) == (22.0, 5.0, 30.0, 58.0)
    assert (tenth.number, tenth.answers, tenth.whole) == (10, 1200, False)


def test_the_rounds_of_the_recipe_that_has_them_are_found_with_all_their_parts():
    traced = trace(alma, {"base": Spec("fake", "m")}, {"seeds": "pocket:20", "labels": "pocket:20", "rounds": 3})
    card = {"rows": 1, "seconds": 1.0, "spent": {"tokens_out": 1}}
    steps = [{"name": step.name, "stage": step.title} for step in traced.steps]
    found = by_round(steps, {step["name"]: card for step in steps})
    assert [(each.number, each.answers, each.writing, each.judging, each.training) for each in found] == [
        (2, 2, 2.0, 2.0, 1.0),  # the two first students answer; then those and the latest
        (3, 3, 3.0, 3.0, 1.0),
    ]


def test_the_page_tells_what_each_round_took(made, page):
    made("one", {}, steps_of_rounds())
    rows = page("one").table("round")
    assert rows[1] == ["2", "100", "1,600", "22.0 s", "5.0 s", "30.0 s", "58.0 s"]
    assert rows[2][0] == "10 so far"
    assert rows[3][:3] == ["all", "1,300", "31,600"]


def rated(scores, golds):
    return pl.DataFrame(
        {"id": [f"r{i}" for i in range(len(scores))], "rating": scores, "score": golds, "parent": ["a", "b"] * 4}
    )


def test_the_page_says_how_far_the_judge_can_be_trusted(made, page):
    gold = [0.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 9.0]
    ways = {"integer": rated([5.0] * 8, gold), "expected": rated(gold, gold)}
    sides = agreement.side_by_side(*ways.values(), names=list(ways), score="rating", gold="score", of="parent", bootstrap=50)
    made("one", {"agreement": sides})
    head, *lines = page("one").table("")
    told = {line[0]: line[1:] for line in lines}
    assert head == ["", "integer", "expected"]
    assert lines[0][0] == "pairs of answers in the right order"  # what matters most comes first
    assert told["pairs of answers in the right order"][0].startswith("50.0% (")  # every tie is half right
    assert re.match(r"100\.0% \(.* to 100\.0\)\+50\.0", told["pairs of answers in the right order"][1])
    assert told["rank correlation (Spearman)"][0] == "-"  # of a constant there is none
    assert told["mean distance from the true rating"][1].startswith("0.000 (")


def test_a_judge_that_is_right_lies_on_the_diagonal_and_areas_are_as_counts():
    table = agreement.reliability(
        rated([0.0, 0.0, 0.0, 0.0, 10.0, 5.0, 5.0, 5.0], [0.0] * 4 + [10.0] + [2.0] * 3), score="rating", gold="score"
    )
    drawn = reliability(table)
    first, middle, last = drawn.bins
    assert (first.x, first.y) == (44, 320)
    assert (last.x, last.y) == (344, 20)
    assert (middle.x, middle.y) == (194, 260)  # rated 5, truly 2: right in the middle, a fifth of the way up
    assert first.radius**2 / last.radius**2 == pytest.approx(4, rel=0.01)
    assert drawn.whole["gap"] == pytest.approx(3 * 3 / 8)


def test_the_page_draws_reliability_with_its_error_and_tells_the_coverage(made, page):
    table = agreement.reliability(rated([1.5] * 8, [3.0] * 8), score="rating", gold="score")
    grouped = pl.DataFrame({"id": list("abcde"), "cluster": [0, 0, 1, 2, 3]})
    made("one", {"reliability": table, "coverage": cluster.coverage(grouped, grouped[:3])})
    shown = page("one")
    assert [float(each["cx"]) for each in shown.of("circle", "bin")] == [89]
    assert "Expected calibration error: 1.50" in shown.text
    assert "3 of 5 prompts were used; they come from 2 of 4 clusters (50.0%)" in shown.text


def test_the_page_tells_how_many_prompts_were_asked_for_and_why_no_more(made, page):
    asked, kept = (pl.DataFrame({"id": [str(i) for i in range(count)]}) for count in (1200, 700))
    made("one", {"prompts": enough.told(asked, kept, asked[:300], kept[:290], wanted=1000)})
    assert "Prompts: 990 new ones of 1,500 that were asked for; 10 short; no more was to be drawn." in page("one").text


def test_results_of_these_names_that_hold_something_else_are_not_shown(made, page):
    odd = pl.DataFrame({"id": ["a"], "n": [1]})
    made("one", {"reliability": odd, "coverage": odd, "agreement": odd, "prompts": odd})
    shown = page("one")
    assert "trusted" not in shown.text
    assert "Prompts:" not in shown.text


def test_the_page_opens_offline_and_runs_no_script(made, home):
    made("<b>&", {"scores": scored({f"round-{n}": 20 * n for n in (3, 1, 2)} | {"<i>": 5})})
    html = write_report(home, "<b>&").read_text()
    assert not re.search(r"<script|https?:|<link|@import|url\(", html)
    assert "<i>" not in html


@pytest.mark.parametrize(("seconds", "told"), [(99.0, "99.0 s"), (120.0, "2.0 min"), (7200.0, "2.0 h")])
def test_times_are_told_in_the_unit_that_fits(seconds, told):
    assert took(seconds) == told


def test_nothing_is_told_as_less_than_no_difference():
    assert (points(-0.0004), measured(-0.0001, False, sign=True)) == ("+0.0", "+0.000")


def test_shares_are_told_in_percent_and_other_figures_as_they_are():
    assert (measured(0.125, True), measured(0.125, True, bare=True, sign=True), measured(-0.5, False)) == (
        "12.5%",
        "+12.5",
        "-0.500",
    )

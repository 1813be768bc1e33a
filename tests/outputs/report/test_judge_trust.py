import re

import polars as pl
import pytest
from engines_for_tests import Scripted
from pair_judges_for_tests import good, picks_second

from attar.api.judge_check import check_judge
from attar.outputs.report.judge_trust import checked_judges, reliability
from attar.stages.evaluate.judging import agreement
from attar.stages.select import cluster, until_enough


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
    by_figure = {line[0]: line[1:] for line in lines}
    assert head == ["", "integer", "expected"]
    assert lines[0][0] == "pairs of answers in the right order"  # what matters most comes first
    assert by_figure["pairs of answers in the right order"][0].startswith("50.0% (")  # every tie is half right
    assert re.match(r"100\.0% \(.* to 100\.0\)\+50\.0", by_figure["pairs of answers in the right order"][1])
    assert by_figure["rank correlation (Spearman)"][0] == "-"  # of a constant there is none
    assert by_figure["mean distance from the true rating"][1].startswith("0.000 (")


def test_a_circle_stands_where_the_judge_and_the_truth_say_and_is_as_large_as_its_rows():
    table = agreement.reliability(
        rated([0.0, 0.0, 0.0, 0.0, 10.0, 5.0, 5.0, 5.0], [0.0] * 4 + [10.0] + [2.0] * 3), score="rating", gold="score"
    )
    found = reliability(table)
    assert [(bin_["score"], bin_["gold"], bin_["count"]) for bin_ in found.bins] == [(0, 0, 4), (5, 2, 3), (10, 10, 1)]
    assert found.whole["gap"] == pytest.approx(3 * 3 / 8)
    circles = found.drawing["layer"][1]["encoding"]
    assert circles["size"]["scale"]["domain"] == [0, 4]
    assert circles["size"]["scale"]["range"][0] == 0  # areas from zero: twice the rows, twice the area
    assert found.drawing["layer"][0]["encoding"]["x"]["scale"]["domain"] == [0, 10]


def test_the_page_draws_reliability_with_its_error_and_tells_the_coverage(made, page):
    table = agreement.reliability(rated([1.5] * 8, [3.0] * 8), score="rating", gold="score")
    grouped = pl.DataFrame({"id": list("abcde"), "cluster": [0, 0, 1, 2, 3]})
    made("one", {"reliability": table, "coverage": cluster.coverage(grouped, grouped[:3])})
    shown = page("one")
    assert "reliability" in shown.charts
    assert "Expected calibration error: 1.50" in shown.text
    assert "3 of 5 prompts were used; they come from 2 of 4 clusters (50.0%)" in shown.text


def test_the_page_tells_how_many_prompts_were_asked_for_and_why_no_more(made, page):
    asked, kept = (pl.DataFrame({"id": [str(i) for i in range(count)]}) for count in (1200, 700))
    made("one", {"prompts": until_enough.summarise(asked, kept, asked[:300], kept[:290], wanted=1000)})
    assert "Prompts: 990 new, out of 1,500 requested; 10 short; no more was to be drawn." in page("one").text


def test_results_of_these_names_that_hold_something_else_are_not_shown(made, page):
    odd = pl.DataFrame({"id": ["a"], "n": [1]})
    names = ("reliability", "coverage", "agreement", "prompts", "audit", "pairs", "ledger", "figures", "sft")
    made("one", dict.fromkeys(names, odd))
    shown = page("one")
    assert sorted(row[0] for row in shown.table("step")[1:]) == sorted(names)  # the page is there, with a line for each of them
    for word in ("trusted", "Prompts:", "Preference", "measured"):
        assert word not in shown.text


def test_the_page_has_a_judges_verdict_on_itself(made, page):
    made("one", {"judge-check": check_judge(Scripted(picks_second))})
    text = page("one").text
    assert (
        "scripted, checked by built-in pairs whose better answer is known: unable to judge: pairwise, its two orders " in text
    )
    made("two", {"judge-check": check_judge(Scripted(good))})
    assert "whose better answer is known: able to judge." in page("two").text


@pytest.mark.parametrize(("share", "reasons"), [(0.4, []), (0.51, ["its two orders disagree in 51% of pairs (at most 40%)"])])
def test_a_judges_own_battles_show_whether_its_orders_agree(share, reasons):
    figures = pl.DataFrame({"judge": "j", "figure": ["gap", "disagrees"], "value": [0.1, share], "low": 0.0, "high": 1.0})
    (found,) = checked_judges([figures, pl.DataFrame({"value": [1.0], "low": [0.0], "high": [1.0]})])
    assert (found.name, found.reasons) == ("j", reasons)

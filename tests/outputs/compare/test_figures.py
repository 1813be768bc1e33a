from math import sqrt

import numpy as np
import polars as pl
import pytest

from attar.outputs.compare.compare import compare
from attar.outputs.compare.figures import interval


@pytest.fixture
def found(made, marked, home):
    """100 questions: the first side has 60 right; the second 70, of which 50 are among those."""
    first = [i < 60 for i in range(100)]
    second = [10 <= i < 80 for i in range(100)]
    labels = {"family": ["sum"] * 50 + ["fact"] * 44 + ["odd"] * 6, "level": ["easy"] * 60 + ["hard"] * 36 + ["vile"] * 4}
    made("a", {"x": marked(first, **labels)})
    made("b", {"x": marked(second)})
    return compare(home, "a", "b")


def line(found, name):
    return found.figures.filter(pl.col("id") == name).row(0, named=True)


def test_a_side_has_its_score_and_its_lead_over_the_first(found):
    own, lead = line(found, "b:x/all/all/score"), line(found, "b:x/all/all/lead")
    assert (own["value"], own["count"]) == (0.7, 100)
    assert (own["low"], own["high"]) == (pytest.approx(0.6042, abs=1e-4), pytest.approx(0.7811, abs=1e-4))  # Wilson, 70 of 100
    assert (lead["value"], lead["wins"], lead["losses"], lead["ties"]) == (pytest.approx(0.1), 20, 10, 70)
    assert lead["p"] == pytest.approx(0.0987, abs=1e-4)  # of 30 tosses ten or fewer, or twenty or more, are heads
    half = 1.96 * sqrt((32 / 102 - (10 / 102) ** 2) / 102)  # with one more won and one more lost
    assert (lead["low"], lead["high"]) == (pytest.approx(10 / 102 - half, abs=1e-5), pytest.approx(10 / 102 + half, abs=1e-5))


def test_the_first_side_leads_nobody(found):
    figures_of = {side: set(found.figures.filter(pl.col("side") == side)["figure"]) for side in ("a:x", "b:x")}
    assert {"score", "lead"} <= figures_of["b:x"]
    assert "score" in figures_of["a:x"]
    assert "lead" not in figures_of["a:x"]


def test_leads_by_category_are_of_its_questions_alone(found):
    summed = line(found, "b:x/category/sum/lead")  # questions 0 to 49: the second lacks the first ten
    assert (summed["value"], summed["wins"], summed["losses"], summed["count"]) == (pytest.approx(-0.2), 0, 10, 50)
    hard = line(found, "b:x/level/hard/lead")  # questions 60 to 95: the second has the first twenty
    assert (hard["value"], hard["wins"], hard["losses"], hard["count"]) == (pytest.approx(20 / 36), 20, 0, 36)


def test_a_lead_of_nobody_is_still_uncertain(made, marked, home):
    made("a", {"x": marked([True] * 10)})
    made("b", {"x": marked([True] * 10)})
    lead = line(compare(home, "a", "b"), "b:x/all/all/lead")
    half = 1.96 * sqrt(2 / 12 / 12)
    assert (lead["low"], lead["value"], lead["high"]) == (pytest.approx(-half, abs=1e-5), 0.0, pytest.approx(half, abs=1e-5))
    assert lead["p"] == 1.0


@pytest.mark.parametrize(("count", "won", "lost"), [(10, 0.15, 0.05), (16, 0.15, 0.05), (30, 0.25, 0.2)])
def test_the_interval_of_a_lead_holds_the_truth_even_over_few_questions(count, won, lost):
    rng, held = np.random.default_rng(0), 0
    for _ in range(1000):
        tossed = rng.random(count)
        own, first = (tossed < won).astype(float), ((tossed >= won) & (tossed < won + lost)).astype(float)
        _, low, high, _ = interval(own.tolist(), first.tolist(), shares=True)
        held += low <= won - lost <= high
    assert held >= 936  # 950 less two standard deviations


def test_groups_too_small_for_an_interval_are_put_together_or_left_out(found, made, marked, home):
    groups = found.figures.filter(figure="score", side="a:x").select("by", "group").rows()
    assert groups == [("all", "all"), ("category", "sum"), ("category", "fact"), ("level", "easy"), ("level", "hard")]
    made("c", {"x": marked([True] * 30, category=["big"] * 14 + ["s"] * 6 + ["t"] * 5 + [None] * 5)})
    made("d", {"x": marked([False] * 30)})
    small = compare(home, "c", "d").figures.filter(figure="lead").select("group", "count").rows()
    assert small == [("all", 30), ("big", 14), ("(other)", 16)]


def test_a_score_has_an_interval_over_questions_and_ties_are_neither_won_nor_lost(made, marked, home):
    first = [float(i % 10) for i in range(400)]
    made("a", {"x": marked(first, "score")})
    made("b", {"x": marked([value + (i + 1) % 2 for i, value in enumerate(first)], "score")})
    found = compare(home, "a", "b")
    own, lead = line(found, "a:x/all/all/score"), line(found, "b:x/all/all/lead")
    half = 1.96 * sqrt(8.25 / 400)  # the variance of 0 to 9
    assert (own["value"], own["low"], own["high"]) == (
        4.5,
        pytest.approx(4.5 - half, abs=0.05),
        pytest.approx(4.5 + half, abs=0.05),
    )
    assert (lead["wins"], lead["losses"], lead["ties"]) == (200, 0, 200)
    assert lead["high"] - lead["low"] < 0.12  # what both share falls out: 2 * 1.96 * 0.5 / 20


def test_means_that_differ_by_rounding_alone_are_a_tie(made, marked, home):
    made("a", {"x": marked([0.3] * 12, "score")})
    made("b", {"x": marked([0.1 + 0.2] * 12, "score")})
    assert line(compare(home, "a", "b"), "b:x/all/all/lead")["ties"] == 12


def test_scores_that_happen_to_be_zero_and_one_are_no_shares(made, marked, home):
    made("a", {"x": marked([0, 1, 1, 0, 1, 1, 1, 0, 1, 1], "score")})
    made("b", {"x": marked([1] * 10, "score")})
    found = compare(home, "a", "b")
    own, length = line(found, "b:x/all/all/score"), line(found, "a:x/all/all/length")
    assert (own["low"], own["high"]) == (1.0, 1.0)  # Wilson's would begin at 0.72
    assert (length["low"], length["high"]) == (8.0, 8.0)  # "Answer 0", "Answer 1"


def test_lengths_of_one_character_are_no_shares(made, marked, home):
    made("a", {"x": marked([True] * 10, response=["x"] * 10)})
    made("b", {"x": marked([True] * 10)})
    assert line(compare(home, "a", "b"), "a:x/all/all/length")["low"] == 1.0


def test_answers_are_as_long_as_their_characters(made, marked, home):
    made("a", {"x": marked([True, False], response=["abc", "abcde"])})
    made("b", {"x": marked([True, False], response=["", "ab"])})
    found = compare(home, "a", "b")
    assert [line(found, f"{side}:x/all/all/length")["value"] for side in "ab"] == [4.0, 1.0]


def test_the_widest_gaps_are_shown_in_both_directions(made, marked, home):
    made("a", {"x": marked([5.0, 5.0, 5.0, 5.0, 5.0], "score")})
    made("b", {"x": marked([9.0, 7.0, 5.0, 1.0, 4.0], "score")})
    shown = compare(home, "a", "b", most=1).examples
    assert shown.select("ahead", "of", "gap", "first_response", "response").rows() == [
        ("a:x", "q003", -4.0, "Answer 5.0", "Answer 1.0"),
        ("b:x", "q000", 4.0, "Answer 5.0", "Answer 9.0"),
    ]
    assert len(compare(home, "a", "b", most=9).examples) == 4  # the tie is nobody's


def test_which_of_equal_gaps_are_shown_depends_on_their_prompts_alone(made, marked, home):
    made("a", {"x": marked([True] * 50)})
    made("b", {"x": marked([False] * 50)})
    made("a2", {"x": marked([True] * 50).reverse()})
    made("b2", {"x": marked([False] * 50).sample(50, shuffle=True, seed=1)})
    shown, again = (compare(home, *names, most=3).examples["of"].to_list() for names in (("a", "b"), ("a2", "b2")))
    assert shown == again
    assert shown != ["q000", "q001", "q002"]


def test_of_several_answers_the_one_that_makes_the_gap_is_shown(made, marked, home):
    twice = {"id": ["p.0", "p.1", "q.0", "q.1"], "parent": ["p", "p", "q", "q"], "prompt": ["P", "P", "Q", "Q"]}
    made("a", {"x": marked([True, False, True, True], **twice)})
    made("b", {"x": marked([True, True, False, True], **twice)})
    shown = {row["of"]: row for row in compare(home, "a", "b").examples.to_dicts()}
    assert (shown["p"]["first_response"], shown["p"]["response"]) == ("Answer False", "Answer True")
    assert (shown["q"]["first_response"], shown["q"]["response"]) == ("Answer True", "Answer False")

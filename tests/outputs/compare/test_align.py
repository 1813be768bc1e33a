import re

import polars as pl
import pytest

from attar.core.errors import DataError
from attar.outputs.compare.align import common_outcome, load_side, match_answers
from attar.outputs.compare.compare import compare


def values(lines):
    """Of each question what each side has, by the question's name."""
    found = {}
    for line in lines.sort("side").to_dicts():
        found.setdefault((line["name"], line["prompt"]), []).append(line["value"])
    return found


def test_a_run_without_an_arm_is_its_first_one(made, marked, home):
    made("a", {"selected": marked([True, True]), "random": marked([False, False])})
    assert load_side(home, "a").name == "a:selected"
    assert load_side(home, "a:random").answers["correct"].to_list() == [False, False]


def test_a_run_whose_name_has_a_colon_is_still_found(made, marked, home):
    made("a:b", {"selected": marked([True])})
    assert load_side(home, "a:b").name == "a:b:selected"
    assert load_side(home, "a:b:selected").name == "a:b:selected"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "bb"], "no run 'bb' in"),
        (["a", "alone:selectd"], "run 'alone' has no answers of 'selectd'; did you mean 'selected'?"),
        (["a", "bare"], "run 'bare' has no answers to compare, because it has no exam: set an engine for 'base'"),
        (["a", "older"], "run 'older' was made by an older version, without named answers: run attar resume older"),
        (["a", "todo"], "todo:selected has no marked answers yet: finish the run first (attar resume todo)"),
        (["a", "plain"], "the answers of plain:selected are not marked: none of their columns is correct, score, preference"),
        (["a", "mute"], "the answers of mute:selected lack the column 'response'; they have: id, prompt, correct"),
        (["a"], "a comparison needs two sides: name another run, or two arms of one (RUN:ARM)"),
        (["a", "alone", "a:selected"], "a:selected is named twice"),
        (["a", "elsewhere"], "a:selected and elsewhere:selected have no prompt in common"),
        (["a", "near"], "a:selected and near:selected have only 1 question in common"),
        (["a", "scored"], "the sides have none in common: a:selected has correct; scored:selected has score and preference"),
    ],
)
def test_what_cannot_be_compared_is_reported_in_one_line(made, marked, home, names, message):
    made("a", {"selected": marked([True, False])})
    made("alone", {"selected": marked([True, True])})
    made("bare", {}, results={"sft": "x"})
    made("older", {}, results={"sft": "x", "scores": "y"})
    made("todo", {"selected": None})
    made("plain", {"selected": marked([True]).drop("correct")})
    made("mute", {"selected": marked([True]).drop("response")})
    made("elsewhere", {"selected": marked([True, False], prompt=["What?", "Who?"])})
    made("near", {"selected": marked([True, False], prompt=["Question 0?", "Who?"])})
    made("scored", {"selected": marked([1.0, 2.0], "score", preference=[0.5, 0.5])})
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        compare(home, *names)
    assert "\n" not in str(caught.value)


def test_a_misspelt_run_is_offered_the_nearest(made, marked, home):
    made("pocket", {"selected": marked([True])})
    with pytest.raises(DataError, match="did you mean 'pocket'"):
        compare(home, "pocket", "pockt")


def test_questions_are_matched_by_their_prompt_whatever_their_place_and_id(made, marked, home):
    made("a", {"x": marked([True, False, True])})
    made("b", {"x": marked([False, True], prompt=["Question 2?", "Question 0?"], id=["other-1", "other-2"])})
    found = values(match_answers([load_side(home, "a"), load_side(home, "b")], "correct"))
    assert found == {("q000", "Question 0?"): [1.0, 1.0], ("q002", "Question 2?"): [1.0, 0.0]}


def test_one_prompt_that_stands_for_two_questions_is_distinguished_by_ids_that_agree(made, marked, home):
    again = ["Shorter!", "Shorter!", "Once."]
    made("a", {"x": marked([1.0, 5.0, 3.0], "score", prompt=again, id=["one", "two", "three"])})
    made("b", {"x": marked([2.0, 6.0, 4.0], "score", prompt=again, id=["two", "one", "four"])})
    found = values(match_answers([load_side(home, "a"), load_side(home, "b")], "score"))
    assert found == {("one", "Shorter!"): [1.0, 6.0], ("two", "Shorter!"): [5.0, 2.0], ("three", "Once."): [3.0, 4.0]}


def test_a_question_answered_several_times_counts_once_by_its_mean(made, marked, home):
    thrice = {"id": ["q0.0", "q0.1", "q0.2", "q1.0"], "parent": ["q0", "q0", "q0", "q1"], "prompt": ["P", "P", "P", "Q"]}
    made("a", {"x": marked([True, True, False, False], **thrice)})
    made("b", {"x": marked([False, True], id=["q0", "q1"], prompt=["P", "Q"])})
    lines = match_answers([load_side(home, "a"), load_side(home, "b")], "correct")
    assert values(lines) == {("q0", "P"): [pytest.approx(2 / 3), 0.0], ("q1", "Q"): [0.0, 1.0]}
    first = lines.row(0, named=True)
    assert (first["best"], first["worst"]) == ("Answer True", "Answer False")


def test_what_only_some_have_is_left_out_and_counted(made, marked, home):
    made("a", {"x": marked([True] * 5)})
    made("b", {"x": marked([True] * 4 + [False], prompt=[f"Question {i}?" for i in (0, 1, 2, 7, 8)])})
    made("c", {"x": marked([False] * 2)})
    found = compare(home, "a", "b", "c")
    assert found.questions == 2
    assert found.sides.select("id", "questions", "only", "unmarked").rows() == [
        ("a:x", 5, 3, 0),
        ("b:x", 5, 3, 0),
        ("c:x", 2, 0, 0),
    ]


def test_an_answer_that_states_nothing_is_wrong_and_counted_as_such(made, marked, home):
    made("a", {"x": marked([True, None, True])})
    made("b", {"x": marked([True, True, False])})
    found = compare(home, "a", "b")
    score = found.figures.filter(pl.col("id") == "a:x/all/all/score").row(0, named=True)
    assert (score["value"], score["count"]) == (pytest.approx(2 / 3), 3)
    assert found.sides["unmarked"].to_list() == [1, 0]


def test_a_question_that_one_side_has_no_score_on_is_left_out_of_all(made, marked, home):
    made("a", {"x": marked([1.0, None, 3.0, float("nan")], "score")})
    made("b", {"x": marked([2.0, 9.0, 6.0, 9.0], "score")})
    found = compare(home, "a", "b")
    scores = found.figures.filter(figure="score")
    assert scores.select("side", "value", "count").rows() == [("a:x", 2.0, 2), ("b:x", 4.0, 2)]
    assert found.sides["unmarked"].to_list() == [2, 0]


@pytest.mark.parametrize(
    ("judges", "message"),
    [
        ({"judge": ["large"] * 2}, "a:x and b:x were marked in different ways: judge is small and large"),
        ({"judge": ["small"] * 2, "asked": ["f0"] * 2}, "asked is e1 and f0"),
        ({"judge": ["small"] * 2, "asked": ["e1"] * 2, "opponent": ["m"] * 2}, "opponent is nothing and m"),
    ],
)
def test_scores_of_different_judges_are_not_compared(made, marked, home, judges, message):
    made("a", {"x": marked([1.0, 2.0], "score", judge=["small"] * 2, asked=["e1"] * 2)})
    made("b", {"x": marked([1.0, 2.0], "score", **judges)})
    with pytest.raises(DataError, match=re.escape(message)):
        compare(home, "a", "b")


def test_figures_say_who_judged(made, marked, home):
    for name, day in (("a", "2026-01-01"), ("b", "2026-01-03")):
        made(name, {"x": marked([1.0, 2.0], "score", judge=["small"] * 2, asked=["e1"] * 2, date=[day] * 2)})
    found = compare(home, "a", "b").figures
    assert found.select("judge", "asked", "date").unique().rows() == [("small", "e1", "2026-01-01 to 2026-01-03")]


def test_of_several_outcomes_the_one_that_all_have_is_compared(made, marked, home):
    made("a", {"x": marked([True, False], score=[10, 0])})
    made("b", {"x": marked([8, 2], "score")})
    assert common_outcome([load_side(home, "a"), load_side(home, "b")]) == "score"
    assert compare(home, "a", "b").point == 1.0

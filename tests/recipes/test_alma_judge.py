import pytest
from alma_for_tests import traced

from attar.core.errors import RecipeError


def test_a_judge_that_is_there_is_not_trained(tmp_path):
    steps = traced(tmp_path, judge={"kind": "fake", "model": "judge"}, labels=None, gold=None, arms=[])
    assert not {"judge", "judge-distilled", "labels"} & set(steps)
    assert steps["round-2-judge-1"].engine.model == "judge"


@pytest.mark.parametrize(("judge_from", "start"), [("student", "student-a"), ("base", None)])
def test_a_judge_is_trained_on_labels_and_goes_on_from_its_own_ratings(tmp_path, judge_from, start):
    steps = traced(tmp_path, judge_from=judge_from, arms=[])
    first, last, own = (steps[name] for name in ("judge", "judge-distilled", "own-labels"))
    assert first.engine is steps[start] if start else first.engine.model == "base"
    assert (first.inputs[0].name, first.knobs["what"], first.knobs["labels"]) == ("labels", "rating", list(range(11)))
    assert last.engine is first
    assert last.inputs == (own,) or list(last.inputs) == [own]
    assert own.inputs[0].engine is first
    assert own.inputs[0].inputs[0].name == "unlabelled"
    assert {steps[f"round-{number}-judge-1"].engine for number in (2, 3, 4)} == {last}


def test_the_answers_to_rate_are_one_each_to_as_many_prompts_as_are_wanted(tmp_path):
    steps = traced(tmp_path, distilled=7, arms=[])
    assert steps["any-prompts"].knobs["keep"] == 7
    assert steps["answers-to-rate"].knobs.get("n", 1) == 1
    assert steps["answers-to-rate"].engine is steps["student-a"]


def test_every_way_of_judging_is_compared_with_the_gold_set_and_the_last_by_its_reliability(tmp_path):
    steps = traced(tmp_path, arms=[])
    ways = {name: steps[f"gold-{name}"] for name in ("integer", "expected", "self-distilled")}
    assert [ways[name].engine.name for name in ways] == ["judge", "judge", "judge-distilled"]
    assert [ways[name].knobs["rounded"] for name in ways] == [True, False, False]
    assert steps["agreement"].knobs["names"] == list(ways)
    assert steps["reliability"].inputs[0] is ways["self-distilled"]


def test_without_a_judge_and_without_labels_it_is_said_what_to_name(tmp_path):
    with pytest.raises(RecipeError, match="name an engine for 'judge' or 'rewarder', or labels: FILE"):
        traced(tmp_path, labels=None, gold=None)

from stages_for_tests import marks_of

from attar.engines.base import Spec
from attar.outputs.report.round_costs import costs_by_round
from attar.recipes.alma import alma
from attar.runtime.flow import trace


def steps_of_rounds():
    def step(name, stage, seconds, rows=1, tokens=0, **more):
        card = {"rows": rows, "seconds": seconds, "tokens_out": 1, "spent": {"tokens_out": tokens}}
        return {"name": name, "stage": stage, "marks": marks_of(stage), "card": card, **more}

    return [
        step("student-a", "train.sft.train", 500.0),
        step("round-2-pick", "select.cluster.pick", 1.0),
        step("round-2-answers-1", "synth.respond.sample", 10.0, 60, 900),
        step("round-2-answers-2", "synth.respond.sample", 12.0, 40, 700),
        step("round-2-judge-1", "annotate.scorer.score", 5.0, 60),
        step("round-2-train", "train.sft.train", 30.0),
        step("round-10-answers-1", "synth.respond.sample", 200.0, 1200, 30_000),
        step("round-10-train", "train.preference.train", 0.0, todo=True),
        step("random-prompts-round-2-train", "train.sft.train", 700.0),
    ]


def test_a_rounds_resources_are_the_sums_of_its_own_steps():
    steps = steps_of_rounds()
    second, tenth = costs_by_round(steps, {step["name"]: step["card"] for step in steps if not step.get("todo")})
    assert (second.number, second.answers, second.tokens, second.whole) == (2, 100, 1600, True)
    assert (second.writing, second.judging, second.training, second.seconds) == (22.0, 5.0, 30.0, 58.0)
    assert (tenth.number, tenth.answers, tenth.whole) == (10, 1200, False)


def test_the_rounds_of_the_recipe_that_has_them_are_found_with_all_their_parts():
    traced = trace(alma, {"base": Spec("fake", "m")}, {"seeds": "pocket:20", "labels": "pocket:20", "rounds": 3})
    card = {"rows": 1, "seconds": 1.0, "spent": {"tokens_out": 1}}
    steps = [{"name": step.name, "stage": step.title, "marks": step.marks.plain()} for step in traced.steps]
    found = costs_by_round(steps, {step["name"]: card for step in steps})
    assert [(each.number, each.answers, each.writing, each.judging, each.training) for each in found] == [
        (2, 2, 2.0, 2.0, 1.0),  # the two first students answer; then those and the latest
        (3, 3, 3.0, 3.0, 1.0),
    ]


def test_the_page_shows_the_cost_of_each_round(made, page):
    made("one", {}, steps_of_rounds())
    rows = page("one").table("round")
    assert rows[1] == ["2", "100", "1,600", "22.0 s", "5.0 s", "30.0 s", "58.0 s"]
    assert rows[2][0] == "10 so far"
    assert rows[3][:3] == ["all", "1,300", "31,600"]

from alma_for_tests import FAKE, file_of, traced

from attar.runtime.home import Home
from attar.runtime.plan import plan


def test_the_answers_of_a_round_are_shared_evenly_by_the_first_students_and_the_latest(tmp_path):
    steps = traced(tmp_path)
    shares = {
        number: [steps[f"round-{number}-answers-{i}"].knobs["n"] for i in range(1, 4) if f"round-{number}-answers-{i}" in steps]
        for number in (2, 3, 4)
    }
    assert shares == {2: [4, 4], 3: [3, 3, 2], 4: [3, 3, 2]}
    writers = [steps[f"round-4-answers-{i}"].engine for i in (1, 2, 3)]
    assert [writer.name for writer in writers] == ["student-a", "student-b", "round-3-train"]
    assert steps["student-a"].knobs["seed"] != steps["student-b"].knobs["seed"]


def test_every_round_trains_the_base_itself_on_the_seeds_and_all_rounds_so_far(tmp_path):
    steps = traced(tmp_path)
    for number in (2, 3, 4):
        assert steps[f"round-{number}-train"].engine.model == "base"
        (rows,) = steps[f"round-{number}-train"].inputs
        assert [step.name for step in rows.inputs] == ["seeds", *(f"round-{i}-best" for i in range(2, number + 1))]


def test_an_arm_differs_from_the_rounds_in_one_thing(tmp_path):
    steps = traced(tmp_path, arms=["random-prompts", "latest-only", "one-student", "integer", "undistilled"])
    assert steps["random-prompts-round-3-pick"].knobs["clustered"] is False
    assert steps["latest-only-round-4-answers-1"].engine.name == "latest-only-round-3-train"
    assert steps["latest-only-round-4-answers-1"].knobs["n"] == 8
    assert steps["one-student-round-3-answers-1"].engine.name == "student-a"
    assert [steps[f"{arm}-round-2-judge-1"].engine.name for arm in ("integer", "undistilled")] == ["judge-distilled", "judge"]
    assert steps["integer-round-2-judge-1"].knobs["rounded"] is True
    assert "integer-round-2-answers-1" not in steps  # the same answers, judged otherwise


def test_a_plan_says_how_many_answers_the_rounds_will_ask_for(tmp_path):
    planned = {
        line.step.name: line for line in plan(file_of(tmp_path, base=FAKE, arms=[]).trace(), Home(tmp_path / "home"), 24)
    }
    assert planned["prompts-1-asked"].calls == 45  # half of what is wanted
    assert planned["labels-answers"].calls == 64
    shares = {
        number: [line.calls for name, line in planned.items() if f"round-{number}-answers" in name] for number in (2, 3, 4)
    }
    assert shares == {2: [48, 48], 3: [36, 36, 24], 4: [36, 36, 24]}

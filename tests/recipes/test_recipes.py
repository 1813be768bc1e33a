"""What recipes share: students and their exam, a guard, and to be apart from benchmarks."""

import polars as pl
import pytest

from attar.engines.base import Spec
from attar.recipes import _decontaminate, _students
from attar.runtime.flow import Trace

BASE, GUARD = Spec("fake", "base"), Spec("fake", "guard")


def rows(*, mark):
    return pl.DataFrame({"id": [mark], "prompt": ["Why?"]})


@pytest.fixture
def flow():
    return Trace()


def names(flow):
    return [step.name for step in flow.steps]


def test_without_a_guard_all_rows_stay_and_with_one_those_that_are_rather_safe(flow):
    some = flow(rows, mark="some", name="some")
    assert _students.keep_safe(flow, some, None, "plain") is some
    safe = _students.keep_safe(flow, some, GUARD, "guard").step
    assert names(flow) == ["some", "safety", "is-safe", "safe"]
    judged, verdicts = safe.inputs
    assert (judged.engine, judged.knobs["guard"], verdicts.knobs["rule"]) == (GUARD, "guard", "safe >= 0.5")


def test_every_arm_is_trained_from_the_same_base_by_the_same_settings(flow):
    arms = {name: flow(rows, mark=name, name=name) for name in ("one", "other")}
    models = _students.train_students(flow, BASE, arms, {"epochs": 2, "lora": 4}, 7)
    assert list(models) == ["one", "other"]
    for name, model in ((name, model.step) for name, model in models.items()):
        assert (model.name, model.engine, list(model.inputs)) == (f"train-{name}", BASE, [arms[name].step])
        assert {knob: model.knobs[knob] for knob in ("epochs", "lora", "seed")} == {"epochs": 2, "lora": 4, "seed": 7}


def test_a_student_goes_on_with_pairs_by_the_method_that_is_said(flow):
    arms, pairs = {"one": flow(rows, mark="one", name="one")}, flow(rows, mark="pairs", name="pairs")
    student = _students.train_students(flow, BASE, arms, {}, 0)["one"]
    preferred = _students.train_on_pairs(flow, student, pairs, {"method": "simpo", "beta": 2.0}, 0).step
    assert (preferred.engine, list(preferred.inputs)) == (student.step, [pairs.step])
    assert (preferred.knobs["method"], preferred.knobs["beta"]) == ("simpo", 2.0)


def test_all_models_and_the_base_sit_the_same_exam_and_the_first_one_leads(flow):
    arms = {name: flow(rows, mark=name, name=name) for name in ("one", "other")}
    models = _students.train_students(flow, BASE, arms, {}, 0)
    unmeasured = _students.evaluate_students(flow, models, BASE, "none", 45, 80, 3)
    assert unmeasured == {"model-one": models["one"], "model-other": models["other"]}
    results = _students.evaluate_students(flow, models, BASE, "pocket", 45, 80, 3)
    assert list(results) == ["model-one", "model-other", "answers-one", "answers-other", "answers-none", "scores"]
    sat = [results[f"answers-{arm}"].step.inputs[0] for arm in ("one", "other", "none")]
    assert {(step.inputs[0].name, step.inputs[0].knobs["count"]) for step in sat} == {("exam", 45)}
    assert [step.engine for step in sat] == [models["one"].step, models["other"].step, BASE]
    assert results["scores"].step.knobs["arms"] == ["one", "other", "none"]


def test_rows_are_judged_against_the_fingerprints_of_the_benchmarks_or_stay_as_they_are(flow):
    some = flow(rows, mark="some", name="some")
    assert _decontaminate.drop_benchmark_overlap(flow, some, ()) is some
    apart = _decontaminate.drop_benchmark_overlap(flow, some, _decontaminate.BENCHMARKS, column="prompt").step
    judged = apart.inputs[1]
    assert (apart.inputs[0], judged.name, judged.knobs["column"]) == (some.step, "decontaminate", "prompt")
    assert list(judged.knobs["against"]) == ["alpaca_eval", "arena_hard", "mt_bench"]

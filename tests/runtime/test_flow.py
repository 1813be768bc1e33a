from copy import copy

import polars as pl
import pytest
from stages_for_tests import double, doubled, learn, numbers, say, total

from attar.core.errors import EngineError, RecipeError
from attar.core.stage import columns_read
from attar.core.table import read
from attar.engines.base import Spec
from attar.runtime.flow import Trace, recipe, trace
from attar.runtime.run_file import roles_and_knobs
from attar.stages.select import rank, where

FAKE = Spec("fake", "m")


def prints(recipe, **knobs):
    return {step.name: step.fingerprint for step in trace(recipe, {}, knobs).steps}


def test_tracing_runs_nothing():
    flow = Trace()
    handle = flow(say, flow(numbers, count=10**12), engine=FAKE)
    assert [step.name for step in flow.steps] == ["numbers", "say"]
    assert handle.step.inputs == (flow.steps[0],)


def test_a_knob_changes_its_step_and_all_that_follow_and_no_other():
    one, two = prints(doubled, factor=2), prints(doubled, factor=3)
    assert one["numbers"] == two["numbers"]
    assert one["double"] != two["double"]
    assert prints(doubled, count=5)["double"] != one["double"]


def test_wiring_the_same_thing_twice_is_one_step():
    flow = Trace()
    source = flow(numbers, count=3)
    assert flow(double, source) == flow(double, source)
    assert len(flow.steps) == 2


def test_two_steps_of_one_name_are_told_apart():
    flow = Trace()
    source = flow(numbers, count=3)
    flow(double, source, factor=2)
    flow(double, source, factor=3)
    assert [step.name for step in flow.steps] == ["numbers", "double", "double-2"]


def test_the_model_decides_a_fingerprint_and_where_it_runs_does_not():
    def asked(spec):
        flow = Trace()
        return flow(say, flow(numbers, count=3), engine=spec).step.fingerprint

    assert asked(Spec("fake", "a")) != asked(Spec("fake", "b"))
    assert asked(Spec("fake", "a", {"delay": 0})) == asked(Spec("fake", "a", {"delay": 1}))


def test_a_trained_model_is_an_engine_known_by_its_step(tmp_path):
    flow = Trace()
    source = flow(numbers, count=3)
    model = flow(learn, source, engine=FAKE)
    answered = flow(say, source, engine=model).step
    spec = answered.spec(tmp_path)
    assert spec.model == str(tmp_path / model.step.folder / "model")
    assert spec.identity == model.step.fingerprint
    other = flow(learn, source, engine=FAKE, mark="other")
    assert flow(say, source, engine=other).step.fingerprint != answered.fingerprint


@pytest.mark.parametrize(
    ("wire", "told"),
    [
        (lambda flow, source: flow(double, source, facto=3), "no knob 'facto'; did you mean 'factor'"),
        (lambda flow, source: flow(say, source), "needs an engine"),
        (lambda flow, source: flow(double, source, engine=FAKE), "takes no engine"),
        (lambda flow, source: flow(double), "missing a required argument"),
        (lambda flow, source: flow(double, [1, 2]), "is given list"),
        (lambda flow, source: flow(double, source, factor=object()), "has no fingerprint"),
    ],
)
def test_a_miswired_step_is_refused_while_tracing(wire, told):
    flow = Trace()
    source = flow(numbers, count=3)
    with pytest.raises(RecipeError, match=told):
        wire(flow, source)


def test_an_engine_that_cannot_be_opened_is_refused_while_tracing():
    flow = Trace()
    with pytest.raises(EngineError, match="did you mean 'fake'"):
        flow(say, flow(numbers, count=3), engine=Spec("fakes", "m"))


def test_a_recipe_that_returns_no_results_is_refused():
    with pytest.raises(RecipeError, match="must return its results by name"):
        trace(lambda flow: None, {}, {})


def test_whole_stages_state_their_columns():
    flow = Trace()
    step = flow(total, flow(numbers, count=3)).step
    assert columns_read(step.stage, {}) == ("n",)
    assert not step.marks.rowwise


def test_a_stage_that_closes_over_something_is_refused():
    def make(k):
        def inner(table):
            return table.head(k)

        return inner

    flow = Trace()
    with pytest.raises(RecipeError, match="is defined inside a function"):
        flow(make(2), flow(numbers, count=3))


@pytest.mark.parametrize(("stage", "knobs"), [(where.holds, {"rule": "reward >"}), (rank.top, {"by": "nope(", "keep": 3})])
def test_a_bad_expression_is_found_while_tracing_not_after_hours(stage, knobs):
    flow = Trace()
    with pytest.raises(RecipeError, match="is no expression"):
        flow(stage, flow(numbers, count=3), **knobs)


def test_a_result_that_is_no_step_is_refused():
    with pytest.raises(RecipeError, match="its result 'rows' is int"):
        trace(lambda flow: {"rows": 5}, {}, {})


def say_twice(table, times=2):
    return table.with_columns(pl.lit(times).alias("times"))


@recipe()
def by_position(flow, count=100, *, times=3):
    return {"out": flow(say_twice, flow(numbers, count=count), times=times)}


def test_a_knob_that_may_be_given_by_position_is_a_knob_of_stage_and_recipe(do):
    assert read(do(by_position, count=4)["out"])["times"].to_list() == [3] * 4
    assert roles_and_knobs(by_position)[1].keys() == {"count", "times"}
    with pytest.raises(RecipeError, match="no knob 'table'"):
        Trace()(say_twice, Trace()(numbers, count=1), table=1)


@pytest.mark.parametrize(
    "touch",
    [
        lambda rows: rows["prompt"],
        len,
        lambda rows: rows.filter(pl.col("n") > 1),
        list,
        lambda rows: "n" in rows,
    ],
)
def test_a_recipe_that_looks_at_rows_is_told_to_make_a_stage_of_it(touch):
    with pytest.raises(RecipeError, match=r"the rows of step 'numbers' do not exist .* flow\(stage, handle\)"):
        touch(Trace()(numbers, count=3))


def test_a_handle_is_there_and_can_be_compared_and_copied():
    rows = Trace()(numbers, count=3)
    assert rows
    assert copy(rows) == rows

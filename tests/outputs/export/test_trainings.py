"""The trainings that a run offers: what they train on, from which model, with which settings."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from stages_for_tests import marks_of

from attar.core.table import write_part
from attar.outputs.export.trainings import Training, find_trainings
from attar.runtime.home import write_json
from attar.stages.train.trainer import TrainingSettings

SETTINGS = TrainingSettings(epochs=1.0, lr=1e-4, batch=1, accumulate=None, max_length=64, warmup=0.0, schedule="linear", seed=0)
ONE = Training("sft", Path("rows"), SETTINGS, {}, "some/model", "./sft-model")


@pytest.fixture
def record(home):
    """A run with these results, each one row, and further steps; its knobs are those of its run file."""

    def make(results, *steps, **knobs):
        lines = [step(name, "select.keep.rows") for name in results]
        for name in results:
            write_part(pl.DataFrame({"id": ["a"]}), home.steps / f"made.{name}", 0, 1)
        found = {name: f"made.{name}" for name in results}
        write_json(home.runs / "mine.json", {"name": "mine", "knobs": knobs, "steps": [*lines, *steps], "results": found})

    return make


def step(name, stage, *inputs, engine=None, role=None):
    line = {"name": name, "stage": stage, "marks": marks_of(stage), "folder": f"made.{name}", "inputs": list(inputs)}
    return line | {"engine": engine, "role": role}


@pytest.mark.parametrize(("batch", "split"), [(1, (1, 1)), (6, (3, 2)), (7, (1, 7)), (32, (4, 8)), (10, (2, 5))])
def test_a_batch_is_split_evenly_with_at_most_four_rows_on_the_device(batch, split):
    assert replace(ONE, settings=replace(SETTINGS, batch=batch)).batch_split == split


@pytest.mark.parametrize(
    ("warmup", "said"), [(0.0, {"warmup_ratio": 0.0}), (0.99, {"warmup_ratio": 0.99}), (1.0, {"warmup_steps": 1})]
)
def test_a_warmup_is_a_share_below_one_and_steps_from_one_on(warmup, said):
    assert replace(ONE, settings=replace(SETTINGS, warmup=warmup)).warmup == said


def test_pairs_are_trained_on_after_conversations_and_start_from_their_model(record, home):
    record(["pairs", "sft"])
    found = find_trainings(home, "mine", "some/model")
    assert [(each.name, each.base, each.out) for each in found] == [
        ("sft", "some/model", "./sft-model"),
        ("pairs", "./sft-model", "./pairs-model"),
    ]
    assert [each.rows for each in found] == [home.steps / "made.sft", home.steps / "made.pairs"]


def test_what_a_step_trained_with_goes_before_the_run_file_and_that_before_the_defaults(record, home):
    fit = step("fit", "train.sft.train", "sft", engine="some/base", role="base")
    record(["sft"], fit, train={"lr": 0.5, "batch": 10})
    write_json(home.steps / "made.fit" / "card.json", {"knobs": {"lr": 0.25}})
    (found,) = find_trainings(home, "mine", None)
    assert (found.settings.lr, found.settings.batch, found.settings.schedule) == (0.25, 10, "cosine")
    assert found.base == "some/base"


def test_a_preference_method_has_its_own_beta_unless_one_is_given(record, home):
    record(["pairs"], prefer={"method": "simpo"})
    (found,) = find_trainings(home, "mine", "some/model")
    assert (found.method, found.method_knobs["beta"]) == ("simpo", 2.0)
    record(["pairs"], prefer={"method": "simpo", "beta": 0.5})
    assert find_trainings(home, "mine", "some/model")[0].method_knobs["beta"] == 0.5

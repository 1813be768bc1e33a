import pytest

from attar.core.errors import DataError
from attar.outputs.dataset import lineage
from attar.outputs.dataset.write import write_dataset
from attar.runtime.home import run_record, write_json


def test_the_training_of_a_model_that_wrote_the_rows_belongs_to_their_story():
    def step(name, *inputs, engine=None, role=None):
        return {"name": name, "folder": f"{name}-1", "inputs": list(inputs), "engine": engine, "role": role}

    steps = [
        step("seed"),
        step("fit", "seed", engine="/m/base", role="base"),
        step("asks"),
        step("answers", "asks", engine="fit"),
        step("exam", "answers", engine="fit"),
    ]
    record = {"steps": steps, "results": {"sft": "answers-1", "scores": "exam-1"}}
    assert [one["name"] for one in lineage.ancestry(record, ["sft"])] == ["seed", "fit", "asks", "answers"]


def test_a_run_that_has_not_ended_is_refused(run):
    write_json(run[0].runs / "half.json", run_record(run[0], "try") | {"name": "half", "finished": None})
    with pytest.raises(DataError, match="'half' is not finished: run attar resume half"):
        write_dataset(run[0], "half")

import json

import polars as pl
import pytest

from attar.core.errors import EngineError
from attar.engines.base import Spec
from attar.stages.train import distributed, sft, worker

KNOBS = {"epochs": 1, "lr": 4e-3, "batch": 8, "max_length": 128}


def base(**options):
    return Spec("local", "pocket:base", {"threads": 1, "device": "cpu", **options})


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files that processes are handed for a job, without any process."""

    def make(rows, engine, **own):
        monkeypatch.setattr(distributed, "_launch_command", lambda *_: ["true"])
        with pytest.raises(EngineError, match="failed"):
            sft.train(rows, engine=engine, into=tmp_path / "model", **KNOBS, **own)
        return tmp_path / "trainer"

    return make


def test_fewer_processes_than_asked_for_are_an_error(files, talks, monkeypatch):
    place = files(talks(8), base(gpus=2))
    monkeypatch.setenv("WORLD_SIZE", "1")
    with pytest.raises(SystemExit):
        worker.main(place / "job.json")
    assert "2 processes were requested and accelerate started 1" in (place / "error.json").read_text()


def test_the_first_of_the_processes_leaves_the_curve_and_another_leaves_none(files, talks, monkeypatch, tmp_path):
    place = files(talks(16), base(gpus=2))
    monkeypatch.setenv("WORLD_SIZE", "2")
    curve = pl.DataFrame({"id": ["step-000001"], "loss": [0.5]})
    trained = []
    monkeypatch.setattr(worker, "fit", lambda job, rows, *how: trained.append((job.method, len(rows), how[1:])) or curve)
    for rank in ("1", "0"):
        assert not (place / "curve.parquet").exists()
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
        worker.main(place / "job.json")
    assert pl.read_parquet(place / "curve.parquet").equals(curve)
    assert trained == [("sft", 16, (1, 2)), ("sft", 16, (0, 2))]


def test_what_a_user_can_repair_is_left_with_its_kind(files, talks, monkeypatch):
    place = files(talks(8), base(gpus=2), lora=0)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit):
        worker.main(place / "job.json")
    error = json.loads((place / "error.json").read_text())
    assert error["kind"] == "RecipeError"
    assert error["text"].startswith("knob 'lora' is the adapter's rank")

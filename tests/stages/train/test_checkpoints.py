import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
from safetensors.numpy import load_file

from attar.engines.base import Spec
from attar.stages.train import checkpoints, sft

BASE = Spec("local", "pocket:base", {"threads": 1})
KNOBS = {"epochs": 2, "lr": 4e-3, "batch": 8, "max_length": 128}
ROWS = 160
CHILD = """
import sys
from pathlib import Path
import polars as pl
from attar.engines.base import Spec
from attar.stages.train import sft
rows = pl.read_parquet(sys.argv[1])
base = Spec("local", "pocket:base", {"threads": 1})
sft.train(rows, engine=base, into=Path(sys.argv[2]), **%r)
"""


@pytest.fixture(scope="module")
def whole(talks, tmp_path_factory):
    """The model and the curve of a training that was never stopped."""
    into = tmp_path_factory.mktemp("whole") / "model"
    return into, sft.train(talks(ROWS), engine=BASE, into=into, **KNOBS)


@pytest.fixture(scope="module")
def killed(talks, tmp_path_factory):
    """What a training that was killed midway leaves behind."""
    folder = tmp_path_factory.mktemp("killed")
    talks(ROWS).write_parquet(folder / "rows.parquet")
    command = [sys.executable, "-c", CHILD % KNOBS, str(folder / "rows.parquet"), str(folder / "model")]
    child = subprocess.Popen(command)
    until = time.monotonic() + 60
    while not (folder / "trainer" / "checkpoint-20").exists():  # by then the one before is whole
        assert child.poll() is None, "the training ended before it was killed"
        assert time.monotonic() < until
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (folder / "model").exists()
    return folder / "trainer"


@pytest.fixture
def stopped(killed, tmp_path):
    """A folder in which that training stands to be run again."""
    shutil.copytree(killed, tmp_path / "trainer")
    return tmp_path


@pytest.fixture
def gone_on(monkeypatch):
    """The checkpoints that trainings went on from."""
    found, real = [], checkpoints.last_checkpoint

    def last(folder):
        found.append(real(folder))
        return found[-1]

    monkeypatch.setattr(checkpoints, "last_checkpoint", last)
    return found


def same(one, other):
    mine, theirs = load_file(one / "model.safetensors"), load_file(other / "model.safetensors")
    return mine.keys() == theirs.keys() and all((mine[name] == theirs[name]).all() for name in mine)


def test_a_training_that_was_killed_goes_on_and_ends_in_the_same_weights(stopped, whole, talks, gone_on):
    curve = sft.train(talks(ROWS), engine=BASE, into=stopped / "model", **KNOBS)
    assert int(gone_on[0].name.removeprefix("checkpoint-")) >= 10
    assert same(stopped / "model", whole[0])
    assert len(curve) == 4
    assert curve.equals(whole[1])
    assert sorted(path.name for path in stopped.iterdir()) == ["model"]


@pytest.mark.parametrize("change", [{"rows": ROWS - 1}, {"lr": 1e-3}])
def test_another_training_starts_from_the_beginning(change, stopped, talks):
    key = checkpoints.key_of(talks(change.get("rows", ROWS)), change)
    assert checkpoints.last_checkpoint(stopped / "trainer").name == "checkpoint-20"
    checkpoints.prepare(stopped / "trainer", key)
    assert checkpoints.last_checkpoint(stopped / "trainer") is None


def test_the_same_training_finds_its_checkpoints_and_a_change_of_a_single_letter_none(talks):
    rows = talks(3)
    assert checkpoints.key_of(rows, 1) == checkpoints.key_of(talks(3), 1)
    changed = rows.with_columns(id=rows["id"].replace("2", "3"))
    assert checkpoints.key_of(changed, 1) != checkpoints.key_of(rows, 1) != checkpoints.key_of(rows, 2)


@pytest.mark.parametrize("name", ["trainer_state.json", "optimizer.pt", "rng_state.pth", "model.safetensors"])
def test_a_checkpoint_with_any_file_cut_in_half_is_removed(name, stopped):
    folder = stopped / "trainer"
    at = folder / "checkpoint-10"
    shutil.rmtree(folder / "checkpoint-20")
    key = json.loads((folder / "key.json").read_text())
    checkpoints.prepare(folder, key)
    assert checkpoints.last_checkpoint(folder) == at
    file = at / name
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    checkpoints.prepare(folder, key)
    assert checkpoints.last_checkpoint(folder) is None


def test_checkpoints_are_resumed_in_order_of_their_steps(tmp_path):
    for step in (2, 10, 9):
        (tmp_path / f"checkpoint-{step}").mkdir()
    assert checkpoints.last_checkpoint(tmp_path).name == "checkpoint-10"

"""One dataset folder, written by two processes, by one that is killed, on a full disk, beside files of others."""

import json
from functools import partial

import polars as pl
import pytest
from at_once_for_tests import kill_in, only_locked_out, put_foreign, run_on_full_disk, run_together, snapshot, unchanged

from attar.core.errors import DataError
from attar.core.output_lock import lock_output
from attar.outputs.dataset.write import write_dataset
from attar.runtime.home import read_json


def check_whole(folder):
    """The card's counts are those of the files, and no prompt is in both sides; returns the share of the test."""
    facts = read_json(folder / "attar.json")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "attar.json", "data"]
    written = {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}
    assert written == {file for config in facts["configs"].values() for side in config["files"].values() for file in side}
    for name, config in facts["configs"].items():
        prompts = {}
        for side, files in config["files"].items():
            table = pl.concat([pl.read_parquet(folder / file) for file in files])
            rows = [json.loads(line) for line in (folder / "data" / name / f"{side}.jsonl").read_text().splitlines()]
            assert len(table) == len(rows) == config["rows"][side]
            assert table["id"].to_list() == [row["id"] for row in rows]
            prompts[side] = {json.dumps(row.get("prompt") or row["messages"][0]) for row in rows}
        assert not prompts["train"] & prompts.get("test", set())
    return facts["test"]


def test_two_at_once_give_one_whole_dataset_or_one_clear_line(run, tmp_path):
    target = tmp_path / "out"
    foreign = put_foreign(target)
    for results in run_together(*(partial(write_dataset, run[0], "try", target, test=test) for test in (0.1, 0.5))):
        assert only_locked_out(results)
        assert check_whole(target) in (0.1, 0.5)
    assert unchanged(foreign)
    assert len(list(tmp_path.iterdir())) == 1 + len(foreign)


def test_one_that_waits_says_so_and_writes_afterwards(run, tmp_path):
    messages, held = [], lock_output(tmp_path / "out")
    held.__enter__()
    with pytest.raises(DataError, match=r"another attar is writing .*out: wait until it has ended, or name another path"):
        write_dataset(run[0], "try", tmp_path / "out")

    def leave(message):
        messages.append(message)
        held.__exit__(None, None, None)

    write_dataset(run[0], "try", tmp_path / "out", test=0.25, waiting=leave)
    assert messages == [f"another attar is writing {tmp_path / 'out'}; waiting for it"]
    assert check_whole(tmp_path / "out") == 0.25
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ("attar.outputs.dataset.write.card_text", 1),  # the rows are written, the card is not
        ("attar.core.atomic.move_into_place", 3),  # the card, the facts, and the old folder is moved out of the way
        ("attar.core.atomic.shutil.rmtree", 1),  # the new folder is in its place
    ],
)
def test_one_that_was_killed_leaves_a_whole_dataset_and_the_same_command_works(run, tmp_path, where, count):
    target = tmp_path / "out"
    foreign = put_foreign(target)
    write_dataset(run[0], "try", target, test=0.5)
    known = set(tmp_path.iterdir())
    old = snapshot(target)
    kill_in(where, partial(write_dataset, run[0], "try", target, test=0.1), count)
    left = [folder for folder in (target, *tmp_path.glob("out.*-*.before")) if folder.exists() and snapshot(folder) == old]
    assert len(left) == 1
    assert set(tmp_path.iterdir()) - known
    write_dataset(run[0], "try", target, test=0.25)
    assert check_whole(target) == 0.25
    assert set(tmp_path.iterdir()) == known
    assert unchanged(foreign)


def test_a_full_disk_leaves_the_old_dataset(run, tmp_path):
    target = write_dataset(run[0], "try", tmp_path / "out", test=0.5)
    old = snapshot(target)
    assert "File too large" in run_on_full_disk(partial(write_dataset, run[0], "try", target, test=0.1), 3_000)
    assert snapshot(target) == old
    assert [path.name for path in tmp_path.iterdir()] == ["out"]

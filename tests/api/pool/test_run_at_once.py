"""The outputs of pool commands, written by two processes, by one that is killed, on a full disk."""

import json
import random
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from at_once_for_tests import kill_in, only_locked_out, put_foreign, run_on_full_disk, run_together, snapshot, unchanged
from pools_for_tests import talk

from attar.api.pool.output import COLUMNS, Target, write_verdicts
from attar.api.pool.recipes import selection
from attar.api.pool.run import PoolCommand, run_pool_command
from attar.core.errors import DataError
from attar.core.output_lock import lock_output
from attar.runtime.home import Home
from attar.runtime.progress import Quiet

ROWS = 200


@pytest.fixture
def choose(tmp_path):
    """A call that keeps the best rows of a pool and writes them and the verdicts."""
    pool = tmp_path / "pool.jsonl"
    pool.write_text("".join(json.dumps(talk(number)) + "\n" for number in range(ROWS)))

    def call(count, out="out.jsonl", verdicts="v.parquet", to="messages"):
        choice = PoolCommand(selection, str(pool), None, knobs={"by": "score", "count": count})
        target = Target(tmp_path / "made" / out, to, tmp_path / "made" / verdicts)
        return partial(run_pool_command, choice, Home(tmp_path / "home"), Quiet(), target)

    return call


def kept_ids(folder, out="out.jsonl"):
    """The ids of the rows that were written, and those that the verdicts keep."""
    table = pl.read_ndjson(folder / "made" / out) if out.endswith(".jsonl") else pl.read_parquet(folder / "made" / out)
    verdicts = pl.read_parquet(folder / "made" / "v.parquet")
    assert (tuple(verdicts.columns), len(verdicts)) == (COLUMNS, ROWS)
    return set(table["id"]), set(verdicts.filter("kept")["id"])


@pytest.mark.parametrize("out", ["out.jsonl", "out.parquet"])
def test_two_at_once_give_rows_and_verdicts_of_one_command_or_one_clear_line(choose, tmp_path, out):
    (tmp_path / "made").mkdir()
    foreign = put_foreign(tmp_path / "made" / out) | put_foreign(tmp_path / "made" / "v.parquet")
    for results in run_together(choose(3, out), choose(50, out)):
        assert only_locked_out(results)
        rows, verdicts = kept_ids(tmp_path, out)
        assert rows == verdicts
        assert rows in [{f"r{number}" for number in range(ROWS - count, ROWS)} for count in (3, 50)]
    assert unchanged(foreign)
    assert len(list((tmp_path / "made").iterdir())) == 2 + len(foreign)


def test_the_second_is_refused_before_it_reads_the_pool(choose, tmp_path):
    for name in ("out.jsonl", "v.parquet"):
        with lock_output(tmp_path / "made" / name), pytest.raises(DataError, match=f"another attar is writing .*{name}"):
            choose(3)()
    assert not (tmp_path / "home").exists()
    assert list((tmp_path / "made").iterdir()) == []


@pytest.mark.parametrize(
    "where", ["api.pool.output.replace_file", "api.pool.output.write_rows", "data.writers.move_into_place"]
)
def test_one_that_was_killed_leaves_the_old_rows_and_the_same_command_works(choose, tmp_path, where):
    choose(3)()
    old, known = (tmp_path / "made" / "out.jsonl").read_bytes(), set((tmp_path / "made").iterdir())
    kill_in(f"attar.{where}", choose(50))
    assert (tmp_path / "made" / "out.jsonl").read_bytes() == old
    assert kept_ids(tmp_path)[1] in [{f"r{number}" for number in range(ROWS - count, ROWS)} for count in (3, 50)]
    choose(50)()
    rows, verdicts = kept_ids(tmp_path)
    assert rows == verdicts == {f"r{number}" for number in range(ROWS - 50, ROWS)}
    assert set((tmp_path / "made").iterdir()) == known


@pytest.mark.parametrize("name", ["v.parquet", "v.jsonl", "v.csv"])
def test_a_full_disk_leaves_the_old_verdicts(tmp_path, name):
    (tmp_path / name).write_text("old")
    ids = [random.Random(number).randbytes(8).hex() for number in range(5000)]
    ledger = pl.DataFrame({"id": ids, "kept": True, "step": None, "reason": None, "because": None})
    call = partial(write_verdicts, ledger, tmp_path / name)
    assert "File too large" in run_on_full_disk(call, 10_000)
    assert snapshot(tmp_path) == {Path(name): b"old"}
    call()
    assert len((tmp_path / name).read_bytes()) > 10_000

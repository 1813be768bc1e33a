import json

import polars as pl
import pytest

from attar.api.pool import output
from attar.api.pool.output import Target
from attar.core.errors import DataError
from attar.core.table import COLUMNS, write_part

LEDGER = pl.DataFrame(
    {
        "id": ["a", "b", "c", "d", "e"],
        "kept": [True, False, False, False, True],
        "step": [None, "exact", "exact", "budget", None],
        "reason": [None, "repeats a prompt", "repeats a prompt", "rank 3 by score, 2 kept", None],
        "because": [None, "a", "e", None, None],
        "score": [5, 4, 3, 2, 1],
    }
)


def pour(folder, *rows, turns=2):
    """A pool in a step's folder, in two parts."""
    talk = [{"role": role, "content": "x"} for role in ("user", "assistant") * (turns // 2)]
    table = pl.DataFrame({"id": [row[0] for row in rows], "score": [row[1] for row in rows]}).with_columns(
        pl.Series("messages", [talk] * len(rows), dtype=COLUMNS["messages"]), messages_error=pl.lit(None, dtype=pl.String)
    )
    for start, stop in ((0, 2), (2, len(rows))):
        write_part(table[start:stop], folder, start, stop)
    return folder


def test_what_was_dropped_is_counted_by_step_with_its_reasons_and_groups_of_repeats():
    summary = output.summarise(LEDGER, pl.Series([10, 20, 30, None, 40]), ["pool", "exact", "budget"])
    assert (summary["rows"], summary["kept"], summary["characters"]) == (5, 2, 50)
    assert summary["dropped"] == {
        "exact": {"rows": 2, "groups": 2, "reasons": {"repeats a prompt": 2}},
        "budget": {"rows": 1, "groups": 0, "reasons": {"rank by score, 2 kept": 1}},
    }
    assert list(summary["dropped"]) == ["exact", "budget"]


@pytest.mark.parametrize("name", ["v.parquet", "v.jsonl", "v.csv"])
def test_verdicts_have_a_row_for_every_row_of_the_pool_and_appear_whole(tmp_path, name):
    output.write_verdicts(LEDGER, tmp_path / "new" / name)
    read = {".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson, ".csv": pl.read_csv}[(tmp_path / name).suffix]
    assert read(tmp_path / "new" / name).rows() == LEDGER.select(output.COLUMNS).rows()
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]


def test_kept_rows_are_written_some_at_a_time_with_what_the_steps_have_added(tmp_path, monkeypatch):
    monkeypatch.setattr(output, "_BATCH", 2)
    pool = pour(tmp_path / "pool", ("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5))
    added = tmp_path / "added"
    write_part(pl.DataFrame({"id": ["a", "d", "e"], "score": [9, 8, 7], "new": [0.1, 0.2, 0.3]}), added, 0, 3)
    kept = pl.Series([True, False, False, True, True])
    summary = output.write_rows(pool, added, kept, Target(tmp_path / "out.jsonl", "prompt"))
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(row["id"], row["score"], row["new"]) for row in rows] == [("a", 9, 0.1), ("d", 8, 0.2), ("e", 7, 0.3)]
    assert (summary["written"], summary["replaced"], summary["refused"]) == (3, ["score"], None)


def test_rows_that_the_format_cannot_say_go_to_a_file_beside_which_no_later_command_changes(tmp_path):
    pool, out = pour(tmp_path / "pool", ("a", 1), ("b", 2), ("c", 3), turns=4), Target(tmp_path / "out.jsonl", "prompt")
    summary = output.write_rows(pool, None, pl.Series([True, False, True]), out)
    aside = tmp_path / "out.jsonl.rejected.jsonl"
    assert [json.loads(line)["id"] for line in aside.read_text().splitlines()] == ["a", "c"]
    assert (summary["out"], summary["refused"]["rows"], summary["refused"]["aside"]) == (None, 2, str(aside))
    assert summary["refused"]["reason"].startswith("cannot be written as prompt: ")
    before = aside.read_bytes()
    summary = output.write_rows(pool, None, pl.Series([True, False, True]), Target(tmp_path / "out.jsonl"))
    assert (summary["written"], summary["refused"]) == (2, None)
    assert aside.read_bytes() == before


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ({"out": "pool"}, "pool is .or contains. the source"),
        ({"verdicts": "pool/v.csv"}, "v.csv is inside the source"),
        ({"out": "same.jsonl", "verdicts": "same.jsonl"}, "cannot be both"),
        ({"verdicts": "v.xlsx"}, "verdicts must be a file of .parquet, .jsonl, .csv"),
        ({"out": "out.txt"}, "cannot write .txt"),
        ({"out": "taken"}, "taken exists already: choose a new folder"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused(tmp_path, target, why):
    for folder in ("pool", "taken"):
        (tmp_path / folder).mkdir()
    with pytest.raises(DataError, match=why):
        Target(**{name: tmp_path / path for name, path in target.items()}).check(tmp_path / "pool")
    with pytest.raises(DataError, match="unknown format 'alpacca'; did you mean 'alpaca'"):
        Target(to="alpacca").check(tmp_path / "pool")
    Target(tmp_path / "out.jsonl", verdicts=tmp_path / "v.csv").check(tmp_path / "pool")

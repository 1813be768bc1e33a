"""What a choice gives: the kept rows in any format, a verdict for every row of the pool, and figures.

Rows are read, chosen and written some at a time; what is written appears whole or not at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.atomic import replace_file
from attar.core.errors import DataError, did_you_mean
from attar.core.table import Table, TableParts, index_parts, part_schema, read_rows
from attar.data.formats import FORMATS
from attar.data.writers import open_sink

_AT_ONCE = 20_000
COLUMNS = ("id", "kept", "step", "reason", "because")


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows and verdicts go, and as what."""

    out: Path | None = None
    to: str = "messages"
    verdicts: Path | None = None

    def check(self, source: Path) -> None:
        """Refuse a place that cannot be written, or that holds what is read, before anything is done."""
        for path in (self.out, self.verdicts):
            if path is None:
                continue
            if path.resolve() == source.resolve() or source.resolve() in path.resolve().parents:
                raise DataError(f"{path} is (or lies in) what is read: name another place")
        if self.out is not None and self.verdicts is not None and self.out.resolve() == self.verdicts.resolve():
            raise DataError(f"{self.out} cannot hold both the rows and the verdicts: name another place for one")
        if self.verdicts is not None and self.verdicts.suffix not in _WRITERS:
            raise DataError(f"{self.verdicts}: verdicts go to {', '.join(_WRITERS)}")
        if self.to not in FORMATS:
            raise DataError(f"unknown format {self.to!r}; {did_you_mean(self.to, FORMATS)}")
        if self.out is not None and self.out.suffix not in ("", ".jsonl", ".json", ".parquet"):
            raise DataError(f"{self.out}: cannot write {self.out.suffix}; use .jsonl, .json or .parquet, or none for a folder")
        if self.out is not None and self.out.is_dir():
            raise DataError(f"{self.out} exists already: name a new folder")


_WRITERS = {
    ".parquet": lambda table, path: table.write_parquet(path, compression="zstd"),
    ".jsonl": lambda table, path: table.write_ndjson(path),
    ".csv": lambda table, path: table.write_csv(path),
}


def summarise(ledger: Table, chars: pl.Series, steps: list[str]) -> dict[str, Any]:
    """What became of the rows, step by step, and how much text is left."""
    kept = ledger["kept"]
    dropped: dict[str, dict[str, Any]] = {}
    groups = {str(step): rows for (step,), rows in ledger.filter(~kept).group_by("step")}
    for step in sorted(groups, key=steps.index):
        rows = groups[step]
        reasons = rows["reason"].str.replace(r"(rank|cosine|Jaccard) [\d.]+", "$1").value_counts(sort=True)
        crowding = rows["because"].drop_nulls().n_unique()  # each stands for a group of rows that are alike
        dropped[step] = {"rows": len(rows), "groups": crowding, "reasons": dict(reasons.head(5).iter_rows())}
    return {
        "rows": len(ledger),
        "dropped": dropped,
        "kept": int(kept.sum()),
        "characters": int(chars.filter(kept).sum() or 0),
    }


def write_verdicts(ledger: Table, path: Path) -> None:
    """The verdicts: a row for every row of the pool, in its order."""
    with replace_file(path) as partial:
        _WRITERS[path.suffix](ledger.select(COLUMNS), partial)


def write_rows(pool: Path, added: Path | None, kept: pl.Series, target: Target) -> dict[str, Any]:
    """The kept rows, with what the steps have added to them; what the format cannot say is counted, and lies beside."""
    out, to = target.out or Path(), target.to
    sink, aside = open_sink(out, to), out.with_name(out.name + ".rejected.jsonl")
    refused: list[dict[str, str]] = []
    rows, more = index_parts(pool), index_parts(added) if added else None
    own, new = (set(part_schema(table.paths[0])) if table else set() for table in (rows, more))
    for table in _iter_kept(rows, kept, more):
        said = zip(table["id"], sink.write(table), strict=True)
        refused += [{"id": row, "reason": f"cannot be written as {to}: {reason}"} for row, reason in said if reason]
    sink.close()
    aside.unlink(missing_ok=True)
    if refused:
        pl.DataFrame(refused).write_ndjson(aside)
    return {
        "out": str(out) if sink.count else None,
        "written": sink.count,
        "replaced": sorted(own & new - {"id"}),
        "refused": {"rows": len(refused), "aside": str(aside), "reason": refused[0]["reason"]} if refused else None,
    }


def _iter_kept(rows: TableParts, kept: pl.Series, more: TableParts | None) -> Iterator[Table]:
    """The rows that are kept, some at a time, with their further columns."""
    at = 0
    for first in range(0, rows.count, _AT_ONCE):
        last = min(first + _AT_ONCE, rows.count)
        table = read_rows(rows, first, last).drop("messages_error").filter(kept[first:last])
        if more is not None and len(table):
            table = table.with_columns(read_rows(more, at, at + len(table)).drop("id"))
            at += len(table)
        yield table

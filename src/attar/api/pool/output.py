"""Write the output of a pool command: the kept rows in any format, a verdict for every row, and a summary.

Rows are streamed. Every file appears complete or not at all. The caller holds the locks of the outputs.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.atomic import replace_file
from attar.core.errors import DataError, did_you_mean
from attar.core.output_lock import lock_output
from attar.core.table import Table, TableParts, index_parts, part_schema, read_rows, write_parquet
from attar.data.formats import FORMATS
from attar.data.rejected import collect_rejected
from attar.data.sources import check_apart
from attar.data.writers import open_sink

_BATCH = 20_000
COLUMNS = ("id", "kept", "step", "reason", "because")


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows and verdicts are written, and the rows' format."""

    out: Path | None = None
    to: str = "messages"
    verdicts: Path | None = None

    def check(self, source: str) -> None:
        """Raise if a target cannot be written, or would overwrite the source."""
        for path in (self.out, self.verdicts):
            if path is not None:
                check_apart(path, source)
        if self.out is not None and self.verdicts is not None and self.out.resolve() == self.verdicts.resolve():
            raise DataError(f"{self.out} cannot be both OUT and the verdicts: choose two paths")
        if self.verdicts is not None and self.verdicts.suffix not in _WRITERS:
            raise DataError(f"{self.verdicts}: verdicts must be a file of {', '.join(_WRITERS)}")
        if self.to not in FORMATS:
            raise DataError(f"unknown format {self.to!r}; {did_you_mean(self.to, FORMATS)}")
        if self.out is not None and self.out.suffix not in ("", ".jsonl", ".json", ".parquet"):
            raise DataError(
                f"{self.out}: cannot write {self.out.suffix}; use .jsonl, .json or .parquet, or no suffix for a folder"
            )
        if self.out is not None and self.out.is_dir():
            raise DataError(f"{self.out} exists already: choose a new folder")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the locks of the outputs; raise if another process has one."""
        with ExitStack() as locks:
            for path in (self.out, self.verdicts):
                if path is not None:
                    locks.enter_context(lock_output(path))
            yield


_WRITERS = {
    ".parquet": write_parquet,
    ".jsonl": lambda table, path: table.write_ndjson(path),
    ".csv": lambda table, path: table.write_csv(path),
}


def summarise(ledger: Table, chars: pl.Series, steps: list[str]) -> dict[str, Any]:
    """Count the dropped rows of each step with their reasons, the kept rows, and the characters of their texts."""
    kept = ledger["kept"]
    dropped: dict[str, dict[str, Any]] = {}
    groups = {str(step): rows for (step,), rows in ledger.filter(~kept).group_by("step")}
    for step in sorted(groups, key=steps.index):
        rows = groups[step]
        reasons = rows["reason"].str.replace(r"(rank|cosine|Jaccard) [\d.]+", "$1").value_counts(sort=True)
        clusters = rows["because"].drop_nulls().n_unique()  # the kept row of each group of similar rows
        dropped[step] = {"rows": len(rows), "groups": clusters, "reasons": dict(reasons.head(5).iter_rows())}
    return {
        "rows": len(ledger),
        "dropped": dropped,
        "kept": int(kept.sum()),
        "characters": int(chars.filter(kept).sum() or 0),
    }


def write_verdicts(ledger: Table, path: Path) -> None:
    """Write the verdicts: a row for every row of the pool, in the same order."""
    with replace_file(path) as partial:
        _WRITERS[path.suffix](ledger.select(COLUMNS), partial)


def write_rows(pool: Path, added: Path | None, kept: pl.Series, target: Target) -> dict[str, Any]:
    """Write the kept rows with the columns that steps added; rows that the format cannot express go to a file beside."""
    out, to = target.out or Path(), target.to
    rows, more = index_parts(pool), index_parts(added) if added else None
    own, new = (set(part_schema(table.paths[0])) if table else set() for table in (rows, more))
    first_reason = None
    with open_sink(out, to) as sink, collect_rejected(out) as rejected:
        for table in _iter_kept(rows, kept, more):
            for row, why in zip(table["id"], sink.write(table), strict=True):
                if why:
                    reason = f"cannot be written as {to}: {why}"
                    first_reason = first_reason or reason
                    rejected.write({"id": row, "reason": reason})
    refused = {"rows": rejected.count, "aside": str(rejected.path), "reason": first_reason}
    return {
        "out": str(out) if sink.count else None,
        "written": sink.count,
        "replaced": sorted(own & new - {"id"}),
        "refused": refused if rejected.count else None,
    }


def _iter_kept(rows: TableParts, kept: pl.Series, more: TableParts | None) -> Iterator[Table]:
    """Iterate over the kept rows in batches, with the columns of `more`."""
    read = 0
    for first in range(0, rows.count, _BATCH):
        last = min(first + _BATCH, rows.count)
        table = read_rows(rows, first, last).drop("messages_error").filter(kept[first:last])
        if more is not None and len(table):
            table = table.with_columns(read_rows(more, read, read + len(table)).drop("id"))
            read += len(table)
        yield table

"""The Table: a polars frame whose rows have ids, the words for its columns, and its life on disk.

On disk a table is a folder of parquet parts, each named by the rows it was made of. A part appears whole or not at all.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.atomic import replace_file
from attar.core.errors import DataError

Table = pl.DataFrame

TURN = pl.Struct({"role": pl.String, "content": pl.String})
ORIGIN = pl.Struct({"stage": pl.String, "engine": pl.String, "seed": pl.Int64, "parents": pl.List(pl.String)})
COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.String,  # unique in its table, and kept for as long as the row lives
    "messages": pl.List(TURN),  # the conversation so far
    "prompt": pl.String,  # the text of its last user turn
    "response": pl.String,  # the text of the assistant turn that answers it
    "reasoning": pl.String,  # what a reasoning model thought before it answered, apart from the answer
    "chosen": pl.String,  # the better of two responses to `messages`
    "rejected": pl.String,  # the worse
    "origin": ORIGIN,  # what made the row, and from which rows
    "system": pl.String,  # a system turn that steers, where it is not part of the conversation
}
_HASH_BLOCK = 10_000
"""Rows that are hashed at once."""
VERDICTS: dict[str, type[pl.DataType]] = {"id": pl.String, "kept": pl.Boolean, "reason": pl.String, "because": pl.String}


def verdicts(ids: Sequence[str], kept: Sequence[bool], reason: Sequence[str | None], because: Sequence[str | None]) -> Table:
    """What a select stage returns: of each row whether it is kept, and if not why, and because of which row."""
    return pl.DataFrame({"id": ids, "kept": kept, "reason": reason, "because": because}, schema=VERDICTS)


def need(table: Table, *columns: str) -> None:
    """Raise unless the table has these columns."""
    if missing := [column for column in columns if column not in table.columns]:
        raise DataError(f"column {missing[0]!r} is missing; the table has: {', '.join(table.columns)}")


def put(table: Table, column: str, values: Iterable[Any], errors: Iterable[str | None], dtype: Any = None) -> Table:
    """The table with a column of values, and beside it why a value is null."""
    dtype = dtype or COLUMNS.get(column)
    made = pl.Series(column, list(values), dtype=dtype)
    why = pl.Series(f"{column}_error", list(errors), dtype=pl.String)
    return table.with_columns(made, why)


def origin(stage: str, engine: str, seed: int | None, parents: Iterable[str] = ()) -> dict[str, Any]:
    """Where a new row comes from."""
    return {"stage": stage, "engine": engine, "seed": seed, "parents": list(parents)}


def turns(*pairs: tuple[str, str | None]) -> list[dict[str, str]]:
    """A conversation from (role, content) pairs; those without content are left out."""
    return [{"role": role, "content": content} for role, content in pairs if content is not None]


def table_hash(table: Table) -> str:
    """A hash of all that a table holds, its columns' names and kinds with it."""
    hashed = blake2b(digest_size=16)
    for start in range(0, max(1, len(table)), _HASH_BLOCK):
        table[start : start + _HASH_BLOCK].rechunk().write_ipc_stream(pipe := BytesIO(), compat_level=pl.CompatLevel.oldest())
        hashed.update(pipe.getvalue())
    return hashed.hexdigest()


def part_name(start: int, stop: int) -> str:
    """The file name of the part that was made from input rows start to stop."""
    return f"{start:012d}-{stop:012d}.parquet"


def part_span(path: Path) -> tuple[int, int]:
    """The input rows that a part was made from."""
    start, stop = path.stem.split("-")
    return int(start), int(stop)


def parts(folder: Path) -> list[Path]:
    """The parts of a table on disk, in row order."""
    return sorted(folder.glob("*-*.parquet"))


def write_part(table: Table, folder: Path, start: int, stop: int) -> None:
    """Write one part; it appears complete or not at all, whatever happens meanwhile."""
    with replace_file(folder / part_name(start, stop)) as partial:
        table.write_parquet(partial, compression="zstd", statistics=False)


def read(folder: Path, columns: Sequence[str] | None = None) -> Table:
    """A whole table from disk, or only these of its columns."""
    found = parts(folder)
    if not found:
        raise DataError(f"{folder} holds no table")
    return _load(folder, lambda: pl.read_parquet(found, columns=list(columns) if columns is not None else None))


def _load(where: Path, load: Callable[[], Table]) -> Table:
    """What was loaded; a file that cannot be read is the user's to remove."""
    try:
        return load()
    except (pl.exceptions.ComputeError, OSError) as error:
        raise DataError(
            f"{where} is damaged ({str(error).splitlines()[0]}): remove that step's folder and run again"
        ) from error


@dataclass(frozen=True, slots=True)
class TableParts:
    """A table on disk as one line of rows: its parts, and the row at which each starts (the last number is the end)."""

    paths: tuple[Path, ...]
    starts: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many rows there are."""
        return self.starts[-1]


def index_parts(folder: Path) -> TableParts:
    """Where the rows of a table on disk lie, from the parts' footers alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = parts(folder)
    if not found:
        raise DataError(f"{folder} holds no table")
    try:
        return TableParts(tuple(found), tuple(accumulate((pq.read_metadata(path).num_rows for path in found), initial=0)))
    except pa.ArrowInvalid as error:
        raise DataError(f"{folder} is damaged ({error}): remove that folder and run again") from error


def read_rows(rows: TableParts, start: int, stop: int, columns: Sequence[str] | None = None) -> Table:
    """Rows start to stop, opening only the parts that hold them."""
    pieces = []
    for i in range(min(bisect_right(rows.starts, start), len(rows.paths)) - 1, len(rows.paths)):
        first, last = rows.starts[i], rows.starts[i + 1]
        if first >= stop and pieces:
            break
        part = pl.scan_parquet(rows.paths[i]).slice(max(0, start - first), max(0, min(last, stop) - max(first, start)))
        wanted = part if columns is None else part.select(columns)
        pieces.append(_load(rows.paths[i], wanted.collect))
    return pl.concat(pieces)

"""The Table: a polars frame whose rows have ids, the words for its columns, and its life on disk.

On disk a table is a folder of parquet parts. A part's name has the input rows it was made from, the number of its own rows and
its checksum, which is verified before the part is read. A part appears complete or not at all.
"""

import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from attar.core.atomic import move_into_place, write_beside
from attar.core.checksum import file_checksum
from attar.core.errors import DataError

Table = pl.DataFrame
_Loaded = TypeVar("_Loaded")

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
    """What a select stage returns: for each row if it is kept; if not, the reason, and the row that caused it."""
    return pl.DataFrame({"id": ids, "kept": kept, "reason": reason, "because": because}, schema=VERDICTS)


def need(table: Table, *columns: str) -> None:
    """Raise unless the table has these columns."""
    if missing := [column for column in columns if column not in table.columns]:
        raise DataError(f"column {missing[0]!r} is missing; the table has: {', '.join(table.columns)}")


def put(table: Table, column: str, values: Iterable[Any], errors: Iterable[str | None], dtype: Any = None) -> Table:
    """Add a column of values, and a column `{column}_error` with the reasons of null values."""
    dtype = dtype or COLUMNS.get(column)
    made = pl.Series(column, list(values), dtype=dtype)
    why = pl.Series(f"{column}_error", list(errors), dtype=pl.String)
    return table.with_columns(made, why)


def origin(stage: str, engine: str, seed: int | None, parents: Iterable[str] = ()) -> dict[str, Any]:
    """The value of a new row's `origin` column."""
    return {"stage": stage, "engine": engine, "seed": seed, "parents": list(parents)}


def turns(*pairs: tuple[str, str | None]) -> list[dict[str, str]]:
    """A conversation from (role, content) pairs; those without content are left out."""
    return [{"role": role, "content": content} for role, content in pairs if content is not None]


def table_hash(table: Table) -> str:
    """A hash of a table's content, with its columns' names and types."""
    hashed = blake2b(digest_size=16)
    for start in range(0, max(1, len(table)), _HASH_BLOCK):
        table[start : start + _HASH_BLOCK].rechunk().write_ipc_stream(pipe := BytesIO(), compat_level=pl.CompatLevel.oldest())
        hashed.update(pipe.getvalue())
    return hashed.hexdigest()


def _span_name(start: int, stop: int) -> str:
    return f"{start:012d}-{stop:012d}"


def part_name(start: int, stop: int, rows: int, checksum: str) -> str:
    """The file name of a part with `rows` rows that was made from input rows start to stop."""
    return f"{_span_name(start, stop)}.{rows}.{checksum}.parquet"


def part_span(path: Path) -> tuple[int, int]:
    """The input rows that a part was made from."""
    start, stop = path.name.partition(".")[0].split("-")
    return int(start), int(stop)


def _rows_and_checksum(path: Path) -> tuple[int, str] | None:
    """What a part's name says of its content; None for a part of an earlier version, whose name has only the span."""
    match path.name.split("."):
        case [_, rows, checksum, _]:
            return int(rows), checksum
        case _:
            return None


def parts(folder: Path) -> list[Path]:
    """The parts of a table on disk, in row order."""
    return sorted(folder.glob("*-*.parquet"))


def write_part(table: Table, folder: Path, start: int, stop: int) -> None:
    """Write one part, in place of an earlier one of the same span; it appears complete or not at all, whatever happens."""
    span = _span_name(start, stop)
    with write_beside(folder / span) as partial:
        write_parquet(table, partial, statistics=False)
        target = folder / part_name(start, stop, len(table), file_checksum(partial))
        for earlier in folder.glob(f"{span}.*parquet"):  # before the rename: a crash may lose a part, but never double it
            if earlier != target:
                earlier.unlink()
        move_into_place(partial, target)


def write_parquet(table: Table, file: Path, *, statistics: bool = True) -> None:
    """Write a parquet file; what the disk refuses is an OSError, as for any other file."""
    try:
        table.write_parquet(file, compression="zstd", statistics=statistics)
    except pl.exceptions.ComputeError as error:
        if (code := re.search(r"\(os error (\d+)\)", str(error))) is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(file)) from error


def verify_part(path: Path) -> Path:
    """The path of a part, if its content has the checksum in its name; DataError if not."""
    known = _rows_and_checksum(path)
    if known and _load(path, lambda: file_checksum(path)) != known[1]:
        raise DataError(f"{path} is damaged (its checksum does not match): {_remedy(path)}")
    return path


def _remedy(where: Path) -> str:
    """What to do about damage; a step that an earlier version finished does not miss a part that is removed."""
    part = where.suffix == ".parquet" and _rows_and_checksum(where)
    return "remove this file and run again: only its rows are made again" if part else "remove that step's folder and run again"


def read(folder: Path, columns: Sequence[str] | None = None) -> Table:
    """A whole table from disk, or only these of its columns."""
    found = _verified_parts(folder)
    return _load(folder, lambda: pl.read_parquet(found, columns=list(columns) if columns is not None else None))


def scan(folder: Path) -> pl.LazyFrame:
    """A table on disk, to be read lazily; a column that a part lacks is null there."""
    found = _verified_parts(folder)
    return pl.scan_parquet(found, missing_columns="insert", extra_columns="ignore")


def read_part(path: Path, columns: Sequence[str] | None = None) -> Table:
    """One part, or only these of its columns."""
    return _load(verify_part(path), lambda: pl.read_parquet(path, columns=list(columns) if columns is not None else None))


def part_schema(path: Path) -> dict[str, pl.DataType]:
    """The columns of a part and their types."""
    return _load(verify_part(path), lambda: dict(pl.read_parquet_schema(path)))


def table_schema(folder: Path) -> dict[str, pl.DataType]:
    """The columns of a table on disk and their types, from its first part."""
    return part_schema(_some_parts(folder)[0])


def _verified_parts(folder: Path) -> list[Path]:
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter's lock
        return list(pool.map(verify_part, _some_parts(folder)))


def _some_parts(folder: Path) -> list[Path]:
    if found := parts(folder):
        return found
    raise DataError(f"{folder} holds no table")


def _load(where: Path, load: Callable[[], _Loaded]) -> _Loaded:
    """Load, with a DataError and a remedy if a file cannot be read."""
    try:
        return load()
    except (pl.exceptions.ComputeError, OSError) as error:
        raise DataError(f"{where} is damaged ({str(error).splitlines()[0]}): {_remedy(where)}") from error


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
    """Where the rows of a table on disk are, from the parts' names; no part is read."""
    found = _some_parts(folder)
    return TableParts(tuple(found), tuple(accumulate(map(_count_rows, found), initial=0)))


def _count_rows(path: Path) -> int:
    """The rows of a part: by its name, or by its footer if an earlier version wrote it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if known := _rows_and_checksum(path):
        return known[0]
    try:
        return pq.read_metadata(path).num_rows
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is damaged ({error}): {_remedy(path)}") from error


def read_rows(rows: TableParts, start: int, stop: int, columns: Sequence[str] | None = None) -> Table:
    """Rows start to stop, opening only the parts that hold them."""
    pieces = []
    for i in range(min(bisect_right(rows.starts, start), len(rows.paths)) - 1, len(rows.paths)):
        first, last = rows.starts[i], rows.starts[i + 1]
        if first >= stop and pieces:
            break
        path = verify_part(rows.paths[i])
        part = pl.scan_parquet(path).slice(max(0, start - first), max(0, min(last, stop) - max(first, start)))
        wanted = part if columns is None else part.select(columns)
        pieces.append(_load(path, wanted.collect))
    return pl.concat(pieces)

"""Read chat data of any source as our columns, as a stream, whatever its size.

A row that cannot be parsed is rejected with its file, line and reason; it never stops the others and is never dropped silently.
A column's type comes from the first rows with values, at most 20,000: numbers, booleans, lists of numbers, or text. Lists of
numbers stay lists, float32 where parquet or Arrow files have float32; in a column with other values they become JSON text.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from attar.core.errors import DataError, did_you_mean
from attar.core.table import COLUMNS, Table
from attar.data.data_file import RawRow, display_name
from attar.data.formats import CONVERSATION_COLUMNS, FORMATS, Row, parse_row
from attar.data.raw import open_source, raw_rows
from attar.data.vector_columns import list_dtype, vector_series

__all__ = ["BadRow", "RawRow", "RowBatch", "convert_rows", "excerpt", "load", "raw_rows", "row_id", "unique_id"]

_NUMBERS = pl.List(pl.Null)
"""Only lists of numbers so far; the rows read together decide whether the column stays so."""
_KINDS: dict[type, Any] = {bool: pl.Boolean, int: pl.Float64, float: pl.Float64, str: pl.String, np.ndarray: _NUMBERS}


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was rejected."""

    file: str
    line: int
    reason: str
    text: str


@dataclass(slots=True)
class RowBatch:
    """Parsed rows, the file and line of each, and the rejected rows."""

    table: Table
    places: list[tuple[str, int]]
    bad: list[BadRow]


def load(
    source: str | Path, *, content: str | None = None, form: str | None = None, size: int = 20_000, seen: set[str] | None = None
) -> Iterator[RowBatch]:
    """Data of any format, at most `size` rows at a time; `content`: see raw_rows, `seen`: see convert_rows."""
    rows, root = open_source(source, content)
    return convert_rows(rows, root, form=form, size=size, seen=seen)


def row_id(file: Path, line: int, root: Path) -> str:
    """The id of a row that has none: its file below `root`, and its line."""
    return f"{_relative_name(file, root)}:{line}"


@lru_cache(maxsize=256)
def _relative_name(file: Path, root: Path) -> str:
    return file.relative_to(root).with_suffix("").as_posix()


def unique_id(own: str | None, place: str, seen: set[str]) -> str:
    """The row's own id, or else its place, with a number behind it if need be; an id in `seen` is not given again."""
    name = own or place
    if name in seen:
        names = chain([place], (f"{place}.{number}" for number in count(2)))
        name = next(name for name in names if name not in seen)
    seen.add(name)
    return name


def convert_rows(
    source: Iterable[RawRow], root: Path, *, form: str | None = None, size: int = 20_000, seen: set[str] | None = None
) -> Iterator[RowBatch]:
    """Raw rows of files below `root` as our columns, at most `size` at a time. No id is in `seen` or given twice."""
    if form is not None and form not in FORMATS:
        raise DataError(f"unknown format {form!r}; {did_you_mean(form, FORMATS)}")
    schema: dict[str, Any] = {}
    seen = set() if seen is None else seen
    good: list[Row] = []
    places: list[tuple[str, int]] = []
    bad: list[BadRow] = []
    for raw in source:
        try:
            if isinstance(raw.value, ValueError):
                raise raw.value
            row = parse_row(raw.value, form)
            _check_encoding(row)
            _check_kinds(row, schema)
        except ValueError as error:
            reason = "not UTF-8 text" if isinstance(error, UnicodeError) else str(error)
            bad.append(BadRow(display_name(raw.file), raw.line, reason, excerpt(raw.value)))
        else:
            own_id = row.get("id")
            has_id = isinstance(own_id, str | int) and own_id != ""
            row["id"] = unique_id(str(own_id) if has_id else None, row_id(raw.file, raw.line, root), seen)
            good.append(row)
            places.append((display_name(raw.file), raw.line))
        if len(good) + len(bad) >= size:
            yield RowBatch(_to_table(good, schema), places, bad)
            good, places, bad = [], [], []
    if good or bad:
        yield RowBatch(_to_table(good, schema), places, bad)


def _check_encoding(row: Row) -> None:
    """Raise UnicodeError for text that is not valid UTF-8, such as half a surrogate pair."""
    texts = chain(row, row.values(), (turn["content"] for turn in row["messages"]))
    for text in texts:
        if isinstance(text, str) and not text.isascii():
            text.encode()


def _check_kinds(row: Row, schema: dict[str, Any]) -> None:
    """Check a row's values against the column types of earlier rows; add the types of new columns to `schema`."""
    types: dict[str, Any] = {}
    for key, value in row.items():
        if value is None or key in CONVERSATION_COLUMNS:
            continue
        if isinstance(value, list):
            row[key] = np.asarray(value)
        kind = _KINDS.get(type(row[key]))
        if kind is None:
            row[key], kind = str(value), pl.String
        if type(value) is int and abs(value) > 1 << 53:
            raise ValueError(f"column {key!r} holds {value}, too large for a number: write it as text")
        types[key] = _merge_kinds(key, kind, schema.get(key, kind))
    schema.update(types)


def _merge_kinds(key: str, kind: Any, known: Any) -> Any:
    """The type of a column of a known type with a value of another; ValueError if they do not fit together."""
    if kind == known or (kind == _NUMBERS and isinstance(known, pl.List)):
        return known
    if (kind, known) in ((_NUMBERS, pl.String), (pl.String, _NUMBERS)):
        return pl.String
    here, before = ("a list of numbers" if isinstance(one, pl.List) else str(one()) for one in (kind, known))
    raise ValueError(f"column {key!r} is {here} here, but {before} in earlier rows")


def _to_table(good: list[Row], schema: dict[str, Any]) -> Table:
    _settle_list_columns(good, schema)
    known = {name: COLUMNS[name] for name in ("id", "messages", "prompt", "response")}
    seen = {name: COLUMNS[name] for name in ("chosen", "rejected") if any(name in row for row in good)}
    kinds = {**known, **seen, **schema}
    return pl.DataFrame([_series(name, kind, [row.get(name) for row in good]) for name, kind in kinds.items()])


def _series(name: str, kind: Any, values: list[Any]) -> pl.Series:
    if name == "messages":
        return _turns_series(name, kind, values)
    return vector_series(name, values, kind) if _is_list(kind) else pl.Series(name, values, dtype=kind, strict=False)


def _turns_series(name: str, kind: Any, conversations: list[list[dict[str, Any]]]) -> pl.Series:
    """A column of conversations, made of one column for each field of a turn: much faster than turn by turn."""
    import pyarrow as pa

    flat = list(chain.from_iterable(conversations))
    fields = [pl.Series(key, [turn.get(key) for turn in flat], dtype=of) for key, of in kind.inner.to_schema().items()]
    ends = np.cumsum([0, *map(len, conversations)])
    turns = pl.DataFrame(fields).to_struct().to_arrow()
    return pl.Series(name, pa.LargeListArray.from_arrays(pa.array(ends), turns), dtype=kind)


def _is_list(kind: Any) -> bool:
    return isinstance(kind, pl.List)


def _settle_list_columns(good: list[Row], schema: dict[str, Any]) -> None:
    """Decide for columns with lists of numbers: a list column, or JSON text if there are other values too."""
    for name in [name for name, kind in schema.items() if kind in (_NUMBERS, pl.String)]:
        with_list = [row for row in good if isinstance(row.get(name), np.ndarray)]
        if schema[name] == _NUMBERS and any(len(row[name]) for row in with_list):
            schema[name] = list_dtype([row[name] for row in with_list])
            continue
        schema[name] = pl.String
        for row in with_list:
            row[name] = json.dumps(row[name].tolist())


def excerpt(value: Any) -> str:
    """The start of a row, for a report."""
    text = repr(value) if isinstance(value, ValueError) else json.dumps(value, ensure_ascii=False, default=str)
    return text[:500].encode(errors="replace").decode()

"""Read chat data: JSON, JSONL, parquet, folders of these, `datasets` folders. Files are streamed, whatever their size.

A row that cannot be parsed is rejected with its file, line and reason; it never stops the others and is never dropped silently.
A column's type comes from the first rows with values, at most 20,000: numbers, booleans, lists of numbers, or text. Lists of
numbers stay lists, float32 where parquet or Arrow files have float32; in a column with other values they become JSON text.
"""

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl

from attar.core.errors import DataError, did_you_mean
from attar.core.table import COLUMNS, Table
from attar.data.formats import CONVERSATION_COLUMNS, FORMATS, Row, parse_row
from attar.data.vector_columns import column_arrays, list_dtype, vector_series

_SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet", ".arrow", ".jsonl.gz", ".json.gz")
_NUMBERS = pl.List(pl.Null)
"""Only lists of numbers so far; the rows read together decide whether the column stays so."""
_KINDS: dict[type, Any] = {bool: pl.Boolean, int: pl.Float64, float: pl.Float64, str: pl.String, np.ndarray: _NUMBERS}
_GAP = re.compile(r"[ \t\r\n,]*")
_LARGEST_ITEM = 64 << 20  # characters


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was rejected."""

    file: str
    line: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class RawRow:
    """A raw row and its place in a file; `value` is a ValueError if it could not be read."""

    file: Path
    line: int
    value: Any


def data_files(path: Path) -> list[Path]:
    """The data files of a path: the file itself, or all readable files below a folder."""
    if not path.exists():
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path} does not exist; {did_you_mean(path.name, beside) if beside else 'nor does its folder'}")
    if path.is_file():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name.endswith(_SUFFIXES))
    files = [file for file in files if not (file.name.startswith("cache-") and file.suffix == ".arrow")]  # caches of `datasets`
    files = [file for file in files if file.name not in ("dataset_info.json", "dataset_dict.json", "state.json", "card.json")]
    if not files:
        raise DataError(f"{path} holds no data file; supported: {', '.join(_SUFFIXES)}")
    return files


def raw_rows(path: Path) -> Iterator[RawRow]:
    """Every raw row of a file or a folder, in order."""
    for file in data_files(path):
        line, read = 0, _reader(file)
        try:
            for row in read(file):
                line = row.line
                yield row
        except (OSError, EOFError, ValueError, zlib.error) as error:  # pyarrow's errors are ValueErrors and OSErrors
            yield RawRow(file, line + 1, ValueError(f"damaged, so nothing from here on could be read: {error}"))


def _reader(file: Path) -> Callable[[Path], Iterator[RawRow]]:
    name = file.name.removesuffix(".gz")
    if name.endswith((".jsonl", ".ndjson")):
        return _lines
    if name.endswith(".json"):
        return _json
    if name.endswith(".parquet"):
        return _parquet
    if name.endswith(".arrow"):
        return _arrow
    raise DataError(f"{file}: cannot read {file.suffix or 'a file without a suffix'}; supported: {', '.join(_SUFFIXES)}")


def _open(file: Path) -> IO[str]:
    raw = gzip.open(file) if file.suffix == ".gz" else file.open("rb")  # noqa: SIM115 (the wrapper closes it)
    return io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape")


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return ValueError(f"not JSON: {error}")


def _lines(file: Path) -> Iterator[RawRow]:
    with _open(file) as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield RawRow(file, number, _parse_json(line))


def _json(file: Path) -> Iterator[RawRow]:
    """An array of rows, or one row on each line, as in many `.json` files."""
    with _open(file) as stream:
        while (head := stream.read(1)).isspace():
            pass
    yield from _array(file) if head == "[" else _lines(file)


def _array(file: Path, chunk: int = 1 << 20) -> Iterator[RawRow]:
    """The items of a JSON array, without loading the whole array."""
    decoder, buffer, at, line = json.JSONDecoder(), "", 0, 1
    with _open(file) as stream:
        while (opening := stream.read(1)).isspace():
            line += opening == "\n"
        while True:
            start = at + len(_GAP.match(buffer, at)[0])  # type: ignore[index] # it matches the empty string too
            line, at = line + buffer.count("\n", at, start), start
            if buffer.startswith("]", at):
                return
            value, reason = None, "the file ends within it"
            try:
                value, end = decoder.raw_decode(buffer, at)
            except (ValueError, RecursionError) as error:
                reason, end = getattr(error, "msg", str(error)), len(buffer)
            if end == len(buffer):  # the item may continue in the next chunk
                more = stream.read(max(chunk, len(buffer) - at)) if len(buffer) - at < _LARGEST_ITEM else ""
                if not more:
                    yield RawRow(file, line, ValueError(f"not JSON, so nothing from here on could be read: {reason}"))
                    return
                buffer, at = buffer[at:] + more, 0
                continue
            yield RawRow(file, line, value)
            line, at = line + buffer.count("\n", at, end), end


def _parquet(file: Path) -> Iterator[RawRow]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as source:
        yield from _number_rows(file, source.iter_batches(batch_size=4096))


def _arrow(file: Path) -> Iterator[RawRow]:
    """A shard of a `datasets` folder, as `save_to_disk` writes it."""
    import pyarrow as pa

    with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as batches:
        yield from _number_rows(file, batches)


def _number_rows(file: Path, batches: Iterable[Any]) -> Iterator[RawRow]:
    for number, value in enumerate((row for batch in batches for row in _batch_rows(batch)), 1):
        yield RawRow(file, number, value)


def _batch_rows(batch: Any) -> list[Any]:
    """The rows of a batch; a row that cannot be decoded is an error of its own, and the others are read."""
    try:
        columns = [column_arrays(column) or column.to_pylist() for column in batch.columns]
    except UnicodeDecodeError as error:
        half = batch.num_rows // 2
        return [*_batch_rows(batch.slice(0, half)), *_batch_rows(batch.slice(half))] if half else [error]
    return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


@dataclass(slots=True)
class RowBatch:
    """Parsed rows, the file and line of each, and the rejected rows."""

    table: Table
    places: list[tuple[str, int]]
    bad: list[BadRow]


def load(path: Path, *, form: str | None = None, size: int = 20_000) -> Iterator[RowBatch]:
    """Data of any format, at most `size` rows at a time."""
    return convert_rows(raw_rows(path), path if path.is_dir() else path.parent, form=form, size=size)


def row_id(file: Path, line: int, root: Path) -> str:
    """The id of a row that has none: its file below `root`, and its line."""
    return f"{_relative_name(file, root)}:{line}"


@lru_cache(maxsize=256)
def _relative_name(file: Path, root: Path) -> str:
    return file.relative_to(root).with_suffix("").as_posix()


def convert_rows(source: Iterable[RawRow], root: Path, *, form: str | None = None, size: int = 20_000) -> Iterator[RowBatch]:
    """Raw rows of files below `root` as our columns, at most `size` at a time."""
    if form is not None and form not in FORMATS:
        raise DataError(f"unknown format {form!r}; {did_you_mean(form, FORMATS)}")
    schema: dict[str, Any] = {}
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
            bad.append(BadRow(str(raw.file), raw.line, reason, excerpt(raw.value)))
        else:
            own_id = row.get("id")
            has_id = isinstance(own_id, str | int) and own_id != ""
            row["id"] = str(own_id) if has_id else row_id(raw.file, raw.line, root)
            good.append(row)
            places.append((str(raw.file), raw.line))
        if len(good) + len(bad) >= size:
            yield RowBatch(_to_table(good, schema), places, bad)
            good, places, bad = [], [], []
    if good or bad:
        yield RowBatch(_to_table(good, schema), places, bad)


def _check_encoding(row: Row) -> None:
    """Raise UnicodeError for text that is not valid UTF-8, such as half a surrogate pair."""
    texts = chain(row, row.values(), (turn["content"] for turn in row["messages"]))
    for text in texts:
        if isinstance(text, str):
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
    lists = [
        vector_series(name, [row.pop(name, None) for row in good], kind) for name, kind in schema.items() if _is_list(kind)
    ]
    plain = {name: kind for name, kind in kinds.items() if name in known or not _is_list(kind)}
    return pl.DataFrame(good, schema=plain, strict=False).with_columns(lists).select(*kinds)


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

"""The raw rows of a source, whatever holds them: JSON, csv, tsv (also compressed), parquet, Arrow, workbooks, the Hub.

Files are streamed; only a workbook's sheet is held in memory. A damaged file gives the rows before the damage, then a bad row.
"""

import lzma
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from attar.core.errors import DataError
from attar.data.arrow_rows import arrow_rows, parquet_rows
from attar.data.data_file import ARROW, PACKED, SUFFIXES, SUPPORTED, DataFile, RawRow, display_name
from attar.data.files import find_files
from attar.data.json_rows import json_rows, line_rows
from attar.data.sheet_rows import text_rows, workbook_rows
from attar.data.sources import at_commit, hub_rows, is_hub_dataset
from attar.data.streams import open_stdin, open_stream


def raw_rows(source: str | Path, content: str | None = None) -> Iterator[RawRow]:
    """Every raw row of a source, in order; `content` is what `pin_source` says of a data set on the Hub."""
    return open_source(source, content)[0]


def open_source(source: str | Path, content: str | None = None) -> tuple[Iterator[RawRow], Path]:
    """Every raw row of a source, in order, and the folder that its files are named from in ids."""
    if is_hub_dataset(str(source)):
        return hub_rows(str(source), content)
    files, root = find_files(at_commit(source, content))
    return chain.from_iterable(map(_file_rows, files)), root


def _file_rows(file: DataFile) -> Iterator[RawRow]:
    line, read = 0, _reader(file)
    try:
        for row in read(file):
            line = row.line
            yield row
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:  # pyarrow's are ValueErrors and OSErrors
        yield RawRow(file.path, line + 1, ValueError(f"damaged, so nothing from here on could be read: {error}"))


def _reader(file: DataFile) -> Callable[[DataFile], Iterator[RawRow]]:
    name = file.path.name
    if name == "stdin":
        return _read_stdin
    if name.endswith(".parquet"):
        return parquet_rows
    if name.endswith(ARROW):
        return arrow_rows
    if name.endswith(".xlsx"):
        return workbook_rows
    if name.endswith(SUFFIXES):
        return _read_text
    raise DataError(
        f"{display_name(file.path)}: cannot read {file.path.suffix or 'a file without a suffix'}; supported: {SUPPORTED}"
    )


def _read_text(file: DataFile) -> Iterator[RawRow]:
    name = file.path.name.removesuffix(file.path.suffix) if file.path.suffix in PACKED else file.path.name
    rows = next(rows for suffixes, rows in _TEXT_ROWS.items() if name.endswith(suffixes))
    with open_stream(file) as stream:
        yield from rows(file.path, stream)


def _read_stdin(file: DataFile) -> Iterator[RawRow]:
    with open_stdin(file) as stream:
        yield from json_rows(file.path, stream)


_TEXT_ROWS: dict[tuple[str, ...], Callable[[Path, BinaryIO], Iterator[RawRow]]] = {
    (".jsonl", ".ndjson"): line_rows,
    (".json",): json_rows,
    (".csv",): partial(text_rows, tabs=False),
    (".tsv",): partial(text_rows, tabs=True),
}

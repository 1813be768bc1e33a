"""Rows of tables of text: csv, tsv, and the sheets of Excel workbooks. The first row has the names of the columns.

Cells of csv and tsv are text, also numbers; in a workbook numbers stay numbers, except in the columns of a conversation. An
empty cell is null. JSON in a column `messages`, `conversations`, `conversation` or `tools` is parsed, and in `prompt`, `chosen`
or `rejected` if it is a list of turns.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from attar.core.errors import DataError, MissingExtraError, did_you_mean
from attar.data.data_file import DataFile, RawRow

_JSON = ("messages", "conversations", "conversation", "tools")
_TURNS = ("prompt", "chosen", "rejected")
_TEXTS = (*_TURNS, "id", "system", "instruction", "input", "output", "response", "completion", "answer", "question", "query")
_LONGEST_CELL = 64 << 20


def text_rows(file: Path, stream: BinaryIO, *, tabs: bool) -> Iterator[RawRow]:
    """The rows of a csv file (with semicolons, if its first line has no comma but those) or a tsv file."""
    csv.field_size_limit(_LONGEST_CELL)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    first = text.readline(_LONGEST_CELL)
    mark = "\t" if tabs else ";" if ";" in first and "," not in first else ","
    reader = csv.reader(_chain(first, text), delimiter=mark, strict=True)
    yield from _rows(file, _records(reader))


def _chain(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def _records(reader: Any) -> Iterator[tuple[int, list[Any] | ValueError]]:
    """The records with the line at which each begins."""
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, ValueError(f"not {'CSV' if reader.dialect.delimiter != chr(9) else 'TSV'}: {error}")
        else:
            yield line, record


def _rows(file: Path, records: Iterator[tuple[int, list[Any] | ValueError]]) -> Iterator[RawRow]:
    """Records as rows, with the names that the first record has."""
    names: list[str] = []
    for line, record in records:
        if isinstance(record, ValueError):
            yield RawRow(file, line, record)
        elif not any(cell not in ("", None) for cell in record):
            continue
        elif not names:
            names = _names(record)
        elif len(record) < len(names) or any(cell not in ("", None) for cell in record[len(names) :]):
            yield RawRow(file, line, ValueError(f"the row has {len(record)} cells, but there are {len(names)} columns"))
        else:
            yield RawRow(file, line, _row(names, record))


def _names(record: list[Any]) -> list[str]:
    """The names of the columns: those of cells without text say where they are."""
    cells = [str(cell).strip() for cell in record]
    while not cells[-1]:
        cells.pop()
    names = [cell or f"column_{number}" for number, cell in enumerate(cells, 1)]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two columns are called {twice!r}")
    return names


def _row(names: list[str], record: list[Any]) -> dict[str, Any] | ValueError:
    try:
        return {name: _cell(name, cell) for name, cell in zip(names, record, strict=False)}
    except ValueError as error:
        return error


def _cell(name: str, cell: Any) -> Any:
    if cell in ("", None):
        return None
    if isinstance(cell, str):
        return _parse_cell(name, cell) if name in _JSON or name in _TURNS else cell
    if isinstance(cell, date | time | timedelta):
        return str(cell)
    if name in _TEXTS and not isinstance(cell, bool):
        return str(int(cell)) if cell == int(cell) else str(cell)
    return cell


def _parse_cell(name: str, cell: str) -> Any:
    """The value of a cell that is JSON."""
    if not cell.lstrip().startswith(("[", "{")):
        return cell
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError) as error:
        if name in _TURNS:
            return cell
        raise ValueError(f"column {name!r} is not JSON: {error}") from None
    are_turns = isinstance(value, list) and value and all(isinstance(turn, dict) for turn in value)
    return value if name in _JSON or are_turns else cell


def workbook_rows(file: DataFile) -> Iterator[RawRow]:
    """The rows of the named sheet, or of the only one."""
    try:
        from python_calamine import CalamineError, load_workbook
    except ModuleNotFoundError as error:
        raise MissingExtraError("python-calamine", "excel") from error
    with file.open() as stream:
        try:
            sheets = load_workbook(stream)  # type: ignore[arg-type] # it needs read and seek
            sheet = sheets.get_sheet_by_name(_sheet_name(file, sheets.sheet_names))
        except CalamineError as error:
            raise ValueError(f"no workbook that can be read, or an encrypted one ({error})") from error
        start = sheet.start[0] if sheet.start else 0
        yield from _rows(file.path, enumerate(sheet.to_python(), start + 1))


def _sheet_name(file: DataFile, names: list[str]) -> str:
    if file.sheet is None and len(names) == 1:
        return names[0]
    if file.sheet in names:
        return str(file.sheet)
    if file.sheet is None:
        raise DataError(
            f"{file.path} has {len(names)} sheets ({', '.join(names)}): name one, as in {file.path.name}#{names[0]}"
        )
    raise DataError(f"{file.path} has no sheet {file.sheet!r}; {did_you_mean(file.sheet, names)}")

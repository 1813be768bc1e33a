"""Personas from elsewhere: a file (text by line, CSV, JSON, parquet), a folder of such, or a dataset on the Hub.

A row without a persona is passed over; one that cannot be read, or holds something else than text, is an error that says where.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attar.core.errors import DataError
from attar.data import sources
from attar.data.readers import raw_rows

COLUMN = "persona"
_BUFFER = 10_000


def from_files(path: Path, column: str | None) -> Iterator[str]:
    """The personas of a file or a folder, in order."""
    kind = path.suffix.lower()
    if kind not in (".txt", ".csv") or not path.is_file():
        for found in raw_rows(path):
            if isinstance(found.value, ValueError):
                raise DataError(f"{found.file}, row {found.line}: {found.value}")
            yield _text(found.value, column, f"{found.file}, row {found.line}")
        return
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            if kind == ".txt":
                yield from (line.strip() for line in stream)
            else:
                for number, row in enumerate(csv.DictReader(stream, strict=True), 1):
                    yield _text(row, column, f"{path}, row {number}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} could not be read as UTF-8 {kind.removeprefix('.')}: {error}") from error


def from_hub(name: str, column: str | None, seed: int) -> Iterator[str]:
    """The personas of a dataset on the Hub, streamed, shuffled."""
    with sources.dataset_loader(name) as load:
        for number, row in enumerate(load(split="train").shuffle(seed=seed, buffer_size=_BUFFER), 1):
            yield _text(row, column, f"{name}, row {number} as shuffled")


def _text(row: Any, column: str | None, where: str) -> str:
    if isinstance(row, str) and column is None:
        return row.strip()
    if not isinstance(row, dict) or (column or COLUMN) not in row:
        has = ", ".join(map(str, row)) if isinstance(row, dict) else f"no columns, but {str(row)[:60]!r}"
        raise DataError(f"{where}: column {column or COLUMN!r} is missing (there is: {has}); name the right one with 'column'")
    value = row[column or COLUMN]
    if value is not None and not isinstance(value, str):
        raise DataError(f"{where}: column {column or COLUMN!r} holds {str(value)[:60]}, not text")
    return (value or "").strip()

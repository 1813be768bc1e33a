"""Personas from elsewhere: a file (text by line, CSV, JSON, parquet), a folder of such, or a dataset on the Hub.

A row without a persona is passed over; one that cannot be read, or holds something else than text, is an error that says where.
"""

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attar.errors import DataError, MissingExtraError
from attar.files import rows, sources

COLUMN = "persona"
_BUFFER = 10_000


def from_files(path: Path, column: str | None) -> Iterator[str]:
    """The personas of a file or a folder, in order."""
    kind = path.suffix.lower()
    if kind not in (".txt", ".csv") or not path.is_file():
        for found in rows(path):
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
    """The personas of a dataset on the Hub (`owner/name`, `owner/name:config`, either with `@revision`), streamed, shuffled."""
    try:
        from datasets import load_dataset
        from datasets.exceptions import DatasetsError
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "train") from error
    place, _, revision = name.partition("@")
    place, _, config = place.partition(":")
    try:
        stream = load_dataset(place, config or None, split="train", streaming=True, revision=revision or None)
        for number, row in enumerate(stream.shuffle(seed=seed, buffer_size=_BUFFER), 1):
            yield _text(row, column, f"{name}, row {number} as shuffled")
    except (OSError, ValueError, DatasetsError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"{name} is no file here, and could not be read from the Hub ({reason}): mend the name or the connection"
        ) from error


def content_of(path: Path) -> str:
    """The fingerprint of all that a file or a folder of data files holds."""
    digest = hashlib.blake2b(digest_size=8)
    for file in sources(path):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=8)).digest())
    return digest.hexdigest()


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

"""A file that holds rows, on this machine or not, and a row of it as it was read. Names decide which files are data."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

PACKED = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes of compressed files."""
TEXTS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
ARROW = (".arrow", ".feather", ".ipc")
SUFFIXES = (*TEXTS, *(text + packed for text in TEXTS for packed in PACKED), ".parquet", *ARROW, ".xlsx")
SUPPORTED = f"{', '.join((*TEXTS, '.parquet', *ARROW, '.xlsx'))}; the first five also compressed: {', '.join(PACKED)}"
_NOT_DATA = ("dataset_info.json", "dataset_dict.json", "state.json", "card.json")
_ONE_SLASH = re.compile(r"^([a-z][a-z0-9+.-]+):/(?!/)")


@dataclass(frozen=True, slots=True)
class RawRow:
    """A raw row and its place in a file; `value` is a ValueError if it could not be read."""

    file: Path
    line: int
    value: Any


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that holds rows. The path of a file that is not on this machine is no more than its name."""

    path: Path
    open: Callable[[], IO[bytes]]
    local: bool = True
    sheet: str | None = None
    """The sheet to read, of a workbook; None if none was named."""


def is_data(name: str) -> bool:
    """True for the names of files that are read when a folder or a pattern is the source."""
    cached = name.startswith("cache-") and name.endswith(".arrow")  # caches of `datasets`
    return name.endswith(SUFFIXES) and name not in _NOT_DATA and not cached


@lru_cache(maxsize=256)
def display_name(file: Path) -> str:
    """A file's name for people: a path has only one of the two slashes of an address."""
    return _ONE_SLASH.sub(r"\1://", str(file))

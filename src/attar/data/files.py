"""The files that a source names: a file, a folder, a pattern such as `data/*.jsonl.zst`, a sheet of a workbook
(`book.xlsx#Sheet`), standard input (`-`), or an address (`attar.data.remote`).
"""

import glob
import re
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from attar.core.errors import DataError, did_you_mean
from attar.data.data_file import SUPPORTED, DataFile, is_data
from attar.data.remote import is_address, remote_files

STDIN = "-"
_WILD = re.compile(r"[*?[]")


def data_files(source: str | Path) -> list[Path]:
    """The paths of a source's files."""
    return [file.path for file in find_files(source)[0]]


def find_files(source: str | Path) -> tuple[list[DataFile], Path]:
    """The files of a source in order of their names, and the folder that they are named from in ids.

    Of a folder these are all readable files below it. A pattern's root is the last folder before its first wildcard.
    """
    if str(source) == STDIN:
        return [DataFile(Path("stdin"), lambda: sys.stdin.buffer, local=False)], Path()
    if is_address(source):
        return remote_files(str(source))
    path, sheet = split_sheet(Path(source).expanduser())
    if is_pattern(path):
        return _make_files(_matching(path), f"{path} matches no data file"), pattern_root(path)
    if not path.exists():
        beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path} does not exist; {did_you_mean(path.name, beside) if beside else 'nor does its folder'}")
    if path.is_dir():
        return _make_files(_below(path), f"{path} holds no data file"), path
    return [DataFile(path, partial(path.open, "rb"), sheet=sheet)], path.parent


def is_pattern(path: str | Path) -> bool:
    """True for a path with wildcards that is not the name of a file."""
    return _WILD.search(str(path)) is not None and not is_address(path) and not Path(path).expanduser().exists()


def pattern_root(path: Path) -> Path:
    """The last folder of a pattern before its first wildcard."""
    return next(folder for folder in path.parents if folder.exists() or not _WILD.search(str(folder)))


def split_sheet(path: Path) -> tuple[Path, str | None]:
    """Split `book.xlsx#Sheet` into file and sheet; None if no sheet is named."""
    book, mark, sheet = str(path).rpartition(".xlsx#")
    return (Path(f"{book}.xlsx"), sheet) if mark and not path.exists() else (path, None)


def _matching(pattern: Path) -> Iterable[Path]:
    for path in map(Path, glob.iglob(str(pattern), recursive=True)):
        yield from _below(path) if path.is_dir() else [path] if is_data(path.name) else []


def _below(folder: Path) -> Iterable[Path]:
    return (file for file in folder.rglob("*") if file.is_file() and is_data(file.name))


def _make_files(paths: Iterable[Path], problem: str) -> list[DataFile]:
    files = [DataFile(path, partial(path.open, "rb")) for path in sorted(set(paths))]
    if not files:
        raise DataError(f"{problem}; supported: {SUPPORTED}")
    return files

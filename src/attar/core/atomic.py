"""Atomic writes: a file or folder appears at its path complete, or not at all.

It is written beside its path under a name that ends in `.partial`, flushed to disk, and renamed. A write that fails leaves what
was at the path before.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def partial_path(target: Path) -> Path:
    """Where `target` is written until it is complete; its folder is made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(target.name + ".partial")


def move_into_place(partial: Path, target: Path) -> None:
    """Flush a finished file, or a folder's files, to disk and rename it to `target`."""
    for file in (path for path in partial.rglob("*") if path.is_file()) if partial.is_dir() else (partial,):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    partial.replace(target)


@contextmanager
def replace_file(target: Path) -> Iterator[Path]:
    """Give a path to write to; when the block ends without an error, that file replaces `target`."""
    partial = partial_path(target.with_name(f"{target.name}.{os.getpid()}"))  # two processes may write one target at once
    try:
        yield partial
        move_into_place(partial, target)
    finally:
        partial.unlink(missing_ok=True)

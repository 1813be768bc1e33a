"""Atomic writes: a file or folder appears at its path complete, or not at all.

It is written beside its path under a name that nothing else has, `NAME.PID-TOKEN.partial`, flushed to disk, and renamed. A
write that fails leaves what was at the path before. A link is followed: what it points to is replaced.
`attar.core.output_lock` keeps two processes from writing one output.
"""

import filecmp
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_OWN_NAME = r"\.([1-9][0-9]{0,8})-[0-9a-f]{12}\.(partial|before)"
"""The end of the name of an unfinished output (partial), or of an old folder while a new one takes its place (before)."""


def real_path(target: Path) -> Path:
    """The path that is written when `target` is: the end of its links."""
    return Path(os.path.realpath(target))


def _own_path(target: Path, kind: str) -> Path:
    """A path beside `target` that nothing else has; its folder is made."""
    target = real_path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target.with_name(f"{target.name}.{os.getpid()}-{secrets.token_hex(6)}.{kind}")


@contextmanager
def write_beside(target: Path) -> Iterator[Path]:
    """Give a path beside `target` for a file or a folder; what is still there when the block ends is removed."""
    partial = _own_path(target, "partial")
    try:
        yield partial
    finally:
        _remove(partial)


def move_into_place(partial: Path, target: Path) -> None:
    """Flush a finished file, or a folder's files, to disk and rename it to `target`; the mode of an earlier file is kept."""
    target = real_path(target)
    for file in (path for path in partial.rglob("*") if path.is_file()) if partial.is_dir() else (partial,):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    if target.is_file():
        shutil.copymode(target, partial)
    partial.replace(target)


@contextmanager
def replace_file(target: Path) -> Iterator[Path]:
    """Give a path to write to; when the block ends without an error, that file replaces `target`."""
    with write_beside(target) as partial:
        yield partial
        move_into_place(partial, target)


def replace_text(target: Path, text: str) -> None:
    """Replace a file by one with this text."""
    with replace_file(target) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def replace_folder(target: Path, check: Callable[[Path], None]) -> Iterator[Path]:
    """Give a new folder to fill; when the block ends without an error, it replaces `target`.

    `check` raises if the folder at `target` may not be replaced. It is asked first, and again before the replacement.
    """
    check(target)
    with write_beside(target) as partial:
        partial.mkdir()
        yield partial
        check(target)
        if not target.exists():
            move_into_place(partial, target)
            return
        before = _own_path(target, "before")
        real_path(target).rename(before)
        try:
            move_into_place(partial, target)
        except BaseException:
            before.rename(real_path(target))
            raise
        shutil.rmtree(before)


def keep_beside(partial: Path, targets: Iterable[Path]) -> Path:
    """Move a finished file to the first of `targets` that is free, or has the same content already; returns that path."""
    for target in targets:
        if target.is_file() and filecmp.cmp(partial, target, shallow=False):
            return target
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # the name is ours from here on
        except FileExistsError:
            continue
        move_into_place(partial, target)
        return target
    raise FileExistsError(f"no free name for {partial}")


def clear_leftovers(target: Path) -> None:
    """Remove what killed processes left beside `target`; an old folder that had no successor yet is moved back.

    Only paths whose whole name is of our pattern, and whose process has ended, are touched. The caller holds the output's lock.
    """
    target = real_path(target)
    for path in list(target.parent.iterdir()):
        end = re.fullmatch(_OWN_NAME, path.name[len(target.name) :]) if path.name.startswith(target.name) else None
        if end is None or _is_running(int(end[1])):
            continue
        if end[2] == "before" and not target.exists():
            path.rename(target)
        else:
            _remove(path)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

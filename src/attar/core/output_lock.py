"""The lock of an output: one process at a time writes a dataset, a report, a converted file, verdicts.

It is an flock on the empty file `.NAME.attar-lock` beside the output, so the system releases it when its process ends, even if
it is killed. The holder removes the file; a process that waited for a file that is removed locks the new one of that name. A
file of that name that is not empty is not ours: it is locked, but never changed or removed.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attar.core.atomic import clear_leftovers, real_path
from attar.core.errors import DataError


@contextmanager
def lock_output(target: Path, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock of an output. If another process has it, raise; or call `waiting` with a message, and wait."""
    if target.exists() and not (target.is_file() or target.is_dir()):
        raise DataError(f"{target} is neither a file nor a folder: name another path")
    real = real_path(target)
    real.parent.mkdir(parents=True, exist_ok=True)
    file = real.with_name(f".{real.name}.attar-lock")
    lock = _acquire(file, target, waiting)
    try:
        clear_leftovers(real)
        yield
    finally:
        if os.fstat(lock).st_size == 0:
            file.unlink(missing_ok=True)
        os.close(lock)


def _acquire(file: Path, target: Path, waiting: Callable[[str], None] | None) -> int:
    """The open lock file, locked."""
    while True:
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = f"another attar is writing {target}"
                if waiting is None:
                    raise DataError(f"{message}: wait until it has ended, or name another path") from None
                waiting(f"{message}; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if _has_name(lock, file):
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _has_name(lock: int, file: Path) -> bool:
    """True if the open file is the one with this name: its earlier holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(lock), file.stat())
    except FileNotFoundError:
        return False

"""The journal's file: opening it, the checksums of its rows, and the repair of a damaged file.

Every row of replies, spent and batches has a 64-bit checksum of its values; rows of an older journal have none. A new file
appears under its name only when it is complete, so an empty file is damage. Whoever has the journal open holds a shared lock
on `journal.use`; a repair replaces the file, so it needs that lock exclusively.
"""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, fields
from hashlib import blake2b
from pathlib import Path
from typing import Any

from attar.core.atomic import move_into_place, write_beside
from attar.core.errors import EngineError
from attar.engines.meter import Usage

FORMAT = 2
"""SQLite's `user_version`. 2: rows have checksums. 1 and 0: the same without them."""
USAGE_FIELDS = [field.name for field in fields(Usage)]
_USAGE_COLUMNS = ", ".join(f"{name} REAL NOT NULL" for name in USAGE_FIELDS)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, reply TEXT NOT NULL, at REAL NOT NULL, sum INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (key BLOB, reason TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS batches (key BLOB PRIMARY KEY, batch TEXT NOT NULL, at REAL NOT NULL, sum INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (
    run TEXT, step TEXT, engine TEXT, {_USAGE_COLUMNS}, sum INTEGER, PRIMARY KEY (run, step, engine)
) WITHOUT ROWID;
"""
_SMALLEST = 512
"""Bytes; SQLite treats a shorter file as a new database."""
_PAGE = 4096
_ENDS = ("", "-wal", "-shm")
"""The ends of the names of SQLite's files."""
_SUMMED = {"replies": (0, 1), "batches": (0, 1), "spent": tuple(range(3 + len(USAGE_FIELDS)))}
"""The columns that each table's checksum covers."""


def row_checksum(*values: Any) -> int:
    """A 64-bit hash of a row's values."""
    hashed = blake2b(digest_size=8)
    for value in values:
        data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        hashed.update(b"%d:" % len(data))
        hashed.update(data)
    return int.from_bytes(hashed.digest(), "little", signed=True)


def is_whole(stored: int | None, *values: Any) -> bool:
    """True if a row matches its checksum, or has none because an older version wrote it; no version wrote nulls."""
    return None not in values if stored is None else stored == row_checksum(*values)


def damage_error(path: Path, reason: object) -> EngineError:
    """The error for a damaged journal, with the command that repairs it."""
    home = "" if path.parent.name == ".attar" else f" --home {path.parent}"
    return EngineError(
        f"the journal {path} is damaged ({reason}): run  attar journal --repair{home}  "
        "(readable replies are kept; only lost ones are requested again)"
    )


def connect(path: Path) -> sqlite3.Connection:
    """Open the database; one process at a time, because switching to WAL mode does not wait for locks."""
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            _create(path)
        elif (size := path.stat().st_size) < _SMALLEST:
            raise damage_error(path, f"it has {size} bytes")
        base = _open(path)
        try:
            base.execute("PRAGMA journal_mode=WAL")
            base.execute("PRAGMA synchronous=FULL")
            version = base.execute("PRAGMA user_version").fetchone()[0]
            if version > FORMAT:
                raise EngineError(
                    f"the journal {path} was written by a newer Attar (format {version}, this one reads up to {FORMAT}): "
                    "upgrade Attar, or name another home"
                )
            if version < FORMAT:
                _upgrade(base)
        except BaseException:
            base.close()
            raise
    return base


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=60, check_same_thread=False, isolation_level=None)


def _create(path: Path) -> None:
    """Create a journal under another name, and rename it when it is complete."""
    with write_beside(path) as partial:
        _build(partial)
        move_into_place(partial, path)


def _build(file: Path) -> None:
    with closing(_open(file)) as base:
        base.executescript(_SCHEMA)
        base.execute(f"PRAGMA user_version = {FORMAT}")


def _upgrade(base: sqlite3.Connection) -> None:
    """Add the checksum columns; existing rows get no checksum."""
    base.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";"):
        base.execute(statement)
    for table in _SUMMED:
        if "sum" not in {row[1] for row in base.execute(f"PRAGMA table_info({table})")}:
            base.execute(f"ALTER TABLE {table} ADD COLUMN sum INTEGER")
    base.execute(f"PRAGMA user_version = {FORMAT}")
    base.execute("COMMIT")


@contextmanager
def hold_journal(path: Path, *, alone: bool = False) -> Iterator[None]:
    """Hold the journal's lock: shared with other runs, or `alone` for a repair."""
    with path.with_suffix(".use").open("a") as lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            reason = "a run has it open: repair it after the run" if alone else "it is being repaired: try again later"
            raise EngineError(f"the journal {path}: {reason}") from None
        yield


@dataclass(frozen=True, slots=True)
class Repair:
    """The result of a repair: replies kept, rows dropped, and where the damaged file is now."""

    kept: int
    dropped: int
    aside: Path


def repair(path: Path) -> Repair:
    """Copy every readable row with a matching checksum into a new journal; the damaged file is kept under another name."""
    with hold_journal(path, alone=True), write_beside(path) as fresh, write_beside(path) as patched:
        kept, dropped = _salvage(path, fresh)
        if not kept and path.stat().st_size > _PAGE:  # the first page lists the tables: replace it with a new one
            patched.write_bytes(_with_first_page_of(fresh, path.read_bytes()))
            fresh.unlink()
            kept, dropped = _salvage(patched, fresh)
            for end in _ENDS:
                _beside(patched, end).unlink(missing_ok=True)
        numbered = (path.with_name(f"{path.name}.damaged-{number}") for number in range(1, 10_000))
        aside = next(name for name in numbered if not any(_beside(name, end).exists() for end in _ENDS))
        for end in _ENDS:
            with suppress(FileNotFoundError):
                _beside(path, end).rename(_beside(aside, end))
        move_into_place(fresh, path)
    return Repair(kept, dropped, aside)


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _salvage(path: Path, fresh: Path) -> tuple[int, int]:
    """Copy the readable rows of a journal into a new one; returns (replies copied, rows dropped)."""
    kept = dropped = 0
    _build(fresh)
    with closing(_open(fresh)) as new, closing(_open(path)) as old:
        old.text_factory = lambda data: data.decode("utf-8", "surrogateescape")  # so that invalid UTF-8 fails the checksum
        for table in _SUMMED if path.stat().st_size >= _SMALLEST else ():
            whole, lost = _copy(table, old, new)
            kept += whole if table == "replies" else 0
            dropped += lost
    return kept, dropped


def _with_first_page_of(fresh: Path, data: bytes) -> bytes:
    """The pages of a journal after the first page of a new one, whose tables start at the same pages."""
    page = bytearray(fresh.read_bytes()[:_PAGE])
    page[28:32] = (len(data) // _PAGE).to_bytes(4, "big")  # the header's number of pages
    return bytes(page) + data[_PAGE:]


def _copy(table: str, old: sqlite3.Connection, new: sqlite3.Connection) -> tuple[int, int]:
    """Copy one table by ranges of its key, so that a lost page costs only its range; returns (rows copied, rows dropped)."""
    kept = dropped = 0
    width = len(new.execute(f"SELECT * FROM {table}").description)
    insert = f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * width)})"
    new.execute("BEGIN")
    for where, values in _ranges(table):
        try:
            for row in old.execute(f"SELECT * FROM {table} {where}", values):
                row = (*row, None)[:width]
                if is_whole(row[-1], *(row[i] for i in _SUMMED[table])):
                    new.execute(insert, row)
                    kept += 1
                else:
                    dropped += 1
        except sqlite3.Error:
            dropped += 1
    new.execute("COMMIT")
    return kept, dropped


def _ranges(table: str) -> Iterator[tuple[str, tuple[bytes, ...]]]:
    if table == "spent":
        yield "", ()
        return
    for start in range(0, 65536, 16):
        low, high = start.to_bytes(2, "big"), (start + 16).to_bytes(3, "big")
        end = (low, high[1:]) if start + 16 < 65536 else (low,)
        yield f"WHERE key >= ?{' AND key < ?' if len(end) == 2 else ''}", end

"""Every reply, kept the moment it arrives, under the hash of all that decides it; and what each run spent.

A reply is kept as JSON; of one with a vector the JSON's line is followed by the vector's bytes.

SQLite in WAL mode, shared by all runs and processes of a home; a group is committed, and synced to the disk, half a second
after its first reply. Failures are kept for the report, never replayed.
"""

import fcntl
import json
import sqlite3
import threading
import time
from array import array
from collections import Counter
from dataclasses import astuple, fields
from itertools import chain, islice
from pathlib import Path
from typing import Any

from attar.core.errors import EngineError
from attar.core.replies import replace_surrogates
from attar.engines.base import Reply
from attar.engines.meter import Usage

FORMAT = 1
"""Of the journal's tables; SQLite's `user_version`, 0 in those from before it was written down, which are the same."""
GROUP_SECONDS = 0.5
_MAX_WAITING = 8_000
_ROWS_PER_INSERT = 500
"""Rows in one statement: sqlite gives the interpreter's lock away at each, and has to wait for it while the driver is busy."""
_USAGE_FIELDS = [field.name for field in fields(Usage)]
_REPLY_FIELDS = [field.name for field in fields(Reply) if field.name not in ("index", "error", "vector")]
StoredReply = str | bytes
_USAGE_COLUMNS = ", ".join(f"{name} REAL NOT NULL" for name in _USAGE_FIELDS)
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, reply TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (key BLOB, reason TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS batches (key BLOB PRIMARY KEY, batch TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (
    run TEXT, step TEXT, engine TEXT, {_USAGE_COLUMNS}, PRIMARY KEY (run, step, engine)
) WITHOUT ROWID;
"""
_ADD_USAGE = f"""
INSERT INTO spent VALUES (?, ?, ?, {", ".join("?" * len(_USAGE_FIELDS))})
ON CONFLICT DO UPDATE SET {", ".join(f"{name} = {name} + excluded.{name}" for name in _USAGE_FIELDS)}
"""


def _connect(path: Path) -> sqlite3.Connection:
    """Open the database; one process at a time, since turning WAL on does not wait for others."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        base = sqlite3.connect(path, timeout=60, check_same_thread=False, isolation_level=None)
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=FULL")
        found = base.execute("PRAGMA user_version").fetchone()[0]
        if found > FORMAT:
            base.close()
            raise EngineError(
                f"the journal {path} was written by a newer Attar (format {found}, this one reads up to {FORMAT}): "
                "upgrade Attar, or name another home"
            )
        base.executescript(_SCHEMA)
        base.execute(f"PRAGMA user_version = {FORMAT}")
    return base


class Journal:
    """The replies of one home, on disk. Any number of threads may use it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._base, self._reader = _connect(path), _connect(path)
        except sqlite3.Error as error:
            raise EngineError(f"the journal {path} cannot be opened ({error}): if it is damaged, move it away") from error
        self.path, self._broken = path, ""
        self._adding, self._reading, self._writing = threading.Lock(), threading.Lock(), threading.Lock()
        self._waiting: dict[bytes, tuple[StoredReply, float]] = {}
        self._leaving: dict[bytes, tuple[StoredReply, float]] = {}
        self._failed: list[tuple[bytes, str, float]] = []
        self._spent: dict[tuple[str, str, str], Usage] = {}
        self._wake, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._commit_often, name="journal", daemon=True)
        self._thread.start()

    def find(self, key: bytes) -> StoredReply | None:
        """The reply kept under a key."""
        waiting = self._waiting.get(key) or self._leaving.get(key)
        if waiting:
            return waiting[0]
        with self._reading:
            row = self._reader.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def keep(self, key: bytes, reply: Reply) -> None:
        """Keep a reply; durable within a second."""
        if self._broken:
            raise EngineError(f"the journal {self.path} cannot be written, so replies would be lost: {self._broken}")
        now, text = time.time(), _dump(reply) if reply.error is None else ""
        with self._adding:
            if reply.error is None:
                self._waiting[key] = (text, now)
            else:
                self._failed.append((key, replace_surrogates(reply.error), now))
        if not self._wake.is_set():
            self._wake.set()
        if len(self._waiting) > _MAX_WAITING:  # the disk is slower than the server
            self.commit()

    def note(self, run: str, step: str, engine: str, spent: Usage) -> None:
        """Add to what a run has spent."""
        with self._adding:
            self._spent.setdefault((run, step, engine), Usage()).add(spent)
        if not self._wake.is_set():
            self._wake.set()

    def _commit_often(self) -> None:
        while not self._closed.is_set():
            self._wake.wait()
            self._wake.clear()
            self._closed.wait(GROUP_SECONDS)
            try:
                self.commit()
            except sqlite3.Error as error:  # told by the next `keep`, in the thread of the run
                self._broken = str(error)

    def commit(self) -> None:
        """Write what waits, now."""
        with self._writing:
            with self._adding:
                self._leaving.update(self._waiting)
                self._waiting = {}
                failed, self._failed = self._failed, []
                spent, self._spent = self._spent, {}
            if not self._leaving and not failed and not spent:
                return
            rows = ((key, text, at) for key, (text, at) in self._leaving.items())
            self._base.execute("BEGIN IMMEDIATE")
            try:
                while some := list(islice(rows, _ROWS_PER_INSERT)):
                    added = "INSERT OR IGNORE INTO replies VALUES " + ", ".join(["(?, ?, ?)"] * len(some))
                    self._base.execute(added, list(chain.from_iterable(some)))
                self._base.executemany("INSERT INTO failures VALUES (?, ?, ?)", failed)
                self._base.executemany(_ADD_USAGE, [(*account, *astuple(counts)) for account, counts in spent.items()])
                self._base.execute("COMMIT")
            except sqlite3.Error:
                self._base.execute("ROLLBACK")
                raise
            self._leaving = {}

    def close(self) -> None:
        """Write what waits, and stop."""
        if not self._closed.is_set():
            self._closed.set()
            self._wake.set()
            self._thread.join()
            try:
                self.commit()
            except sqlite3.Error as error:
                raise EngineError(f"the journal {self.path} cannot be written: its last replies are lost: {error}") from error
            finally:
                self._reader.close()
                self._base.close()

    def size(self) -> int:
        """How many replies it holds."""
        return self._read("SELECT count(*) FROM replies")[0][0]

    def spent(self, run: str) -> dict[tuple[str, str], Usage]:
        """What a run has spent so far, by step and engine."""
        rows = self._read(f"SELECT step, engine, {', '.join(_USAGE_FIELDS)} FROM spent WHERE run = ?", run)
        return {(step, engine): Usage(*map(int, counts[:5]), *counts[5:]) for step, engine, *counts in rows}

    def told(self) -> dict[str, Any]:
        """Its size, its hits, and the commonest failures."""
        files = [self.path, *(self.path.with_name(self.path.name + end) for end in ("-wal", "-shm"))]
        asked, recalled = self._read("SELECT total(asked), total(recalled) FROM spent")[0]
        failures = self._read("SELECT reason, count(*) AS n FROM failures GROUP BY reason ORDER BY n DESC, reason LIMIT 10")
        return {
            "path": str(self.path),
            "replies": self.size(),
            "bytes": sum(file.stat().st_size for file in files if file.exists()),
            "asked": int(asked),
            "recalled": int(recalled),
            "failures": dict(Counter(dict(failures))),
        }

    def vacuum(self) -> None:
        """Forget failures, and give freed space back to the disk."""
        with self._writing:
            self._base.execute("DELETE FROM failures")
            self._base.execute("VACUUM")
            self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def batch_of(self, key: bytes) -> str | None:
        """The batch that a request was sent in."""
        rows = self._read("SELECT batch FROM batches WHERE key = ?", key)
        return rows[0][0] if rows else None

    def batched(self, keys: list[bytes], batch: str) -> None:
        """Remember at once which batch requests were sent in; an empty name forgets it."""
        with self._writing:
            self._base.executemany("DELETE FROM batches WHERE key = ?", [(key,) for key in keys])
            if batch:
                self._base.executemany("INSERT INTO batches VALUES (?, ?, ?)", [(key, batch, time.time()) for key in keys])

    def _read(self, query: str, *values: Any) -> list[Any]:
        with self._reading:
            return self._reader.execute(query, values).fetchall()


def _dump(reply: Reply) -> StoredReply:
    values = {name: value for name in _REPLY_FIELDS if (value := getattr(reply, name)) is not None}
    text = json.dumps(values, separators=(",", ":"))
    return text if reply.vector is None else text.encode() + b"\n" + array("f", reply.vector).tobytes()


def load_reply(kept: StoredReply, index: int) -> Reply:
    """A kept reply, for the request of this index."""
    text, _, numbers = kept.partition(b"\n") if isinstance(kept, bytes) else (kept, None, None)
    values: dict[str, Any] = json.loads(text)
    if "weights" in values:
        values["weights"] = tuple(values["weights"])
    if numbers or "vector" in values:  # in an older journal as text
        values["vector"] = array("f", numbers or values["vector"])
    return Reply(index, **values)

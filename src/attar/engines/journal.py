"""Every reply, stored when it arrives under the hash of everything that determines it; and the usage of each run.

A reply is stored as one line of JSON, followed by the bytes of its vector if it has one.

SQLite in WAL mode, shared by all runs and processes of a home. Replies are committed in groups and synced to disk, half a
second after the first of each group. Failures are stored for the report, never replayed.
"""

import json
import logging
import os
import sqlite3
import threading
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple, fields
from itertools import chain, islice
from pathlib import Path
from typing import Any

from attar.core.errors import EngineError
from attar.core.replies import replace_surrogates
from attar.engines.base import Reply
from attar.engines.journal_file import USAGE_FIELDS, connect, damage_error, hold_journal, is_whole, row_checksum
from attar.engines.meter import Usage

_log = logging.getLogger(__name__)
_encode = json.JSONEncoder(separators=(",", ":")).encode
GROUP_SECONDS = 0.5
_MAX_WAITING = 8_000
_ROWS_PER_INSERT = 500
"""Rows per statement: sqlite releases the GIL at each statement, and waits to get it back while the main thread is busy."""
_RESERVE_BYTES = 4 * 2**20
"""Disk space freed when the disk is full, so that the replies in flight, which are paid for, can still be written."""
_LARGEST = 2.0**53
_REPLY_FIELDS = [field.name for field in fields(Reply) if field.name not in ("index", "error", "vector")]
StoredReply = str | bytes
_SELECT_USAGE = f"SELECT {', '.join(USAGE_FIELDS)}, sum FROM spent WHERE (run, step, engine) = (?, ?, ?)"
_SET_USAGE = f"INSERT OR REPLACE INTO spent VALUES (?, ?, ?, {', '.join('?' * len(USAGE_FIELDS))}, ?)"


class Journal:
    """The replies of one home, on disk. Any number of threads may use it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.trouble = ""
        """Why the journal cannot be written; then no more requests may be sent."""
        with ExitStack() as opening:
            opening.enter_context(hold_journal(path))
            try:
                self._base = connect(path)
                self._reader = connect(path)
            except sqlite3.Error as error:
                raise damage_error(path, error) from error
            self._hold = opening.pop_all()
        self._reserve = path.with_suffix(".reserve")
        self._full = not _reserve_space(self._reserve)
        self._adding = threading.Lock()
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: dict[bytes, tuple[StoredReply, float]] = {}
        self._committing: dict[bytes, tuple[StoredReply, float]] = {}
        self._failed: list[tuple[bytes, str, float]] = []
        self._spent: dict[tuple[str, str, str], Usage] = {}
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._commit_often, name="journal", daemon=True)
        self._thread.start()

    def find(self, keys: Iterable[bytes]) -> dict[bytes, StoredReply]:
        """The replies stored under these keys, in one query: sqlite releases the GIL at each."""
        found: dict[bytes, StoredReply] = {}
        others: list[bytes] = []
        for key in keys:
            if waiting := self._waiting.get(key) or self._committing.get(key):
                found[key] = waiting[0]
            else:
                others.append(key)
        query = f"SELECT key, reply, sum FROM replies WHERE key IN ({', '.join('?' * len(others))})"
        for key, reply, stored_checksum in self._read(query, *others) if others else ():
            if not is_whole(stored_checksum, key, reply):
                raise damage_error(self.path, "a reply does not match its checksum")
            found[key] = reply
        return found

    def keep(self, key: bytes, reply: Reply) -> None:
        """Store a reply, on disk within a second. Replies that cannot be written wait in memory; see `trouble`."""
        now, text = time.time(), _dump(reply) if reply.error is None else ""
        with self._adding:
            if reply.error is None:
                self._waiting[key] = (text, now)
            else:
                self._failed.append((key, replace_surrogates(reply.error), now))
        if not self._wake.is_set():
            self._wake.set()
        if len(self._waiting) > _MAX_WAITING and not self.trouble:  # the disk is slower than the server
            self._try_commit()

    def add_usage(self, run: str, step: str, engine: str, spent: Usage) -> None:
        """Add to the usage of a run."""
        with self._adding:
            self._spent.setdefault((run, step, engine), Usage()).add(spent)
        if not self._wake.is_set():
            self._wake.set()

    def _commit_often(self) -> None:
        while not self._closed.is_set():
            self._wake.wait()
            self._wake.clear()
            self._closed.wait(GROUP_SECONDS)
            self._try_commit()

    def _try_commit(self) -> None:
        """Commit; an error is stored in `trouble`, which is checked before each request."""
        try:
            self.commit()
        except Exception as error:  # noqa: BLE001 (the writer must survive any error: later replies depend on it)
            if not self.trouble:
                _log.error("the journal %s cannot be written: %s", self.path, error)
            self.trouble = str(error)
            if _is_full(error):  # replies in flight are paid for: they get the reserve
                self._full = True
                self._reserve.unlink(missing_ok=True)
                with suppress(sqlite3.Error, EngineError):
                    self.commit()
        else:
            if self.trouble and (not self._full or _reserve_space(self._reserve)):
                self.trouble = ""
                self._full = False

    def commit(self) -> None:
        """Write everything that waits, now."""
        with self._writing:
            with self._adding:
                self._committing.update(self._waiting)
                self._waiting = {}
                failed, self._failed = self._failed, []
                spent, self._spent = self._spent, {}
            if not self._committing and not failed and not spent:
                return
            rows = ((key, text, at, row_checksum(key, text)) for key, (text, at) in self._committing.items())
            try:
                self._base.execute("BEGIN IMMEDIATE")
                while some := list(islice(rows, _ROWS_PER_INSERT)):
                    added = "INSERT OR IGNORE INTO replies VALUES " + ", ".join(["(?, ?, ?, ?)"] * len(some))
                    self._base.execute(added, list(chain.from_iterable(some)))
                self._base.executemany("INSERT INTO failures VALUES (?, ?, ?)", failed)
                for account, counts in spent.items():
                    self._write_usage(account, counts)
                self._base.execute("COMMIT")
            except BaseException:
                self._roll_back(failed, spent)
                raise
            self._committing = {}

    def _write_usage(self, account: tuple[str, str, str], counts: Usage) -> None:
        before = self._base.execute(_SELECT_USAGE, account).fetchone()
        if before and not is_whole(before[-1], *account, *before[:-1]):
            raise damage_error(self.path, "the usage of a run does not match its checksum")
        added = [float(min(count, _LARGEST)) for count in astuple(counts)]
        total = [old + new for old, new in zip(before[:-1] if before else [0.0] * len(added), added, strict=True)]
        self._base.execute(_SET_USAGE, (*account, *total, row_checksum(*account, *total)))

    def _roll_back(self, failed: list[tuple[bytes, str, float]], spent: dict[tuple[str, str, str], Usage]) -> None:
        """Undo a group that was not written; all of it waits for the next group."""
        with suppress(sqlite3.Error):  # a full disk may have rolled it back already
            self._base.execute("ROLLBACK")
        with self._adding:
            self._failed = failed + self._failed
            for account, counts in spent.items():
                self._spent.setdefault(account, Usage()).add(counts)

    def close(self) -> None:
        """Write everything that waits, and stop."""
        if not self._closed.is_set():
            self._closed.set()
            self._wake.set()
            self._thread.join()
            self._try_commit()
            lost = len(self._waiting) + len(self._committing)
            self._reader.close()
            self._base.close()
            self._hold.close()
            if lost:
                raise EngineError(f"the journal {self.path} cannot be written: {lost} replies are lost ({self.trouble})")

    def size(self) -> int:
        """The number of replies stored."""
        return self._read("SELECT count(*) FROM replies")[0][0]

    def spent(self, run: str) -> dict[tuple[str, str], Usage]:
        """The usage of a run so far, by step and engine."""
        rows = [row for row in self._accounts() if row[0] == run]
        return {(step, engine): Usage(*map(int, counts[:5]), *counts[5:]) for _, step, engine, *counts in rows}

    def _accounts(self) -> list[tuple[Any, ...]]:
        """(run, step, engine, counts...) for every run, step and engine."""
        rows = self._read(f"SELECT run, step, engine, {', '.join(USAGE_FIELDS)}, sum FROM spent")
        if not all(is_whole(row[-1], *row[:-1]) and all(isinstance(name, str) for name in row[:3]) for row in rows):
            raise damage_error(self.path, "the usage of a run does not match its checksum")
        return [row[:-1] for row in rows]

    def stats(self) -> dict[str, Any]:
        """The journal's size, its hits and misses, and the most frequent failures."""
        files = [self.path, *(self.path.with_name(self.path.name + end) for end in ("-wal", "-shm"))]
        counts = [dict(zip(USAGE_FIELDS, row[3:], strict=True)) for row in self._accounts()]
        failures = self._read("SELECT reason, count(*) AS n FROM failures GROUP BY reason ORDER BY n DESC, reason LIMIT 10")
        return {
            "path": str(self.path),
            "replies": self.size(),
            "bytes": sum(file.stat().st_size for file in files if file.exists()),
            "asked": int(sum(each["asked"] for each in counts)),
            "recalled": int(sum(each["recalled"] for each in counts)),
            "failures": dict(Counter(dict(failures))),
        }

    def vacuum(self) -> None:
        """Delete the failures, and free unused disk space."""
        with self._writing, self._name_write_errors():
            self._base.execute("DELETE FROM failures")
            self._base.execute("VACUUM")
            self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def batch_of(self, key: bytes) -> str | None:
        """The batch that a request was sent in."""
        rows = self._read("SELECT batch, sum FROM batches WHERE key = ?", key)
        if rows and not is_whole(rows[0][1], key, rows[0][0]):
            raise damage_error(self.path, "a batch id does not match its checksum")
        return rows[0][0] if rows else None

    def set_batch(self, keys: list[bytes], batch: str) -> None:
        """Record at once which batch requests were sent in; an empty id removes it."""
        rows = [(key, batch, time.time(), row_checksum(key, batch)) for key in keys]
        with self._writing, self._name_write_errors():
            self._base.executemany("DELETE FROM batches WHERE key = ?", [(key,) for key in keys])
            if batch:
                self._base.executemany("INSERT INTO batches VALUES (?, ?, ?, ?)", rows)

    @contextmanager
    def _name_write_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise EngineError(f"the journal {self.path} cannot be written: {error}") from error

    def _read(self, query: str, *values: Any) -> list[Any]:
        with self._reading:
            try:
                return self._reader.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise damage_error(self.path, error) from error


def _is_full(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _reserve_space(file: Path) -> bool:
    """Reserve some disk space; False if there is none."""
    try:
        with file.open("ab") as stream:
            os.posix_fallocate(stream.fileno(), 0, _RESERVE_BYTES)
    except OSError:
        file.unlink(missing_ok=True)
        return False
    return True


def _dump(reply: Reply) -> StoredReply:
    values = {name: value for name in _REPLY_FIELDS if (value := getattr(reply, name)) is not None}
    text = _encode(values)
    return text if reply.vector is None else text.encode() + b"\n" + array("f", reply.vector).tobytes()


def load_reply(stored: StoredReply, index: int) -> Reply:
    """A stored reply, with this index."""
    text, _, numbers = stored.partition(b"\n") if isinstance(stored, bytes) else (stored, None, None)
    values: dict[str, Any] = json.loads(text)
    if "weights" in values:
        values["weights"] = tuple(values["weights"])
    if "marks" in values:
        values["marks"] = tuple(map(tuple, values["marks"]))
    if numbers or "vector" in values:  # older journals hold vectors as JSON
        values["vector"] = array("f", numbers or values["vector"])
    return Reply(index, **values)

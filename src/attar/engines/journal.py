"""Every reply, kept the moment it arrives, under the hash of all that decides it; and what each run spent.

A reply is kept as JSON; of one with a vector the JSON's line is followed by the vector's bytes.

SQLite in WAL mode, shared by all runs and processes of a home; a group is committed, and synced to the disk, half a second
after its first reply. Failures are kept for the report, never replayed.
"""

import json
import logging
import os
import sqlite3
import threading
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple, fields
from itertools import chain, islice
from pathlib import Path
from typing import Any

from attar.core.errors import EngineError
from attar.core.replies import replace_surrogates
from attar.engines.base import Reply
from attar.engines.journal_file import USAGE_FIELDS, checksum, connect, damaged, holding, is_whole
from attar.engines.meter import Usage

_log = logging.getLogger(__name__)
GROUP_SECONDS = 0.5
_MAX_WAITING = 8_000
_ROWS_PER_INSERT = 500
"""Rows in one statement: sqlite gives the interpreter's lock away at each, and has to wait for it while the driver is busy."""
_RESERVE_BYTES = 4 * 2**20
"""Disk space that is given back when the disk is full, so that the replies under way, which are paid for, can be kept."""
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
        """Why nothing can be written; then nothing more is to be asked for."""
        with ExitStack() as opening:
            opening.enter_context(holding(path))
            try:
                self._base, self._reader = connect(path), connect(path)
            except sqlite3.Error as error:
                raise damaged(path, error) from error
            self._hold = opening.pop_all()
        self._reserve = path.with_suffix(".reserve")
        self._full = not _reserve_space(self._reserve)
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
        rows = self._read("SELECT reply, sum FROM replies WHERE key = ?", key)
        if not rows:
            return None
        reply, total = rows[0]
        if not is_whole(total, key, reply):
            raise damaged(self.path, "a reply does not match its checksum")
        return reply

    def keep(self, key: bytes, reply: Reply) -> None:
        """Keep a reply; durable within a second. What cannot be written waits in memory: see `trouble`."""
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
            self._try_commit()

    def _try_commit(self) -> None:
        """Commit; whatever goes wrong is `trouble`, which the thread that asks looks at before each request."""
        try:
            self.commit()
        except Exception as error:  # noqa: BLE001 (the writer must survive anything: later replies hang on it)
            if not self.trouble:
                _log.error("the journal %s cannot be written: %s", self.path, error)
            self.trouble = str(error)
            if _is_full(error):  # what is under way still comes, and is paid for: it gets the reserve
                self._full = True
                self._reserve.unlink(missing_ok=True)
                with suppress(sqlite3.Error):
                    self.commit()
        else:
            if self.trouble and (not self._full or _reserve_space(self._reserve)):
                self.trouble = ""
                self._full = False

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
            rows = ((key, text, at, checksum(key, text)) for key, (text, at) in self._leaving.items())
            self._base.execute("BEGIN IMMEDIATE")
            try:
                while some := list(islice(rows, _ROWS_PER_INSERT)):
                    added = "INSERT OR IGNORE INTO replies VALUES " + ", ".join(["(?, ?, ?, ?)"] * len(some))
                    self._base.execute(added, list(chain.from_iterable(some)))
                self._base.executemany("INSERT INTO failures VALUES (?, ?, ?)", failed)
                for account, counts in spent.items():
                    self._add_usage(account, counts)
                self._base.execute("COMMIT")
            except BaseException:
                self._roll_back(failed, spent)
                raise
            self._leaving = {}

    def _add_usage(self, account: tuple[str, str, str], counts: Usage) -> None:
        before = self._base.execute(_SELECT_USAGE, account).fetchone()
        if before and not is_whole(before[-1], *account, *before[:-1]):
            raise damaged(self.path, "what a run has spent does not match its checksum")
        added = [float(min(count, _LARGEST)) for count in astuple(counts)]
        total = [old + new for old, new in zip(before[:-1] if before else [0.0] * len(added), added, strict=True)]
        self._base.execute(_SET_USAGE, (*account, *total, checksum(*account, *total)))

    def _roll_back(self, failed: list[tuple[bytes, str, float]], spent: dict[tuple[str, str, str], Usage]) -> None:
        """Nothing of the group is written: all of it waits for the next one."""
        with suppress(sqlite3.Error):  # a full disk may have rolled it back already
            self._base.execute("ROLLBACK")
        with self._adding:
            self._failed = failed + self._failed
            for account, counts in spent.items():
                self._spent.setdefault(account, Usage()).add(counts)

    def close(self) -> None:
        """Write what waits, and stop."""
        if not self._closed.is_set():
            self._closed.set()
            self._wake.set()
            self._thread.join()
            self._try_commit()
            lost = len(self._waiting) + len(self._leaving)
            self._reader.close()
            self._base.close()
            self._hold.close()
            if lost:
                raise EngineError(f"the journal {self.path} cannot be written: {lost} replies are lost ({self.trouble})")

    def size(self) -> int:
        """How many replies it holds."""
        return self._read("SELECT count(*) FROM replies")[0][0]

    def spent(self, run: str) -> dict[tuple[str, str], Usage]:
        """What a run has spent so far, by step and engine."""
        rows = [row for row in self._accounts() if row[0] == run]
        return {(step, engine): Usage(*map(int, counts[:5]), *counts[5:]) for _, step, engine, *counts in rows}

    def _accounts(self) -> list[tuple[Any, ...]]:
        """(run, step, engine, counts...) of every account."""
        rows = self._read(f"SELECT run, step, engine, {', '.join(USAGE_FIELDS)}, sum FROM spent")
        if not all(is_whole(row[-1], *row[:-1]) for row in rows):
            raise damaged(self.path, "what a run has spent does not match its checksum")
        return [row[:-1] for row in rows]

    def stats(self) -> dict[str, Any]:
        """Its size, its hits, and the commonest failures."""
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
        """Forget failures, and give freed space back to the disk."""
        with self._writing, self._naming_trouble():
            self._base.execute("DELETE FROM failures")
            self._base.execute("VACUUM")
            self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def batch_of(self, key: bytes) -> str | None:
        """The batch that a request was sent in."""
        rows = self._read("SELECT batch, sum FROM batches WHERE key = ?", key)
        if rows and not is_whole(rows[0][1], key, rows[0][0]):
            raise damaged(self.path, "a batch's name does not match its checksum")
        return rows[0][0] if rows else None

    def set_batch(self, keys: list[bytes], batch: str) -> None:
        """Remember at once which batch requests were sent in; an empty name forgets it."""
        rows = [(key, batch, time.time(), checksum(key, batch)) for key in keys]
        with self._writing, self._naming_trouble():
            self._base.executemany("DELETE FROM batches WHERE key = ?", [(key,) for key in keys])
            if batch:
                self._base.executemany("INSERT INTO batches VALUES (?, ?, ?, ?)", rows)

    @contextmanager
    def _naming_trouble(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise EngineError(f"the journal {self.path} cannot be written: {error}") from error

    def _read(self, query: str, *values: Any) -> list[Any]:
        with self._reading:
            try:
                return self._reader.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise damaged(self.path, error) from error


def _is_full(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _reserve_space(file: Path) -> bool:
    """Hold some of the disk back; False where there is none to hold."""
    try:
        with file.open("ab") as stream:
            os.posix_fallocate(stream.fileno(), 0, _RESERVE_BYTES)
    except OSError:
        file.unlink(missing_ok=True)
        return False
    return True


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

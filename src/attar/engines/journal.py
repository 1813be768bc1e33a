"""Every reply, kept the moment it arrives, under the hash of all that decides it: model, prompt, sampling, seed.

SQLite in WAL mode, shared by all runs and processes of a home; a group is committed at most a second after its first reply.
Failures are counted, never replayed. Two equal requests under way at once are asked once.
"""

import fcntl
import json
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from attar.engines.base import Reply, Request, Spec
from attar.errors import EngineError

GROUP_SECONDS = 0.5
_SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, reply TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (key BLOB, reason TEXT NOT NULL, at REAL NOT NULL);
"""


def _connect(path: Path) -> sqlite3.Connection:
    """Open the database; one process at a time, since turning WAL on does not wait for others."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        base = sqlite3.connect(path, timeout=60, check_same_thread=False, isolation_level=None)
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=NORMAL")
        base.executescript(_SCHEMA)
    return base


class Journal:
    """The replies of one home, on disk."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._base = _connect(path)
        except sqlite3.Error as error:
            raise EngineError(f"the journal {path} cannot be opened ({error}): if it is damaged, move it away") from error
        self.path, self._broken = path, ""
        self._lock = threading.Lock()
        self._waiting: dict[bytes, tuple[str, float]] = {}
        self._failed: list[tuple[bytes, str, float]] = []
        self._wake, self._closed = threading.Event(), False
        self._thread = threading.Thread(target=self._commit_often, name="journal", daemon=True)
        self._thread.start()

    def find(self, key: bytes) -> str | None:
        """The reply kept under a key."""
        with self._lock:
            if waiting := self._waiting.get(key):
                return waiting[0]
            row = self._base.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def keep(self, key: bytes, reply: Reply) -> None:
        """Keep a reply; durable within a second."""
        if self._broken:
            raise EngineError(f"the journal {self.path} cannot be written, so replies would be lost: {self._broken}")
        now = time.time()
        with self._lock:
            if reply.error is None:
                self._waiting[key] = (_dump(reply), now)
            else:
                self._failed.append((key, reply.error, now))
        self._wake.set()

    def _commit_often(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            time.sleep(GROUP_SECONDS)
            try:
                self.commit()
            except sqlite3.Error as error:  # told by the next `keep`, in the thread of the run
                self._broken = str(error)

    def commit(self) -> None:
        """Write what waits, now."""
        with self._lock:
            if not self._waiting and not self._failed:
                return
            rows = [(key, text, at) for key, (text, at) in self._waiting.items()]
            self._base.execute("BEGIN IMMEDIATE")
            try:
                self._base.executemany("INSERT OR IGNORE INTO replies VALUES (?, ?, ?)", rows)
                self._base.executemany("INSERT INTO failures VALUES (?, ?, ?)", self._failed)
                self._base.execute("COMMIT")
            except sqlite3.Error:
                self._base.execute("ROLLBACK")
                raise
            self._waiting.clear()
            self._failed.clear()

    def close(self) -> None:
        """Write what waits, and stop."""
        if not self._closed:
            self._closed = True
            self._wake.set()
            self._thread.join()
            self.commit()
            self._base.close()

    def size(self) -> int:
        """How many replies it holds."""
        with self._lock:
            return self._base.execute("SELECT count(*) FROM replies").fetchone()[0]


def _dump(reply: Reply) -> str:
    values = {name: value for name, value in asdict(reply).items() if name not in ("index", "error") and value is not None}
    return json.dumps(values, separators=(",", ":"))


def _load(text: str, index: int) -> Reply:
    values: dict[str, Any] = json.loads(text)
    for name in ("weights", "vector"):
        if name in values:
            values[name] = tuple(values[name])
    return Reply(index, **values)


class Journaled:
    """An engine that asks only what the journal does not know."""

    def __init__(self, engine: Any, journal: Journal) -> None:
        self.engine, self.journal = engine, journal
        self.spec: Spec = engine.spec
        self.asked = self.recalled = self.tokens_in = self.tokens_out = 0
        self._identity = ""

    def identity(self) -> str:
        """The engine's own."""
        if not self._identity:
            self._identity = self.engine.identity()
        return self._identity

    @property
    def template(self) -> Any:
        """The engine's own."""
        return self.engine.template

    def close(self) -> None:
        """Close the engine; the journal is its owner's."""
        self.engine.close()

    def write(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """As the engine, through the journal."""
        return self._through("write", self.engine.write, requests)

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """As the engine, through the journal."""
        return self._through("weigh", self.engine.weigh, requests)

    def embed(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """As the engine, through the journal."""
        return self._through("embed", self.engine.embed, requests)

    def reward(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """As the engine, through the journal."""
        return self._through("reward", self.engine.reward, requests)

    def _through(self, verb: str, ask: Callable[..., Iterator[Reply]], requests: Iterable[Request]) -> Iterator[Reply]:
        known: deque[Reply] = deque()
        under_way: dict[bytes, list[int]] = {}
        keys: dict[int, bytes] = {}

        def unknown() -> Iterator[Request]:
            for request in requests:
                key = self._key(verb, request)
                if key in under_way:
                    under_way[key].append(request.index)
                elif (text := self.journal.find(key)) is not None:
                    self.recalled += 1
                    known.append(_load(text, request.index))
                else:
                    under_way[key], keys[request.index] = [], key
                    yield request

        first = next(stream := unknown(), None)
        if first is not None:  # a run that asks nothing opens no model
            for reply in ask(_chain(first, stream)):
                key = keys.pop(reply.index)
                self._count(reply)
                self.journal.keep(key, reply)
                yield reply
                yield from (replace(reply, index=index) for index in under_way.pop(key))
                yield from _drain(known)
        yield from _drain(known)

    def _count(self, reply: Reply) -> None:
        self.asked += 1
        self.tokens_in += reply.tokens_in
        self.tokens_out += reply.tokens_out

    def _key(self, verb: str, request: Request) -> bytes:
        sampling = request.sampling
        drawn = sampling is not None and sampling.temperature > 0
        parts = (
            self.identity(),
            verb,
            [dict(turn) for turn in request.messages],
            request.text,
            asdict(sampling) if sampling else None,
            request.seed if drawn else 0,
            request.labels,
        )
        text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _chain(first: Request, rest: Iterator[Request]) -> Iterator[Request]:
    yield first
    yield from rest


def _drain(known: deque[Reply]) -> Iterator[Reply]:
    while known:
        yield known.popleft()

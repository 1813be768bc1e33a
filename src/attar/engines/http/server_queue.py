"""One server as all engines of this process see it: its connections, how many requests are under way, who is next.

Everything here lives on one event loop in a thread of its own. Places are given out in the order in which they were asked for;
each stream of requests stands in the line once, so two roles on one server get a fair share each.
"""

import asyncio
import atexit
import ssl
import threading
import time
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from attar.core.errors import EngineError
from attar.engines.http.concurrency import ConcurrencyLimit
from attar.engines.http.connections import CleanConnector, ReplyIds

T = TypeVar("T")
_OUTAGE_GAP = 60.0
"""Seconds without a miss after which the next one is of another outage."""


@cache
def event_loop() -> asyncio.AbstractEventLoop:
    """The event loop of all HTTP engines."""
    made = asyncio.new_event_loop()
    threading.Thread(target=made.run_forever, name="http", daemon=True).start()
    return made


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run something on the loop from another thread, and wait for it."""
    if threading.current_thread().name == "http":
        work.close()
        raise RuntimeError("the event loop cannot wait for itself")
    return asyncio.run_coroutine_threadsafe(work, event_loop()).result()


class ServerQueue:
    """The way to one server."""

    def __init__(self, base: URL, ca: str | None = None) -> None:
        self.base, self.concurrency = base, ConcurrencyLimit()
        self.in_flight, self.quiet_until = 0, 0.0
        self.gone_since: float | None = None
        self._missed = 0.0
        self._line: deque[asyncio.Future[None]] = deque()
        self._session: aiohttp.ClientSession | None = None
        self._ids: dict[str, ReplyIds] = {}
        self._ca = ca

    @property
    def session(self) -> aiohttp.ClientSession:
        """The connections, opened with the first use."""
        if self._session is None:
            try:
                secure = ssl.create_default_context(cafile=self._ca) if self.base.scheme == "https" else True
            except (OSError, ssl.SSLError) as error:
                raise EngineError(f"the certificates {self._ca} cannot be read: {error}") from error
            connector = CleanConnector(limit=0, ssl=secure, ttl_dns_cache=300)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def ids(self, path: str) -> ReplyIds:
        """What is known of the ids in this server's replies at one path."""
        return self._ids.setdefault(path, ReplyIds())

    async def enter(self) -> None:
        """Wait for a place."""
        if self.in_flight < self.concurrency.limit and not self._line:
            self.in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given a place while it was being cancelled
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place to the next in line."""
        self.in_flight -= 1
        while self._line and self.in_flight < self.concurrency.limit:
            turn = self._line.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)

    @property
    def free(self) -> bool:
        """Whether who has a place may keep it."""
        return not self._line and self.in_flight <= self.concurrency.limit

    async def clear(self, *waits: float) -> None:
        """Wait so long, and as long as the server wants to be let be."""
        rest = max(*waits, self.quiet_until - time.monotonic())
        while rest > 0:
            await asyncio.sleep(rest)
            rest = self.quiet_until - time.monotonic()
        self.quiet_until = 0.0

    def hear(self) -> None:
        """The server is there."""
        self.gone_since = None

    def miss(self) -> float:
        """Nobody is there; for how many seconds now."""
        now = time.monotonic()
        if self.gone_since is None or now - self._missed > _OUTAGE_GAP:
            self.gone_since = now
        self._missed = now
        return now - self.gone_since

    def hush(self, seconds: float) -> None:
        """Let the server be for a while."""
        self.quiet_until = max(self.quiet_until, time.monotonic() + seconds)

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


@atexit.register
def _close_all() -> None:
    for found in _queues.values():
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(found.close(), event_loop()).result(5)


_queues: dict[tuple[URL, str | None], ServerQueue] = {}
_opening = threading.Lock()


def queue_for(url: URL, ca: str | None) -> ServerQueue:
    """The lane to a server; engines with the same server share it."""
    with _opening:
        key = (url.origin(), ca)
        if key not in _queues:
            _queues[key] = ServerQueue(url.origin(), ca)
        return _queues[key]

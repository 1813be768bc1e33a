"""One server, shared by all engines of this process: its connections, its concurrency limit and the queue for it.

Everything here runs on one event loop in a thread of its own. Places are given out first come, first served. Each stream of
requests is in the queue once, so two roles on one server get a fair share each.
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
"""Seconds without a failed connection after which the next one starts a new outage."""


@cache
def event_loop() -> asyncio.AbstractEventLoop:
    """The event loop of all HTTP engines."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="http", daemon=True).start()
    return loop


def wait_for(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the event loop from another thread, and wait for its result."""
    if threading.current_thread().name == "http":
        work.close()
        raise RuntimeError("the event loop cannot wait for itself")
    return asyncio.run_coroutine_threadsafe(work, event_loop()).result()


class ServerQueue:
    """The queue of requests for one server, its connections and its pauses."""

    def __init__(self, base: URL, ca: str | None = None) -> None:
        self.base = base
        self.concurrency = ConcurrencyLimit()
        self.in_flight = 0
        self.paused_until = 0.0
        self.unreachable_since: float | None = None
        self._last_failure = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._session: aiohttp.ClientSession | None = None
        self._ids: dict[str, ReplyIds] = {}
        self._ca = ca

    @property
    def session(self) -> aiohttp.ClientSession:
        """The connections, opened at the first use."""
        if self._session is None:
            try:
                secure = ssl.create_default_context(cafile=self._ca) if self.base.scheme == "https" else True
            except (OSError, ssl.SSLError) as error:
                raise EngineError(f"the certificates {self._ca} cannot be read: {error}") from error
            connector = CleanConnector(limit=0, ssl=secure, ttl_dns_cache=300)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    def ids(self, path: str) -> ReplyIds:
        """The check of request ids in this server's replies at one path."""
        if path not in self._ids:
            self._ids[path] = ReplyIds()
        return self._ids[path]

    async def enter(self) -> None:
        """Wait for a place."""
        if self.in_flight < self.concurrency.limit and not self._waiting:
            self.in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given a place while it was being cancelled
                self.leave()
            raise

    def leave(self) -> None:
        """Free the place, and hand it to the next in the queue."""
        self.in_flight -= 1
        while self._waiting and self.in_flight < self.concurrency.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)

    @property
    def has_room(self) -> bool:
        """True if a place may be used for another request: nobody waits, and the limit was not lowered."""
        return not self._waiting and self.in_flight <= self.concurrency.limit

    async def wait_out_pause(self, *waits: float) -> None:
        """Wait for the longest of these times, and until any pause of the server has passed."""
        remaining = max(*waits, self.paused_until - time.monotonic())
        while remaining > 0:
            await asyncio.sleep(remaining)
            remaining = self.paused_until - time.monotonic()
        self.paused_until = 0.0

    def mark_reachable(self) -> None:
        """Note that the server answered."""
        self.unreachable_since = None

    def record_outage(self) -> float:
        """Note that the server could not be reached; returns the seconds since this outage began."""
        now = time.monotonic()
        if self.unreachable_since is None or now - self._last_failure > _OUTAGE_GAP:
            self.unreachable_since = now
        self._last_failure = now
        return now - self.unreachable_since

    def pause(self, seconds: float) -> None:
        """Send nothing to the server for some seconds."""
        self.paused_until = max(self.paused_until, time.monotonic() + seconds)

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


@atexit.register
def _close_all() -> None:
    for queue in _queues.values():
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(queue.close(), event_loop()).result(5)


_queues: dict[tuple[URL, str | None], ServerQueue] = {}
_opening = threading.Lock()


def queue_for(url: URL, ca: str | None) -> ServerQueue:
    """The queue of a server; engines on the same server share it."""
    with _opening:
        key = (url.origin(), ca)
        if key not in _queues:
            _queues[key] = ServerQueue(url.origin(), ca)
        return _queues[key]

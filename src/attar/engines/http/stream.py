"""Requests in, replies out: between the thread that asks and the event loop that speaks to the server.

The asking thread hands requests over well before their turn comes, so no place stays empty; replies come back many at a time.
Every request gets exactly one reply: its answer, or its failure once no try is left. What stops one request for good stops only
that; what would stop any is raised in the asking thread, after all that was under way is answered.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from itertools import islice
from queue import Empty, SimpleQueue
from random import Random

from attar.core.errors import EngineError
from attar.engines.base import Reply, Request
from attar.engines.http.failures import FailedTry, retry_delay
from attar.engines.http.server_queue import ServerQueue, event_loop

_log = logging.getLogger(__name__)

CallRequests = list[Request]
"""Requests that go in one call."""
Attempt = Callable[[CallRequests], Awaitable[list[Reply | FailedTry]]]
"""One call: for each request its reply or what went wrong; raises a Mishap where all fare alike."""

_FLUSH = 0.01
_READY = 256
_WAITING_PER_PLACE = 4
"""How many asks may wait for their next try, to each that may be in flight."""


class Stream:
    """One engine verb at work on one iterable of requests."""

    def __init__(self, lane: ServerQueue, attempt: Attempt, tries: int, patience: float, tally: Counter[str]) -> None:
        self.lane, self._attempt, self._tries, self._patience, self._tally = lane, attempt, tries, patience, tally
        self.ready = _READY
        """How many asks to hold ready, so that no place stays empty."""
        self._ready: deque[CallRequests] = deque()
        self._more, self._ended = asyncio.Event(), False
        self._stopping = asyncio.Event()
        self._error: EngineError | None = None
        self._work: Future[None] | None = None
        self._held: list[Reply] = []
        self._inbox: SimpleQueue[tuple[list[Reply], int] | None] = SimpleQueue()
        self._promised = 0
        self._flushing = False
        self._places, self._alive, self._dice = 0, 0, Random()

    def replies(self, asks: Iterable[CallRequests]) -> Iterator[Reply]:
        """Ask all; called in the asking thread."""
        todo, on, room = iter(asks), event_loop(), self.ready
        self._promised = room
        self._work = work = asyncio.run_coroutine_threadsafe(self._run(), on)
        work.add_done_callback(lambda _: self._inbox.put(None))
        try:
            while True:
                if room:
                    given = list(islice(todo, room))
                    on.call_soon_threadsafe(self._take, given, room)
                told = self._next()
                if told is None:
                    break
                replies, room = told
                # Who reads also hands over: no ask is taken for this room before these are read. So what is taken and not read,
                # whether ready, in flight or answered, is never more than is held ready and in flight, however slow the reader.
                yield from replies
            if work.cancelled():
                raise EngineError("the engine was closed while it was asked")
            work.result()
        finally:
            work.cancel()

    def _next(self) -> tuple[list[Reply], int] | None:
        """What the loop tells next; a wait that ends by itself now and then lets Ctrl-C through."""
        while True:
            with suppress(Empty):
                return self._inbox.get(timeout=0.5)

    def close(self) -> None:
        """Give up what is under way."""
        if self._work:
            self._work.cancel()

    def _take(self, given: list[CallRequests], room: int) -> None:
        """Asks for the room that was told."""
        self._promised -= room
        if not self._stopping.is_set():
            self._ready.extend(given)
            self._ended = self._ended or len(given) < room
            self._more.set()

    def _stop(self, error: EngineError) -> None:
        """Ask nothing more; what is in flight is paid for, and waited for."""
        self._error, self._ended = self._error or error, True
        self._ready.clear()
        self._stopping.set()
        self._more.set()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                while await self._any():
                    await self._enter()
                    self._alive += 1
                    group.create_task(self._work_off())  # which finds nothing to do if others were quicker
        finally:
            while self._places:
                self._leave()
            self._flush()
        if self._error:
            raise self._error

    async def _any(self) -> bool:
        """Wait for something to ask; false when there is no more."""
        while not self._ready or self._alive > _WAITING_PER_PLACE * self.lane.concurrency.most:
            if self._ended and not self._ready:
                return False
            self._more.clear()
            self._flush_soon()
            await self._more.wait()
        return True

    def _depth(self) -> int:
        return self.ready if self.ready < _READY else max(self.ready, 2 * self.lane.concurrency.limit)

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_later(_FLUSH, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        held, self._held = self._held, []
        room = 0 if self._ended else max(0, self._depth() - len(self._ready) - self._promised)
        self._promised += room
        self._inbox.put((held, room))

    async def _enter(self) -> None:
        await self.lane.enter()
        self._places += 1

    def _leave(self) -> None:
        self._places -= 1
        self.lane.leave()

    async def _work_off(self) -> None:
        """Ask one after the other, as long as the place that it holds when it starts is not another's turn."""
        while self._ready:
            await self._see_through(self._ready.popleft())
            if not self.lane.free:
                break
        self._leave()
        self._alive -= 1
        self._more.set()

    async def _see_through(self, ask: CallRequests) -> None:
        """Try until each request of an ask is answered or given up; its place is given back while it waits for a next try."""
        tries = pauses = 0
        while not self._stopping.is_set():
            in_flight, began = self.lane.in_flight, time.monotonic()
            try:
                found = await self._attempt(ask)
            except FailedTry as mishap:
                found: list[Reply | FailedTry] = [mishap] * len(ask)
            except EngineError as error:
                self._stop(error)
                return
            mishaps = [result for result in found if isinstance(result, FailedTry)]
            if mishaps:
                self._heed(mishaps[0], began)
                ask, worst = self._settle(ask, found, last=tries + 1 >= self._tries)
            else:
                worst = None
                self._held += [result for result in found if isinstance(result, Reply)]
                self.lane.concurrency.count_reply(in_flight, sum(_work_of(result) for result in found))
            if self._held and not self._flushing:
                self._flush_soon()
            if worst is None:
                return
            _log.debug("%s: %s; trying again", self.lane.base, worst.reason)
            pauses += 1
            tries += not worst.unreachable  # nobody was there to try it on
            self._leave()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), retry_delay(pauses, worst, self._dice))
            await self._enter()

    def _settle(
        self, ask: CallRequests, found: list[Reply | FailedTry], *, last: bool
    ) -> tuple[CallRequests, FailedTry | None]:
        """Keep what is settled; the requests to try again, and why."""
        rest, worst = [], None
        for request, result in zip(ask, found, strict=True):
            if isinstance(result, Reply):
                self._held.append(result)
            elif result.retry and (result.unreachable or not last):
                rest.append(request)
                worst = result
            else:
                self._held.append(Reply(request.index, error=result.reason))
        return rest, worst

    def _heed(self, mishap: FailedTry, began: float) -> None:
        """Let the lane learn from what went wrong."""
        self._tally[mishap.kind] += 1
        if mishap.overloaded:
            self.lane.concurrency.count_pushback(began)
            self.lane.hush(min(60.0, mishap.retry_after or 0.0))
        if (mishap.retry_after or 0.0) > self._patience:
            self._stop(
                EngineError(f"the server asks to be let be for {mishap.retry_after:,.0f} s ({mishap.reason}): run again then")
            )
        if mishap.unreachable:
            self.lane.hush(1.0)
        if mishap.unreachable and self.lane.miss() > self._patience:
            self._stop(EngineError(f"{mishap.reason}, for {self._patience:,.0f} s now; what was answered is kept"))


def _work_of(result: Reply | FailedTry) -> int:
    """How much work a reply was, in tokens."""
    return (result.tokens_out or result.tokens_in or 1) if isinstance(result, Reply) else 0

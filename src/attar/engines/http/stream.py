"""Requests in, replies out: between the calling thread and the event loop that talks to the server.

The calling thread hands requests over well before they are sent, so no place stays empty; replies come back in groups. Every
request gets exactly one reply: its answer, or its failure once no try is left. An error of one request ends only that request.
An error that every request would meet is raised in the calling thread, after everything in flight has been answered.
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
from attar.core.reasons import mark_transient
from attar.engines.base import Reply, Request
from attar.engines.http.failures import FailedTry, retry_delay
from attar.engines.http.server_queue import ServerQueue, event_loop

_log = logging.getLogger(__name__)

CallRequests = list[Request]
"""The requests of one call."""
Attempt = Callable[[CallRequests], Awaitable[list[Reply | FailedTry]]]
"""One call: for each request its reply or its failure; raises a FailedTry if all fail alike."""

_FLUSH_SECONDS = 0.01
_READY = 256
_WAITING_PER_PLACE = 4
"""Calls that may wait for their next try, per call that may be in flight."""


class Stream:
    """One engine verb applied to one iterable of requests."""

    def __init__(self, queue: ServerQueue, attempt: Attempt, tries: int, patience: float, tally: Counter[str]) -> None:
        self.queue = queue
        self._attempt = attempt
        self._tries = tries
        self._patience = patience
        self._tally = tally
        self.ready = _READY
        """How many calls to hold ready, so that no place stays empty."""
        self._ready: deque[CallRequests] = deque()
        self._more = asyncio.Event()
        self._ended = False
        """True once the calling thread has no more requests, or an error stopped the stream."""
        self._stopping = asyncio.Event()
        self._error: EngineError | None = None
        self._work: Future[None] | None = None
        self._replies: list[Reply] = []
        """Replies that the next flush hands to the calling thread."""
        self._inbox: SimpleQueue[tuple[list[Reply], int] | None] = SimpleQueue()
        self._promised = 0
        """Calls that the calling thread was asked for and has not handed over yet."""
        self._flushing = False
        self._places = 0
        self._workers = 0
        self._dice = Random()

    def replies(self, calls: Iterable[CallRequests]) -> Iterator[Reply]:
        """Send all calls and yield their replies; runs in the calling thread."""
        remaining = iter(calls)
        loop = event_loop()
        room = self.ready
        self._promised = room
        self._work = work = asyncio.run_coroutine_threadsafe(self._run(), loop)
        work.add_done_callback(lambda _: self._inbox.put(None))
        try:
            while True:
                if room:
                    loop.call_soon_threadsafe(self._take, list(islice(remaining, room)), room)
                message = self._next_message()
                if message is None:
                    break
                replies, room = message
                # Who reads also hands over: no call is taken for this room before these replies are read. So the calls taken
                # but not read (ready, in flight or answered) stay within the numbers ready and in flight, at any speed.
                yield from replies
            if work.cancelled():
                raise EngineError("the engine was closed while requests were in flight")
            work.result()
        finally:
            work.cancel()

    def _next_message(self) -> tuple[list[Reply], int] | None:
        """The loop's next replies, and the room for more calls; the time-out lets Ctrl-C through."""
        while True:
            with suppress(Empty):
                return self._inbox.get(timeout=0.5)

    def close(self) -> None:
        """Give up what is under way."""
        if self._work:
            self._work.cancel()

    def _take(self, calls: list[CallRequests], room: int) -> None:
        """Take the calls that were handed over; fewer than there was room for are the last."""
        self._promised -= room
        if not self._stopping.is_set():
            self._ready.extend(calls)
            self._ended = self._ended or len(calls) < room
            self._more.set()

    def _stop(self, error: EngineError) -> None:
        """Send nothing more; what is in flight is paid for, so it is waited for."""
        self._error = self._error or error
        self._ended = True
        self._ready.clear()
        self._stopping.set()
        self._more.set()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                while await self._wait_for_call():
                    await self._enter()
                    self._workers += 1
                    group.create_task(self._work_off())  # finds nothing to do if others were quicker
        finally:
            while self._places:
                self._leave()
            self._flush()
        if self._error:
            raise self._error

    async def _wait_for_call(self) -> bool:
        """Wait for a call to send; False when there are no more."""
        while not self._ready or self._workers > _WAITING_PER_PLACE * self.queue.concurrency.most:
            if self._ended and not self._ready:
                return False
            self._more.clear()
            self._flush_soon()
            await self._more.wait()
        return True

    def _ready_target(self) -> int:
        return self.ready if self.ready < _READY else max(self.ready, 2 * self.queue.concurrency.limit)

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        """Hand the collected replies to the calling thread, and ask it for more calls."""
        self._flushing = False
        replies, self._replies = self._replies, []
        room = 0 if self._ended else max(0, self._ready_target() - len(self._ready) - self._promised)
        self._promised += room
        self._inbox.put((replies, room))

    async def _enter(self) -> None:
        await self.queue.enter()
        self._places += 1

    def _leave(self) -> None:
        self._places -= 1
        self.queue.leave()

    async def _work_off(self) -> None:
        """Send one call after another, until somebody else waits for the place."""
        while self._ready:
            await self._complete(self._ready.popleft())
            if not self.queue.has_room:
                break
        self._leave()
        self._workers -= 1
        self._more.set()

    async def _complete(self, call: CallRequests) -> None:
        """Try until each request of a call has its reply; the place is given back during the pauses between tries."""
        tries = pauses = 0
        overload_began: float | None = None
        while not self._stopping.is_set():
            in_flight, started = self.queue.in_flight, time.monotonic()
            try:
                results = await self._attempt(call)
            except FailedTry as failure:
                results: list[Reply | FailedTry] = [failure] * len(call)
            except EngineError as error:
                self._stop(error)
                return
            failures = [result for result in results if isinstance(result, FailedTry)]
            if failures:
                self._handle_failure(failures[0], started)
                if failures[0].pushback and overload_began is None:
                    overload_began = started
                waits = self._is_waited_out(failures[0], overload_began)
                call, last_failure = self._settle(call, results, 0 if waits else tries + 1)
            else:
                waits = False
                last_failure = None
                self._replies += [result for result in results if isinstance(result, Reply)]
                self.queue.concurrency.count_reply(in_flight, sum(_work_of(result) for result in results))
            if self._replies and not self._flushing:
                self._flush_soon()
            if last_failure is None:
                return
            _log.debug("%s: %s; trying again", self.queue.base, last_failure.reason)
            pauses += 1
            tries += not waits  # a server that is down or overloaded does not use up a try
            self._leave()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), retry_delay(pauses, last_failure, self._dice))
            await self._enter()

    def _settle(
        self, call: CallRequests, results: list[Reply | FailedTry], tries: int
    ) -> tuple[CallRequests, FailedTry | None]:
        """Collect the final replies; returns the requests to try again, and the last failure among them."""
        again: CallRequests = []
        last_failure = None
        for request, result in zip(call, results, strict=True):
            if isinstance(result, Reply):
                self._replies.append(result)
            elif not result.retry:
                self._replies.append(Reply(request.index, error=result.reason))
            elif result.unreachable or tries < self._tries:
                again.append(request)
                last_failure = result
            else:
                self._replies.append(Reply(request.index, error=mark_transient(result.reason, tries)))
        return again, last_failure

    def _is_waited_out(self, failure: FailedTry, overload_began: float | None) -> bool:
        """True if a failure passes by itself: the server is down, or has been overloaded for less than `patience`."""
        if failure.unreachable:
            return True
        return failure.pushback and overload_began is not None and time.monotonic() - overload_began < self._patience

    def _handle_failure(self, failure: FailedTry, started: float) -> None:
        """Count a failure, slow the queue down as it asks for, and stop the stream when patience is used up."""
        self._tally[failure.kind] += 1
        wait = failure.retry_after or 0.0
        if failure.overloaded:
            self.queue.concurrency.count_pushback(started)
            self.queue.pause(min(60.0, wait))
        if wait > self._patience:
            self._stop(EngineError(f"server sent Retry-After: {wait:,.0f} s ({failure.reason}): run again then"))
        if failure.unreachable:
            self.queue.pause(1.0)
        if failure.unreachable and self.queue.record_outage() > self._patience:
            self._stop(EngineError(f"{failure.reason} for {self._patience:,.0f} s; all replies so far are kept"))


def _work_of(result: Reply | FailedTry) -> int:
    """The work of a reply, in tokens."""
    return (result.tokens_out or result.tokens_in or 1) if isinstance(result, Reply) else 0

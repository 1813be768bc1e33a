"""How far a stream runs ahead of its reader: by counts and by the event loop's own clock, never by how fast the machine is."""

import asyncio
from collections import Counter
from threading import Condition

import pytest
from servers_for_tests import asks
from yarl import URL

from attar.engines.base import Reply, in_order
from attar.engines.http import stream
from attar.engines.http.concurrency import ConcurrencyLimit
from attar.engines.http.failures import FailedTry
from attar.engines.http.server_queue import ServerQueue, event_loop, wait_for
from attar.engines.http.stream import Stream

HANGS = 60.0
"""Seconds after which a test gives up: nothing is ever awaited so long but by mistake."""
FAR = 20.0
"""Seconds to the next try of what has failed; the loop's clock is put forward by as much."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(stream, "_FLUSH_SECONDS", 0.002)


class Reading:
    """A stream on a lane of its own, without a server; it counts asks taken, tries begun and ended, replies read."""

    def __init__(self, places, ready, count, attempt):
        lane = ServerQueue(URL("http://nowhere"))
        lane.concurrency = ConcurrencyLimit(places, places)
        self.stream = Stream(lane, self._counted, 3, 60.0, Counter())
        self.stream.ready = ready
        self.taken = self.begun = self.ended = self.read = 0
        self._attempt, self._count, self._moved = attempt, count, Condition()

    async def _counted(self, ask):
        self.begun += 1
        try:
            return await self._attempt(ask)
        finally:
            with self._moved:
                self.ended += 1
                self._moved.notify()

    def _asks(self):
        for request in asks(self._count):
            self.taken += 1
            yield [request]

    def __iter__(self):
        for reply in self.stream.replies(self._asks()):
            self.read += 1
            yield reply

    def rest(self):
        """Wait until all that was taken is answered, and the loop has handed over all replies."""
        with self._moved:
            assert self._moved.wait_for(lambda: self.ended == self.taken, HANGS)
        wait_for(asyncio.sleep(3 * stream._FLUSH_SECONDS))  # its timers that were set before this one are due before it


async def at_once(ask):
    await asyncio.sleep(0)
    return [Reply(ask[0].index, "so", "stop")]


async def out_of_order(ask):
    await asyncio.sleep(0.0005 * (ask[0].index % 9))
    return await at_once(ask)


@pytest.mark.parametrize("attempt", [at_once, out_of_order])
@pytest.mark.parametrize(("places", "ready", "most"), [(8, 256, 264), (32, 256, 288), (200, 256, 600), (4, 8, 12), (32, 8, 40)])
def test_a_reader_that_is_slower_than_all_else_has_no_more_before_it_than_is_held_ready_and_in_flight(
    places, ready, most, attempt
):
    count = 6 * max(ready, 50)
    reading, ahead, found = Reading(places, ready, count, attempt), [], []
    for reply in reading:
        found.append(reply)
        ahead.append(reading.taken - reading.read)
        if reading.read % (ready // 4) == 0:
            reading.rest()
    assert [reply.text for reply in in_order(found, count)] == ["so"] * count
    assert ready - 1 <= max(ahead) <= most


def test_a_reader_that_stops_for_a_while_is_waited_for():
    reading = Reading(8, 256, 4000, at_once)
    replies = iter(reading)
    first = [next(replies) for _ in range(700)]
    reading.rest()
    taken = reading.taken
    reading.rest()
    assert reading.begun == reading.taken == taken <= 700 + 256 + 8
    assert {reply.index for reply in (*first, *replies)} == set(range(4000))
    assert (reading.read, reading.begun) == (4000, 4000)


def test_asks_that_wait_for_their_next_try_do_not_let_ever_more_in(monkeypatch):
    on, waiting, tried, seen, skipped = event_loop(), set(), set(), [], []
    real = on.time
    monkeypatch.setattr(on, "time", lambda: real() + sum(skipped))
    monkeypatch.setattr(stream, "retry_delay", lambda *_: 0.0 if skipped else FAR)
    most = 4 * 4 + 1  # four to each of four places, and the one that was just let in

    async def let_time_pass():
        await asyncio.sleep(5 * stream._FLUSH_SECONDS)
        seen.append(len(waiting))
        skipped.append(FAR)

    async def fails_once(ask):
        index = ask[0].index
        if index in tried:
            waiting.discard(index)
            skipped.append(0.0)  # should its time have come by itself, the others need not wait for theirs
            return await at_once(ask)
        tried.add(index)
        waiting.add(index)
        if len(waiting) == most and not seen:
            seen.append(most)
            passing.append(on.create_task(let_time_pass()))
        raise FailedTry("server error", "500", overloaded=False)

    passing = []
    reading, ahead = Reading(4, 8, 300, fails_once), []
    for _ in reading:
        ahead.append(reading.taken - reading.read)
    assert seen == [most, most]  # while their next try was far away, nobody else was let in
    assert (reading.read, reading.begun) == (300, 600)
    assert max(ahead) <= 8 + most

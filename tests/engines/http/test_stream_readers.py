import asyncio
import time
from collections import Counter
from random import Random

import pytest
from servers_for_tests import asks, soon
from yarl import URL

from attar.engines.base import Reply, in_order
from attar.engines.http.concurrency import Pace
from attar.engines.http.failures import Mishap
from attar.engines.http.server_queue import Lane
from attar.engines.http.stream import Stream


class Reading:
    """A stream on a lane of its own, without a server; it counts asks taken, tries begun, answers read."""

    def __init__(self, places, ready, count, attempt):
        lane = Lane(URL("http://nowhere"))
        lane.pace = Pace(places, places)
        self.stream, self.begun = Stream(lane, self._counted, 3, 60.0, Counter()), 0
        self.stream.ready = ready
        self.taken = self.read = 0
        self._attempt, self._count = attempt, count

    async def _counted(self, ask):
        self.begun += 1
        return await self._attempt(ask)

    def _asks(self):
        for request in asks(self._count):
            self.taken += 1
            yield [request]

    def __iter__(self):
        for reply in self.stream.replies(self._asks()):
            self.read += 1
            yield reply


async def at_once(ask):
    await asyncio.sleep(0)
    return [Reply(ask[0].index, "so", "stop")]


async def steadily(ask):
    await asyncio.sleep(0.004 + 0.0005 * (ask[0].index % 9))
    return await at_once(ask)


@pytest.mark.parametrize("attempt", [at_once, steadily])
@pytest.mark.parametrize(("places", "ready", "most"), [(8, 256, 264), (32, 256, 288), (200, 256, 600), (4, 8, 12), (32, 8, 40)])
def test_however_slow_the_reader_is_no_more_is_taken_than_is_held_ready_and_in_flight(places, ready, most, attempt):
    count = max(300, 6 * ready)
    reading, ahead, found = Reading(places, ready, count, attempt), [], []
    for reply in reading:
        found.append(reply)
        time.sleep(0.0005)
        ahead.append(reading.taken - reading.read)
    assert [reply.text for reply in in_order(found, count)] == ["so"] * count
    assert max(ahead) <= most
    assert max(ahead) >= 0.8 * ready  # and yet a good deal is


def test_a_reader_that_stops_for_a_while_is_waited_for():
    reading = Reading(8, 256, 4000, at_once)
    replies = iter(reading)
    for _ in range(700):
        next(replies)
    assert soon(lambda: reading.begun == reading.taken)
    time.sleep(0.1)
    assert reading.begun == reading.taken <= 700 + 256 + 8
    assert len(list(replies)) == 3300


def test_asks_that_wait_for_their_next_try_do_not_let_ever_more_in():
    dice = Random(3)

    async def shaky(ask):
        if dice.random() < 0.5:
            raise Mishap("server error", "500", crowded=False)
        return await at_once(ask)

    reading, ahead = Reading(4, 8, 300, shaky), []
    for _ in reading:
        ahead.append(reading.taken - reading.read)
    assert reading.read == 300
    assert max(ahead) <= 8 + 4 * 4 + 1  # ready, under way or waiting (four to a place), and the one that was just let in

import asyncio
import threading
import time

import pytest
from yarl import URL

from attar.engines.http.concurrency import ConcurrencyLimit
from attar.engines.http.server_queue import ServerQueue, event_loop, queue_for, wait_for


def narrow(places):
    made = ServerQueue(URL("http://h"))
    made.concurrency = ConcurrencyLimit(places, places)
    return made


async def rest():
    for _ in range(5):
        await asyncio.sleep(0)


def test_places_go_to_who_came_first():
    async def work():
        way, order = narrow(2), []

        async def visit(name):
            await way.enter()
            order.append(name)

        visits = [asyncio.create_task(visit(name)) for name in range(6)]
        await rest()
        assert order == [0, 1]
        for left in range(4):
            way.leave()
            await rest()
            assert order == list(range(3 + left))
            assert way.in_flight == 2
        await asyncio.gather(*visits)

    asyncio.run(work())


def test_a_place_is_not_lost_with_one_who_no_longer_waits():
    async def work():
        way = narrow(1)
        await way.enter()
        first, second = (asyncio.create_task(way.enter()) for _ in range(2))
        await rest()
        first.cancel()
        await rest()
        way.leave()
        await asyncio.wait_for(second, 1)
        assert way.in_flight == 1

    asyncio.run(work())


def test_a_place_given_to_one_who_is_just_leaving_goes_to_the_next():
    async def work():
        way = narrow(1)
        await way.enter()
        first, second = (asyncio.create_task(way.enter()) for _ in range(2))
        await rest()
        way.leave()  # the turn is given, and taken only when the loop comes round
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await asyncio.wait_for(second, 1)
        assert way.in_flight == 1
        way.leave()
        assert way.in_flight == 0

    asyncio.run(work())


def test_who_has_a_place_keeps_it_while_nobody_waits_and_the_level_holds():
    async def work():
        way = narrow(2)
        await way.enter()
        assert way.has_room
        await way.enter()
        waiting = asyncio.create_task(way.enter())
        await rest()
        assert not way.has_room
        way.leave()
        await waiting
        assert way.has_room
        way.concurrency.limit = 1
        assert not way.has_room

    asyncio.run(work())


def test_a_server_that_is_to_be_let_be_is_so_for_the_longest_that_was_asked():
    async def work():
        way = narrow(1)
        way.pause(0.2)
        way.pause(0.05)
        began = time.monotonic()
        await way.wait_out_pause(0.0, 0.01)
        assert 0.19 <= time.monotonic() - began < 2
        began = time.monotonic()
        await way.wait_out_pause(0.0)
        assert time.monotonic() - began < 0.1

    asyncio.run(work())


def test_who_waits_already_waits_longer_when_more_is_asked():
    async def work():
        way = narrow(1)
        began = time.monotonic()
        waiting = asyncio.create_task(way.wait_out_pause(0.1))
        await rest()
        way.pause(0.3)
        await waiting
        assert time.monotonic() - began >= 0.29

    asyncio.run(work())


def test_engines_on_one_server_share_its_lane_and_others_do_not():
    port = "http://one-server.test:1"
    assert queue_for(URL(f"{port}/v1"), None) is queue_for(URL(f"{port}/other/v2"), None)
    assert queue_for(URL(f"{port}/v1"), None) is not queue_for(URL(f"{port}/v1"), "ca.pem")
    assert queue_for(URL(f"{port}/v1"), None) is not queue_for(URL("http://one-server.test:2/v1"), None)


def test_the_loop_of_all_lanes_is_one_thread_that_cannot_wait_for_itself():
    async def where():
        return threading.current_thread().name

    async def inside():
        return wait_for(where())

    assert event_loop() is event_loop()
    assert wait_for(where()) == "http"
    with pytest.raises(RuntimeError, match="cannot wait for itself"):
        wait_for(inside())

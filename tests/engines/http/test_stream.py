import asyncio
import threading
import time

import pytest
from aiohttp import web
from servers_for_tests import asks, good, http, refused, soon, told

from attar.core.errors import EngineError
from attar.engines.base import in_order
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled


async def echo(asked):
    await asyncio.sleep(0.002)
    return good(asked)


def flaky(answers):
    """A handler that meets each text's first tries with these, in turn."""
    tries = {}

    async def speak(asked):
        tries[told(asked)] = number = tries.get(told(asked), 0) + 1
        return answers[number - 1]() if number <= len(answers) else good(asked)

    return speak


@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_what_passes_is_tried_again(server, status):
    served = server(flaky([lambda: refused(status), lambda: web.Response(text="{")]))
    engine = http(served.url)
    assert [reply.text for reply in engine.generate(asks(1))] == ["say 0"]
    assert engine.errors == {"server error": 1, "malformed reply": 1}
    assert len(served.posted) == 3


def test_once_no_try_is_left_the_row_fails_with_the_last_reason(server):
    served = server(flaky([lambda: refused(500, "first")] + [lambda: refused(502, "then")] * 9))
    replies = in_order(http(served.url, tries=3).generate(asks(4)), 4)
    assert [reply.error for reply in replies] == ["502: then (gave up after 3 tries)"] * 4
    assert len(served.posted) == 12


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_be_let_be_is_let_be(server, status):
    times = []

    async def speak(asked):
        times.append(time.monotonic())
        return refused(status, Retry_After="0.6") if len(times) == 1 else good(asked)

    served = server(speak)
    engine = http(served.url, concurrency=1)
    assert len(in_order(engine.generate(asks(3)), 3)) == 3
    assert times[1] - times[0] >= 0.59
    assert times[-1] - times[0] < 5


def test_a_wait_in_milliseconds_is_kept_too(server):
    times = []

    async def speak(asked):
        times.append(time.monotonic())
        return refused(500, retry_after_ms=400) if len(times) == 1 else good(asked)

    list(http(server(speak).url).generate(asks(1)))
    assert 0.39 <= times[1] - times[0] < 3


def test_a_limit_that_a_good_reply_used_up_is_waited_for(server):
    times = []

    async def speak(asked):
        times.append(time.monotonic())
        answer = good(asked)
        if len(times) == 1:
            answer.headers.update({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "400ms"})
        return answer

    replies = in_order(http(server(speak).url, concurrency=1).generate(asks(3)), 3)
    assert [reply.error for reply in replies] == [None] * 3
    assert times[1] - times[0] >= 0.39
    assert times[2] - times[1] < 0.3


@pytest.mark.parametrize("most", [1, 3, 7])
def test_no_more_are_under_way_than_is_allowed_and_no_fewer(server, most):
    served = server(echo)
    replies = in_order(http(served.url, concurrency=most).generate(asks(60)), 60)
    assert [reply.text for reply in replies] == [f"say {i}" for i in range(60)]
    assert served.most == most


def test_retries_keep_to_what_is_allowed_as_well(server):
    served = server(flaky([lambda: refused(500), lambda: refused(502)]))
    assert len(in_order(http(served.url, concurrency=5).generate(asks(40)), 40)) == 40
    assert served.most <= 5


def test_requests_are_pulled_only_as_there_is_room(server):
    pulled, hold = [], threading.Event()

    async def speak(asked):
        while not hold.is_set():
            await asyncio.sleep(0.01)
        return good(asked)

    def endless():
        for request in asks(100_000):
            pulled.append(request.index)
            yield request

    served = server(speak)
    reading = http(served.url).generate(endless())
    threading.Timer(0.3, hold.set).start()
    next(reading)
    assert 16 <= len(pulled) <= 1000
    reading.close()


def test_two_engines_on_one_server_take_turns(server):
    order = []

    async def speak(asked):
        order.append(asked["model"])
        await asyncio.sleep(0.004)
        return good(asked)

    served = server(speak, models=("m", "n"))
    first, second = (http(served.url, model=name, concurrency=2) for name in "mn")
    begun = first.generate(asks(300))
    next(begun)
    rest = threading.Thread(target=lambda: list(begun))
    rest.start()
    assert len(list(second.generate(asks(40)))) == 40
    rest.join(20)
    came = order[order.index("n") :]
    among = came[: len(came) - came[::-1].index("n")]
    assert 25 <= among.count("m") <= 60
    assert order.count("m") == 300
    assert served.most == 2


def test_a_server_that_goes_away_and_comes_back_costs_no_row(server):
    served = server(echo)
    engine = http(served.url, tries=3, patience=30, concurrency=4)
    reading = engine.generate(asks(80))
    found = [next(reading) for _ in range(5)]
    served.stop()
    back = threading.Timer(0.7, served.start)
    back.start()
    found += reading
    back.join()
    assert [reply.text for reply in in_order(found, 80)] == [f"say {i}" for i in range(80)]
    assert engine.errors["unreachable"] > 0


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_burst_of_overload_costs_no_row(server, status):
    """Longer than all tries last: it is waited out for as long as `patience`."""
    until = time.monotonic() + 2.0

    async def speak(asked):
        return refused(status) if time.monotonic() < until else good(asked)

    engine = http(server(speak).url, tries=1, patience=60)
    assert [reply.text for reply in in_order(engine.generate(asks(8)), 8)] == [f"say {i}" for i in range(8)]


def test_overload_that_outlasts_patience_fails_the_row_with_its_reason(server):
    async def speak(asked):
        return refused(503, "busy") if told(asked) == "say 1" else good(asked)

    engine = http(server(speak).url, tries=1, patience=1)
    assert [reply.error for reply in in_order(engine.generate(asks(3)), 3)] == [None, "503: busy (gave up after 1 try)", None]


def test_a_try_at_a_server_that_is_not_there_is_not_counted(server):
    served = server(echo)
    engine = http(served.url, tries=1, patience=30)
    list(engine.generate(asks(1)))
    served.stop()
    back = threading.Timer(0.5, served.start)
    back.start()
    replies = in_order(engine.generate(asks(10)), 10)
    back.join()
    assert [reply.text for reply in replies] == [f"say {i}" for i in range(10)]
    assert engine.errors["unreachable"] >= 10


def test_a_server_that_stays_away_stops_the_run_once_patience_is_over(server, tmp_path):
    served = server(echo)
    journal = Journal(tmp_path / "journal.sqlite")
    engine = Journaled(http(served.url, patience=1, concurrency=4), journal)
    reading, found = engine.generate(asks(3000)), []
    found += [next(reading) for _ in range(5)]
    served.stop()
    gone = time.monotonic()
    with pytest.raises(EngineError) as error:
        found.extend(reading)
    assert 0.9 <= time.monotonic() - gone < 8
    port = served.port
    assert str(error.value) == (
        f"nothing answers on 127.0.0.1:{port} (connection refused) for 1 s; all replies so far are kept"
    )
    journal.commit()
    assert journal.size() == len([reply for reply in found if not reply.error]) >= 5
    journal.close()


def test_patience_begins_when_nobody_answers_not_when_the_last_reply_came(server):
    served = server(echo)
    engine = http(served.url, patience=1)
    list(engine.generate(asks(1)))
    served.stop()
    time.sleep(1.1)
    back = threading.Timer(0.3, served.start)
    back.start()
    try:
        assert [reply.text for reply in in_order(engine.generate(asks(2)), 2)] == ["say 0", "say 1"]
    finally:
        back.join()


def test_closing_it_from_another_thread_ends_a_write_that_hangs(server):
    async def hang(asked):
        await asyncio.sleep(60)

    served = server(hang)
    engine = http(served.url)
    ended = []

    def write():
        with pytest.raises(EngineError, match="the engine was closed while requests were in flight"):
            list(engine.generate(asks(3000)))
        ended.append(True)

    thread = threading.Thread(target=write)
    thread.start()
    assert soon(lambda: served.under_way > 0)
    engine.close()
    thread.join(3)
    assert ended == [True]
    assert soon(lambda: engine.in_flight == 0)


def test_after_a_stop_what_is_in_flight_is_still_answered(server):
    async def speak(asked):
        if told(asked) == "say 5":
            return refused(401)
        await asyncio.sleep(0.3)
        return good(asked)

    found, served = [], server(speak)
    engine = http(served.url)
    with pytest.raises(EngineError, match="401"):
        found.extend(engine.generate(asks(1000)))
    assert {reply.text for reply in found} == {told(sent) for sent in served.posted} - {"say 5"}
    assert 15 <= len(found) < 200
    assert soon(lambda: engine.in_flight == 0)

import sqlite3
import threading
from contextlib import suppress
from dataclasses import replace
from queue import Queue
from random import Random

import pytest

from attar.core.errors import EngineError, LimitError
from attar.engines.base import Request, Sampling, Spec
from attar.engines.fake import Fake
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled
from attar.engines.meter import Meter

HOT = Sampling(temperature=1.0)


def asks(count, start=0):
    return [Request(i, text=f"say {i}", sampling=HOT, seed=i) for i in range(start, start + count)]


class Gated(Fake):
    """Takes all it is asked at first, then waits for leave; then answers, or fails with what it is given."""

    def __init__(self, fails=None):
        super().__init__(Spec("fake", "m"))
        self.taken, self.leave, self.fails, self.calls = threading.Event(), threading.Event(), fails, 0

    def generate(self, requests):
        self.calls += 1
        if self.calls > 1:
            yield from super().generate(requests)
            return
        taken = list(requests)
        self.taken.set()
        assert self.leave.wait(20)
        if self.fails:
            raise self.fails
        yield from super().generate(taken)


def in_thread(work):
    """Run in a thread; a queue for its result or its error."""
    out = Queue()

    def run():
        try:
            out.put(work())
        except BaseException as error:  # noqa: BLE001 (handed to the test's thread)
            out.put(error)

    threading.Thread(target=run, daemon=True).start()
    return out


def and_then(requests, event):
    yield from requests
    event.set()


def plain(count, start=0):
    """What the engine says when nobody shares it."""
    return {reply.index: reply.text for reply in Fake(Spec("fake", "m")).generate(asks(count, start))}


def texts(replies):
    replies = list(replies)
    assert len({reply.index for reply in replies}) == len(replies)
    return {reply.index: reply.text for reply in replies}


def test_what_another_thread_asks_already_is_waited_for(journal):
    engine = Journaled(gate := Gated(), journal)
    first = in_thread(lambda: texts(engine.generate(asks(30))))
    assert gate.taken.wait(20)
    second = in_thread(lambda: texts(engine.generate(and_then(asks(30), gate.leave))))
    assert first.get(timeout=20) == second.get(timeout=20) == plain(30)
    assert engine.sent_count == gate.asked == 30


def test_a_reply_shared_between_threads_has_each_one_s_own_index(journal):
    engine = Journaled(gate := Gated(), journal)
    first = in_thread(lambda: texts(engine.generate(asks(3))))
    assert gate.taken.wait(20)
    moved = [Request(100 + request.index, text=request.text, sampling=HOT, seed=request.seed) for request in asks(3)]
    second = in_thread(lambda: texts(engine.generate(and_then(moved, gate.leave))))
    assert second.get(timeout=20) == {100 + index: text for index, text in first.get(timeout=20).items()}


def test_a_thread_that_fails_gives_its_requests_to_those_who_wait_for_them(journal):
    engine = Journaled(gate := Gated(fails=EngineError("the server is gone")), journal)
    first = in_thread(lambda: texts(engine.generate(asks(30))))
    assert gate.taken.wait(20)
    second = in_thread(lambda: texts(engine.generate(and_then(asks(40), gate.leave))))
    assert isinstance(first.get(timeout=20), EngineError)
    assert second.get(timeout=20) == plain(40)
    assert engine.sent_count == gate.asked == 40
    assert engine.recalled_count == 0
    journal.commit()
    assert journal.size() == 40


def test_a_reader_that_stops_in_the_middle_gives_its_requests_back_too(journal):
    engine = Journaled(Fake(Spec("fake", "m")), journal)
    reading = engine.generate(asks(5))
    next(reading)
    reading.close()
    assert in_thread(lambda: texts(engine.generate(asks(5)))).get(timeout=20) == plain(5)


def test_many_threads_ask_each_thing_once_and_each_gets_its_own(journal):
    engine = Journaled(Fake(Spec("fake", "m", {"delay": 0.0003})), journal)

    def mixed(seed):
        requests = asks(200, start=50 * seed)
        Random(seed).shuffle(requests)
        return requests

    outs = [in_thread(lambda seed=seed: texts(engine.generate(mixed(seed)))) for seed in range(4)]
    for seed, out in enumerate(outs):
        assert out.get(timeout=30) == plain(200, start=50 * seed)
    assert engine.engine.asked == engine.sent_count == 350
    assert engine.recalled_count == 4 * 200 - 350


def test_failures_reach_all_who_wait_and_none_is_kept(journal):
    class Failing(Gated):
        def _each(self, verb, requests):
            yield from ((request, None) for request in requests)

    engine = Journaled(gate := Failing(), journal)
    first = in_thread(lambda: [reply.error for reply in engine.generate(asks(3))])
    assert gate.taken.wait(20)
    second = in_thread(lambda: [reply.error for reply in engine.generate(and_then(asks(3), gate.leave))])
    assert first.get(timeout=20) == second.get(timeout=20) == ["fault on demand"] * 3
    assert (engine.sent_count, engine.meter.now.failed, engine.recalled_count) == (3, 3, 3)
    journal.commit()
    assert journal.size() == 0
    assert journal.stats()["failures"] == {"fault on demand": 3}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_s_words_that_are_no_unicode_cost_no_other_reply(tmp_path):
    class Odd(Fake):
        def generate(self, requests):
            for reply in super().generate(requests):
                yield replace(reply, text=None, error="half a pair \ud83d") if reply.index == 1 else reply

    journal = Journal(tmp_path / "odd.sqlite")
    list(Journaled(Odd(Spec("fake", "m")), journal).generate(asks(3)))
    with suppress(EngineError, sqlite3.Error, UnicodeError):
        journal.close()
    again = Journal(tmp_path / "odd.sqlite")
    assert again.size() == 2
    again.close()


def another_asks(engine, request):
    """Stand for another thread that asks this; the call that gives it up."""
    key = engine.key("write", request)
    assert not engine.join_pending(key, None, request)
    return lambda: engine.release(key, None)


def test_what_another_gave_up_over_the_limit_drops_nothing_that_is_under_way(journal):
    engine = Journaled(Fake(Spec("fake", "m")), journal)
    shared, *own = asks(4)
    give_up = another_asks(engine, shared)

    class Slow(Fake):
        def generate(self, requests):
            taken = list(requests)
            engine.meter.stop("the run's limit is reached")
            give_up()
            yield from super().generate(taken)

    engine.engine = Slow(Spec("fake", "m"))
    with suppress(LimitError):
        list(engine.generate([shared, *own]))
    journal.commit()
    assert journal.size() == len(own)


def test_what_another_gave_up_and_is_asked_here_again_is_not_waited_for_for_ever(journal):
    engine = Journaled(Fake(Spec("fake", "m")), journal)
    shared, own = asks(2)
    give_up = another_asks(engine, shared)

    class Batching(Fake):
        def generate(self, requests):
            yield from super().generate(list(requests))

    def requests():
        yield shared
        yield own
        give_up()
        yield Request(2, text=shared.text, sampling=HOT, seed=shared.seed)

    engine.engine = Batching(Spec("fake", "m"))
    found = in_thread(lambda: texts(engine.generate(requests()))).get(timeout=1)
    assert found == {**plain(2), 2: plain(2)[0]}


def test_what_another_thread_is_asking_counts_as_recalled_and_is_paid_for_once(journal):
    noted = []
    meter = Meter(note=lambda step, engine, spent: noted.append(replace(spent)))
    engine = Journaled(gate := Gated(), journal, meter)
    first = in_thread(lambda: texts(engine.generate(asks(30))))
    assert gate.taken.wait(20)
    second = in_thread(lambda: texts(engine.generate(and_then(asks(30), gate.leave))))
    told = first.get(timeout=20)
    assert second.get(timeout=20) == told
    assert (engine.sent_count, engine.recalled_count, meter.now.failed) == (30, 30, 0)
    assert meter.total.tokens_out == sum(len(text.split()) for text in told.values())
    assert sum(spent.recalled for spent in noted) == sum(spent.asked for spent in noted) == 30


def test_of_equal_requests_in_one_call_the_first_is_asked_and_the_rest_are_recalled(journal):
    engine = Journaled(Fake(Spec("fake", "m")), journal)
    twins = [Request(i, text=f"say {i % 3}", sampling=HOT, seed=i % 3) for i in range(12)]
    assert texts(engine.generate(twins)) == {i: plain(3)[i % 3] for i in range(12)}
    assert (engine.sent_count, engine.recalled_count) == (3, 9)


class Lazy(Fake):
    """Takes each request only after the reply to the one before it was read."""

    def generate(self, requests):
        for request in requests:
            yield from super().generate([request])


def counting(requests, taken):
    for request in requests:
        taken.append(request.index)
        yield request


def test_the_journal_is_asked_for_32_keys_at_once(journal):
    queries = []
    journal._reader.set_trace_callback(queries.append)
    assert texts(Journaled(Fake(Spec("fake", "m")), journal).generate(asks(100))) == plain(100)
    assert sum("FROM replies WHERE key IN" in query for query in queries) == 4


def test_no_more_than_32_requests_are_taken_before_they_are_sent(journal):
    taken = []
    engine = Journaled(Lazy(Spec("fake", "m")), journal)
    for read, _ in enumerate(engine.generate(counting(asks(100), taken))):
        assert len(taken) == min(100, 32 * (read // 32 + 1))


def test_stored_replies_among_new_requests_are_recalled_and_the_others_are_sent_in_order(journal):
    engine = Journaled(Lazy(Spec("fake", "m")), journal)
    texts(engine.generate(asks(100)[::3]))
    journal.commit()
    replies = list(engine.generate(asks(100)))
    assert {reply.index: reply.text for reply in replies} == plain(100)
    assert [reply.index for reply in replies if reply.index % 3] == [i for i in range(100) if i % 3]
    assert (engine.sent_count, engine.recalled_count) == (100, 34)


def test_a_reader_that_stops_gives_back_what_was_looked_up_and_not_sent(journal):
    engine = Journaled(Lazy(Spec("fake", "m")), journal)
    reading = engine.generate(asks(20))
    next(reading)
    other = in_thread(lambda: texts(engine.generate(asks(20)[10:])))
    reading.close()
    assert other.get(timeout=20) == plain(10, start=10)
    assert not engine._in_flight


def test_a_stop_or_trouble_holds_for_requests_that_were_looked_up_before_it(journal):
    engine = Journaled(Lazy(Spec("fake", "m")), journal)
    replies = engine.generate(asks(20))
    first = [next(replies).index for _ in range(3)]
    engine.meter.stop("the run's limit is reached")
    with pytest.raises(LimitError, match="the run's limit is reached"):
        next(replies)
    troubled = Journaled(Lazy(Spec("fake", "m")), journal)
    replies = troubled.generate(asks(20, start=20))
    second = [next(replies).index for _ in range(2)]
    journal.trouble = "disk full"
    with pytest.raises(EngineError, match="disk full"):
        next(replies)
    journal.trouble = ""
    assert (first, second, engine.sent_count, troubled.sent_count) == ([0, 1, 2], [20, 21], 3, 2)


def test_a_damaged_reply_leaves_no_request_reserved(journal):
    engine = Journaled(Fake(Spec("fake", "m")), journal)
    texts(engine.generate(asks(10)))
    journal.commit()
    journal._base.execute("UPDATE replies SET sum = sum + 1")
    with pytest.raises(EngineError, match="is damaged"):
        list(engine.generate(asks(10)))
    assert not engine._in_flight

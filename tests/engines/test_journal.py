import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from servers_for_tests import soon

from attar.core.errors import EngineError
from attar.engines import journal as module
from attar.engines.base import Reply, Request, Sampling, Spec, in_order
from attar.engines.fake import Fake
from attar.engines.journal import Journal, load_reply
from attar.engines.journaling import Journaled

HOT = Sampling(temperature=1.0)


def asks(count, **over):
    return [Request(i, text=f"say {i}", sampling=HOT, seed=i, **over) for i in range(count)]


def journaled(journal, **options):
    return Journaled(Fake(Spec("fake", "m", options)), journal)


def test_a_rerun_asks_nothing_and_gets_the_same(journal):
    first, second = journaled(journal), journaled(journal)
    before = in_order(first.generate(asks(50)), 50)
    after = in_order(second.generate(asks(50)), 50)
    assert before == after
    assert (first.sent_count, second.sent_count, second.recalled_count) == (50, 0, 50)


def test_a_hundred_added_rows_cost_a_hundred_calls(journal):
    engine = journaled(journal)
    in_order(engine.generate(asks(20)), 20)
    in_order(engine.generate(asks(120)), 120)
    assert engine.sent_count == 120


@pytest.mark.parametrize(
    "other",
    [
        Request(0, text="else", sampling=HOT, seed=0),
        Request(0, text="say 0", sampling=HOT, seed=1),
        Request(0, text="say 0", sampling=Sampling(temperature=0.9), seed=0),
        Request(0, text="say 0", sampling=Sampling(temperature=1.0, max_tokens=7), seed=0),
        Request(0, messages=({"role": "user", "content": "say 0"},), sampling=HOT, seed=0),
    ],
)
def test_whatever_decides_an_answer_decides_its_key(journal, other):
    engine = journaled(journal)
    list(engine.generate([Request(0, text="say 0", sampling=HOT, seed=0)]))
    list(engine.generate([other]))
    assert engine.sent_count == 2


def test_another_model_is_asked_again(journal):
    list(journaled(journal).generate(asks(3)))
    other = Journaled(Fake(Spec("fake", "another")), journal)
    list(other.generate(asks(3)))
    assert other.sent_count == 3


def test_a_greedy_request_is_the_same_whatever_its_seed(journal):
    engine = journaled(journal)
    cold = Sampling(temperature=0.0)
    replies = in_order(engine.generate([Request(i, text="same", sampling=cold, seed=i) for i in range(5)]), 5)
    assert engine.sent_count == 1
    assert {reply.text for reply in replies} == {replies[0].text}


def test_equal_requests_under_way_are_asked_once_and_all_answered(journal):
    engine = journaled(journal)
    replies = in_order(engine.generate([Request(i, text="twin", sampling=HOT, seed=9) for i in range(8)]), 8)
    assert [reply.index for reply in replies] == list(range(8))
    assert engine.sent_count == 1


def test_equal_requests_are_asked_once_of_an_engine_that_takes_all_before_it_answers(journal):
    class Batching(Fake):
        def generate(self, requests):
            yield from super().generate(list(requests))

    engine = Journaled(Batching(Spec("fake", "m")), journal)
    mixed = [Request(i, text=f"say {i % 3}", sampling=HOT, seed=i % 3) for i in range(9)]
    replies = in_order(engine.generate(mixed), 9)
    assert engine.sent_count == 3
    assert [reply.text for reply in replies] == [replies[i % 3].text for i in range(9)]
    assert len({reply.text for reply in replies}) == 3


def test_a_failure_is_asked_again_never_replayed(journal):
    broken = journaled(journal, faults=1.0)
    assert all(reply.error for reply in broken.generate(asks(4)))
    again = journaled(journal, faults=1.0)
    list(again.generate(asks(4)))
    assert again.sent_count == 4
    assert journal.size() == 0


def test_every_kind_of_reply_comes_back_as_it_was(journal):
    for verb, request in (
        ("weigh", Request(0, text="a", labels=("1", "2"))),
        ("embed", Request(0, text="a")),
        ("reward", Request(0, messages=({"role": "user", "content": "a"},))),
    ):
        first = list(getattr(journaled(journal), verb)([request]))
        assert list(getattr(journaled(journal), verb)([request])) == first


def test_a_nought_comes_back_as_a_nought(journal):
    class Nought(Fake):
        def reward(self, requests):
            return (Reply(request.index, reward=0.0, tokens_in=0) for request in requests)

        def weigh(self, requests):
            return (Reply(request.index, weights=(0.0, -1.0)) for request in requests)

    request = Request(0, messages=({"role": "user", "content": "a"},))
    for _ in range(2):
        engine = Journaled(Nought(Spec("fake", "m")), journal)
        assert next(engine.reward([request])).reward == 0.0
        assert next(engine.weigh([request])).weights == (0.0, -1.0)
    assert engine.sent_count == 0


def test_text_that_is_no_valid_unicode_is_kept_too(journal):
    engine = journaled(journal, replies=["half a pair \ud83d"])
    first = list(engine.generate([Request(0, text="\udcff")]))
    assert list(engine.generate([Request(0, text="\udcff")])) == first


def test_replies_survive_kill_9_but_for_the_last_second(tmp_path):
    code = f"""
import sys, time; from pathlib import Path
from pathlib import Path; from attar.engines.base import *
from attar.engines.fake import Fake
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled
engine = Journaled(Fake(Spec("fake", "m", {{"delay": 0.002}})), Journal(Path({str(tmp_path / "j.sqlite")!r})))
for reply in engine.generate(Request(i, text=str(i)) for i in range(100000)):
    print(reply.index, time.time(), flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    lines = [child.stdout.readline()]
    until = time.time() + 2.5
    while time.time() < until:
        lines.append(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    died = time.time()
    lines += child.stdout.read().splitlines()
    child.wait()
    old = [line for line in lines if line.strip() and float(line.split()[1]) < died - 1.0]
    journal = Journal(tmp_path / "j.sqlite")
    assert journal.size() >= len(old) > 100
    journal.close()


def test_two_processes_share_a_journal(tmp_path):
    code = f"""
from pathlib import Path; from attar.engines.base import *
from attar.engines.fake import Fake
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled
journal = Journal(Path({str(tmp_path / "j.sqlite")!r}))
engine = Journaled(Fake(Spec("fake", "m")), journal)
for _ in range(5):
    list(engine.generate(Request(i, text=str(i)) for i in range(2000)))
    journal.commit()
journal.close()
"""
    children = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for child in children:
        assert child.wait() == 0, child.stderr and child.stderr.read()
    journal = Journal(tmp_path / "j.sqlite")
    assert journal.size() == 2000
    journal.close()


def test_a_reply_out_of_place_is_a_fault_not_an_answer():
    replies = list(Fake(Spec("fake", "m")).generate(asks(2)))
    with pytest.raises(RuntimeError, match="twice"):
        in_order([replies[0], replies[0]], 2)
    with pytest.raises(RuntimeError, match="unanswered"):
        in_order(replies[:1], 2)


def test_a_journal_that_can_no_longer_be_written_stops_the_run_and_loses_no_reply(journal):
    """The replies under way are kept in memory, nothing more is asked for, and what waited is written once it can be."""
    engine = journaled(journal)
    list(engine.generate(asks(1)))
    journal.commit()
    journal._base.execute("CREATE TRIGGER full BEFORE INSERT ON replies BEGIN SELECT RAISE(ABORT, 'database is full'); END")
    assert len(list(engine.generate(asks(4)))) == 4
    assert soon(lambda: journal.trouble == "database is full")
    with pytest.raises(EngineError, match=r"cannot be written \(database is full\), so no more requests were sent"):
        list(engine.generate([Request(0, text="later")]))
    assert engine.sent_count == 4
    journal._base.execute("DROP TRIGGER full")  # there is room again
    journal._try_commit()
    assert (journal.size(), journal.trouble) == (4, "")


@pytest.fixture
def unhurried(tmp_path, monkeypatch):
    """A journal that commits only when it is told to."""
    monkeypatch.setattr(module, "GROUP_SECONDS", 60)
    opened = Journal(tmp_path / "unhurried.sqlite")
    yield opened
    opened.close()


def key(number):
    return number.to_bytes(16)


@pytest.mark.parametrize(("count", "statements"), [(1, 1), (500, 1), (501, 2), (1000, 2), (1733, 4)])
def test_however_many_replies_one_commit_brings_each_is_kept_under_its_own_key_in_the_order_it_came(
    unhurried, count, statements
):
    said = []
    for i in range(count):
        unhurried.keep(key(i), Reply(0, f"text {i}", "stop", tokens_out=i))
    unhurried._base.set_trace_callback(said.append)
    unhurried.commit()
    unhurried._base.set_trace_callback(None)
    assert [sum(line.startswith(word) for line in said) for word in ("BEGIN", "COMMIT")] == [1, 1]
    assert sum("INTO replies VALUES" in line for line in said) == statements
    with sqlite3.connect(unhurried.path) as other:
        kept = other.execute("SELECT key, reply FROM replies ORDER BY at, key").fetchall()
    assert [number for number, _ in kept] == [key(i) for i in range(count)]
    assert [load_reply(text, 0) for _, text in kept] == [Reply(0, f"text {i}", "stop", tokens_out=i) for i in range(count)]


def test_a_reply_can_be_found_before_while_and_after_it_is_written(unhurried):
    texts = [f"text {i}" for i in range(600)]

    def found():
        return [load_reply(unhurried.find([key(i)])[key(i)], 0).text for i in range(600)]

    for i, text in enumerate(texts):
        unhurried.keep(key(i), Reply(0, text))
    assert found() == texts
    with closing(sqlite3.connect(unhurried.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # another process is at it: ours has to wait
        writing = threading.Thread(target=unhurried.commit)
        writing.start()
        assert soon(lambda: not unhurried._waiting)
        unhurried.keep(key(600), Reply(0, "later"))
        assert found() == texts
        assert writing.is_alive()
        assert other.execute("SELECT count(*) FROM replies").fetchone() == (0,)
    writing.join(20)
    assert unhurried.size() == 600
    assert found() == texts
    assert load_reply(unhurried.find([key(600)])[key(600)], 0).text == "later"


def test_of_two_replies_to_the_same_the_first_to_be_committed_stays_and_costs_no_other(unhurried):
    rival = Journal(unhurried.path)
    rival.keep(key(7), Reply(0, "first"))
    rival.close()
    for i in range(600):
        unhurried.keep(key(i), Reply(0, "second"))
    unhurried.commit()
    assert unhurried.size() == 600
    assert [load_reply(unhurried.find([key(i)])[key(i)], 0).text for i in (6, 7, 8, 599)] == [
        "second",
        "first",
        "second",
        "second",
    ]


def test_what_cannot_be_written_is_kept_whole_for_the_next_commit(unhurried):
    for i in range(1200):
        unhurried.keep(key(i), Reply(0, f"text {i}"))
    when = "CREATE TRIGGER full BEFORE INSERT ON replies WHEN new.reply LIKE '%text 777%'"
    unhurried._base.execute(f"{when} BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(sqlite3.Error, match="disk full"):
        unhurried.commit()
    assert unhurried.size() == 0
    assert load_reply(unhurried.find([key(3)])[key(3)], 0).text == "text 3"
    unhurried._base.execute("DROP TRIGGER full")
    unhurried.commit()
    assert unhurried.size() == 1200

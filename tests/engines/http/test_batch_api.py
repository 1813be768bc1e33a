import threading
import time

import pytest
from servers.batches import BatchApi
from servers.threaded import serving

from attar.core.errors import EngineError
from attar.engines.base import Request, Sampling, Spec, in_order
from attar.engines.http.batch_api import BatchEngine
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled


@pytest.fixture
def api():
    return BatchApi()


@pytest.fixture
def ask(api, tmp_path):
    """Asks for rows through the journal, as a new process would."""
    with serving(api.app()) as url:

        def go(count, most=50_000, bad=()):
            journal = Journal(tmp_path / "journal.sqlite")
            engine = Journaled(BatchEngine(Spec("batch", "m", {"url": url, "poll": 0.05, "most": most})), journal)
            texts = [f"bad {i}" if i in bad else f"say {i}" for i in range(count)]
            try:
                asked = [
                    Request(i, messages=({"role": "user", "content": t},), sampling=Sampling()) for i, t in enumerate(texts)
                ]
                return in_order(engine.generate(asked), count), engine
            finally:
                journal.close()

        yield go


def test_each_row_of_a_batch_gets_its_own_answer_whatever_their_order(ask):
    replies, _ = ask(30)
    assert [reply.text for reply in replies] == [f"SAY {i}" for i in range(30)]
    assert all(reply.finish == "stop" and reply.tokens_in == 4 for reply in replies)


def test_a_row_that_fails_in_a_batch_fails_alone_with_its_reason(ask):
    replies, _ = ask(6, bad={2})
    assert replies[2].error == "400: no"
    assert [reply.text for i, reply in enumerate(replies) if i != 2] == ["SAY 0", "SAY 1", "SAY 3", "SAY 4", "SAY 5"]


def test_rows_go_in_several_batches_where_they_do_not_fit_one(ask, api):
    replies, _ = ask(10, most=4)
    assert sorted(len(batch["lines"]) for batch in api.batches.values()) == [2, 4, 4]
    assert [reply.text for reply in replies] == [f"SAY {i}" for i in range(10)]


def test_a_batch_that_expired_keeps_what_it_answered_and_only_the_rest_is_asked_again(ask, api):
    api.fate = "expired"
    replies, _ = ask(10)
    assert [reply.text for reply in replies[:5]] == [f"SAY {i}" for i in range(5)]
    assert {reply.error for reply in replies[5:]} == {"This request ran out of time. (gave up after 1 try)"}
    api.fate = "completed"
    replies, engine = ask(10)
    assert [reply.text for reply in replies] == [f"SAY {i}" for i in range(10)]
    assert (engine.recalled_count, engine.sent_count) == (5, 5)
    assert len(api.answered) == len(set(api.answered)) == 10


def test_a_run_that_waits_for_a_batch_can_be_ended_and_picked_up(ask, api, tmp_path):
    api.takes = 1.5
    with serving(api.app()) as url:
        journal = Journal(tmp_path / "journal.sqlite")
        engine = Journaled(BatchEngine(Spec("batch", "m", {"url": url, "poll": 0.05})), journal)
        asked = [Request(i, messages=({"role": "user", "content": f"say {i}"},), sampling=Sampling()) for i in range(5)]
        threading.Timer(0.5, engine.close).start()
        with pytest.raises(EngineError, match="batch-0 is not done yet; run the same command again to pick it up"):
            list(engine.generate(asked))
        journal.close()
    time.sleep(1.2)
    replies, _ = ask(5)
    assert [reply.text for reply in replies] == [f"SAY {i}" for i in range(5)]
    assert len(api.batches) == 1


def test_a_batch_whose_number_was_lost_is_found_again_not_paid_twice(ask, api, tmp_path, monkeypatch):
    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "set_batch", crash)
        with pytest.raises(KeyboardInterrupt):
            ask(3)
    replies, _ = ask(3)
    assert [reply.text for reply in replies] == ["SAY 0", "SAY 1", "SAY 2"]
    assert len(api.batches) == 1


def test_a_batch_that_the_api_refuses_stops_the_run_with_its_reason(ask, api):
    api.fate = "failed"
    with pytest.raises(EngineError, match="batch-0 was refused: line 1 is no request"):
        ask(2)
    api.fate = "completed"
    replies, _ = ask(2)
    assert [reply.text for reply in replies] == ["SAY 0", "SAY 1"]


def test_a_cancelled_batch_gives_what_it_has_and_the_rest_fails(ask, api, tmp_path):
    api.takes = 1.0

    def cancel():
        with serving(api.app()) as url:
            engine = BatchEngine(Spec("batch", "m", {"url": url}))
            assert engine.list_batches()[0]["status"] == "in_progress"
            assert engine.cancel("batch-0") == "cancelling"

    threading.Timer(0.3, cancel).start()
    replies, _ = ask(4)
    assert [reply.text for reply in replies[:2]] == ["SAY 0", "SAY 1"]
    assert all(reply.error for reply in replies[2:])


def test_what_a_batch_cannot_do_is_refused_with_what_to_use(api):
    engine = BatchEngine(Spec("batch", "m", {"url": "http://127.0.0.1:1/v1"}))
    with pytest.raises(EngineError, match="no label probabilities; use an engine of kind http"):
        engine.weigh([])

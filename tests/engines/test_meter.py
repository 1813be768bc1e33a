from functools import partial

import pytest

from attar.core.errors import LimitError
from attar.engines.base import Reply, Request, Sampling, Spec
from attar.engines.fake import Fake
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled
from attar.engines.meter import Limits, Meter, Usage

PRICED = Spec("http", "m", {"url": "http://h/v1", "price": {"input": 1000.0, "output": 2000.0}})
EACH = Reply(0, "two words", tokens_in=8, tokens_out=2)
"""Every reply of the engines here: ten tokens, 0.012 dollars."""


class Taking(Fake):
    """Answers only once it has taken so many, as a server with so many places does."""

    def __init__(self, places=1):
        super().__init__(Spec("fake", "m", {"replies": ["two words"]}))
        self.places = places

    def generate(self, requests):
        waiting = []
        for request in requests:
            waiting.append(request)
            if len(waiting) == self.places:
                yield from super().generate([waiting.pop(0)])
        yield from super().generate(waiting)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "journal.sqlite")
    yield opened
    opened.close()


def asks(count):
    return [Request(i, text=f"say {i}", sampling=Sampling(temperature=1.0), seed=i) for i in range(count)]


def until_stopped(engine, requests):
    got = []
    with pytest.raises(LimitError) as told:
        got.extend(engine.generate(requests))
    return got, str(told.value)


def metered(limits, **given):
    meter = Meter(limits, **given)
    meter.open("step", PRICED)
    return meter


def journal_size(journal):
    journal.commit()
    return journal.size()


@pytest.mark.parametrize("limits", [Limits(tokens=100), Limits(cost=0.1199)])
def test_a_limit_is_kept_to_the_reply_where_one_is_asked_at_a_time(journal, limits):
    engine = Journaled(Taking(), journal, metered(limits))
    got, why = until_stopped(engine, asks(50))
    assert len(got) == engine.sent_count == journal_size(journal) == 10
    assert "all replies so far are kept" in why


@pytest.mark.parametrize(("limits", "limit"), [(Limits(tokens=2000), "2,000 tokens"), (Limits(cost=0.012), "0.012 in cost")])
def test_the_reason_says_which_limit(journal, limits, limit):
    why = until_stopped(Journaled(Taking(), journal, metered(limits)), asks(300))[1]
    assert why.startswith(f"the run's limit of {limit} is reached")
    assert "\n" not in why


def test_all_that_was_under_way_is_answered_and_kept_before_it_is_said(journal):
    engine = Journaled(Taking(places=8), journal, metered(Limits(tokens=300)))
    got, _ = until_stopped(engine, asks(500))
    assert engine.meter.now.asked == len(got) == journal_size(journal) == engine.engine.asked
    assert len({reply.index for reply in got}) == len(got)


@pytest.mark.parametrize("places", [2, 8, 20])
@pytest.mark.parametrize("limits", [Limits(tokens=300), Limits(cost=0.3599)])
def test_what_is_under_way_is_counted_in_so_that_a_limit_is_not_overrun(journal, limits, places):
    engine = Journaled(Taking(places), journal, metered(limits))
    until_stopped(engine, asks(500))
    assert 300 <= engine.meter.total.tokens <= 310


def test_a_rerun_goes_on_where_the_limit_stopped_it(journal):
    until_stopped(Journaled(Taking(), journal, metered(Limits(tokens=100))), asks(30))
    again = Journaled(Taking(), journal, metered(Limits(tokens=1000), before=Usage(asked=10, tokens_in=80, tokens_out=20)))
    assert len(list(again.generate(asks(30)))) == 30
    assert (again.sent_count, again.recalled_count, again.meter.total.tokens) == (20, 10, 300)


def test_what_earlier_tries_spent_counts(journal):
    engine = Journaled(Taking(), journal, metered(Limits(tokens=100), before=Usage(tokens_in=90)))
    got, _ = until_stopped(engine, asks(30))
    assert len(got) == 1


def test_what_the_journal_knows_is_had_even_over_the_limit(journal):
    list(Journaled(Taking(), journal).generate(asks(5)))
    engine = Journaled(Taking(), journal, metered(Limits(tokens=1), before=Usage(tokens_in=5)))
    assert len(list(engine.generate(asks(5)))) == 5
    assert (engine.sent_count, engine.recalled_count) == (0, 5)


def test_hours_count_from_when_the_meter_was_last_told_something():
    clock = Clock()
    meter = Meter(Limits(hours=2), before=Usage(seconds=3600), clock=clock)
    meter.open("step", None)
    clock.now += 3599
    assert meter.stop_reason() == ""
    clock.now += 1
    assert meter.stop_reason() == "the run's limit of 2 hours is reached"


def test_no_limit_is_never_reached():
    meter = metered(Limits(), before=Usage(10**9, 0, 0, 10**12, 10**12, 1e9, 1e9))
    assert meter.stop_reason() == ""


def test_once_stopped_it_stays_so_for_the_first_reason():
    meter = metered(Limits(tokens=1))
    meter.stop("the key was pressed")
    meter.stop("another")
    meter.count_reply(EACH)
    assert meter.stop_reason() == "the key was pressed"


def test_a_server_by_the_hour_costs_while_it_is_asked_and_not_between():
    clock = Clock()
    meter = Meter(clock=clock)
    meter.open("step", Spec("http", "m", {"url": "http://h/v1", "price": {"hour": 36.0}}))
    clock.now += 1000
    meter.count_recalled()
    assert meter.now.cost == 0
    meter.count_sent()
    clock.now += 10
    meter.count_reply(EACH)
    assert meter.now.cost == pytest.approx(0.1)


def test_each_step_s_counts_begin_anew_and_the_run_s_go_on():
    meter = metered(Limits())
    meter.count_reply(EACH)
    meter.count_reply(Reply(1, error="no", tokens_in=3))
    assert (meter.now.asked, meter.now.failed, meter.now.tokens) == (2, 1, 13)
    assert meter.now.cost == pytest.approx((11 * 1000 + 2 * 2000) / 1e6)
    meter.open("next", None)
    meter.count_reply(EACH)
    assert (meter.now.asked, meter.now.cost, meter.total.asked) == (1, 0, 3)
    assert meter.total.cost == pytest.approx(0.015)


def test_counts_survive_in_the_journal_and_add_up_over_tries(tmp_path):
    for attempt in (1, 2):
        journal = Journal(tmp_path / "journal.sqlite")
        meter = metered(Limits(), note=partial(journal.add_usage, "run"))
        list(Journaled(Taking(), journal, meter).generate(asks(3 * attempt)))
        journal.close()
    journal = Journal(tmp_path / "journal.sqlite")
    spent = journal.spent("run")[("step", "m")]
    assert (spent.asked, spent.recalled, spent.failed, spent.tokens_in, spent.tokens_out) == (6, 3, 0, 48, 12)
    assert spent.cost == pytest.approx(6 * 0.012)
    assert journal.spent("another run") == {}
    assert (journal.stats()["asked"], journal.stats()["recalled"]) == (6, 3)
    journal.close()

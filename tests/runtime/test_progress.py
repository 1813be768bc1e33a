from collections import Counter
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from attar.engines.meter import Usage
from attar.runtime import progress
from attar.runtime.progress import Live, engine_status

STEP = SimpleNamespace(name="numbers")


def engine(now, price=None, cost=0.0, in_flight=0, errors=()):
    meter = SimpleNamespace(now=now, price=price, total=Usage(cost=cost))
    return SimpleNamespace(meter=meter, in_flight=in_flight, errors=Counter(dict(errors)))


@pytest.fixture
def live(monkeypatch):
    """A Live that prints to memory, and whose clock stands still unless it is set."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    shown = Live()
    shown.console = Console(file=StringIO(), width=200, highlight=False)

    def lines():
        return [" ".join(line.split()) for line in shown.console.file.getvalue().splitlines()]

    return SimpleNamespace(shown=shown, clock=clock, lines=lines)


def test_an_engine_s_status_has_requests_speed_flight_failures_and_cost():
    busy = engine(
        Usage(asked=1200, tokens_in=10, tokens_out=500), object(), 1.5, in_flight=7, errors={"timeout": 1, "overloaded": 3}
    )
    assert engine_status(busy, seconds=2.0) == "1,200 asked, 250 tok/s, 7 in flight, 3 overloaded, 1 timeout, $1.50"


def test_an_engine_that_has_done_nothing_has_no_status():
    assert engine_status(engine(Usage()), seconds=0.0) == ""


def test_without_a_terminal_there_is_a_line_at_most_every_thirty_seconds(live):
    live.shown.begin(STEP, 100, 0, None)
    for now, rows in ((20, 10), (40, 15), (60, 25), (71, 5)):
        live.clock.now = now
        live.shown.advance(rows)
    assert live.lines() == [
        "numbers 25 of 100 rows, 2.0 min left",  # 75 rows at 25 in 40 s
        "numbers 55 of 100 rows, 58.1 s left",  # 45 rows at 55 in 71 s
    ]


def test_a_completed_step_leaves_a_line_with_what_it_took(live):
    card = {"rows": 1234, "seconds": 12.34, "asked": 1000, "recalled": 234, "failed": 5, "cost": 0.0123}
    live.shown.end(STEP, card, fresh=True)
    live.shown.end(STEP, card, fresh=False)
    assert live.lines() == [
        "✓ numbers 1,234 rows 12.3 s 1,000 asked 234 from the journal $0.0123 5 failed",
        "· numbers 1,234 rows kept from before",
    ]
    assert (live.shown.steps, live.shown.recalled_steps) == (1, 1)

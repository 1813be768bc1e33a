"""Run a traced recipe step by step; each step resumes where it stopped, and nothing is done twice."""

import logging
import time
from functools import partial
from pathlib import Path

from attar.core.errors import AttarError, LimitError
from attar.engines.base import Spec
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled
from attar.engines.meter import NO_LIMITS, Limits, Meter, Usage
from attar.engines.registry import open_engine
from attar.runtime import retry
from attar.runtime.flow import Step, Trace
from attar.runtime.home import Home, lock_step, read_card, write_card
from attar.runtime.reporter import Reporter
from attar.runtime.settings import USUAL, Settings
from attar.runtime.stage_calls import run_rowwise, run_whole
from attar.runtime.tally import make_card

_log = logging.getLogger(__name__)


def run(
    trace: Trace, home: Home, watch: Reporter, settings: Settings = USUAL, limits: Limits = NO_LIMITS, name: str = ""
) -> dict[str, Path]:
    """Run the steps that are not complete; returns the folders of the results by name."""
    home.stamp()
    journal = Journal(home.journal)
    before = Usage()
    for spent in journal.spent(name).values():
        before.add(spent)
    engines = _Engines(journal, Meter(limits, before, partial(journal.add_usage, name)), name)
    try:
        for step in trace.steps:
            where = f"step {step.name!r} ({step.title})"
            try:
                _retry_failed(step, trace, home, engines, watch, settings)
                _run_step(step, home, engines, watch, settings)
            except AttarError as error:
                error.place(where, f" (spent: {engines.meter.summary()})" if isinstance(error, LimitError) else "")
                raise
            except Exception as error:
                error.add_note(where)
                raise
    finally:
        engines.close()
        engines.meter.open("", None)
        journal.close()
    return {name: home.folder(step) for name, step in trace.results.items()}


class _Engines:
    """The engine in use; the previous one is closed first, so that two models never share a GPU by accident."""

    def __init__(self, journal: Journal, meter: Meter, run: str) -> None:
        self.journal = journal
        self.meter = meter
        self.run = run
        self.spec: Spec | None = None
        self.engine: Journaled | None = None

    def get(self, spec: Spec) -> Journaled:
        if self.engine is None or spec != self.spec:
            self.close()
            self.spec, self.engine = spec, Journaled(open_engine(spec), self.journal, self.meter)
        return self.engine

    def spent(self, step: Step, spec: Spec | None) -> Usage:
        """The usage of a step so far, in all tries of the run."""
        self.journal.commit()
        return self.journal.spent(self.run).get((step.folder, spec.model if spec else ""), Usage())

    def close(self) -> None:
        if self.engine is not None:
            self.engine.close()
        self.spec = self.engine = None


def _retry_failed(step: Step, trace: Trace, home: Home, engines: _Engines, watch: Reporter, settings: Settings) -> None:
    """Ask a complete step's rows again that failed for reasons that pass; if some succeed now, the step is incomplete."""
    card = read_card(home.folder(step))
    if card is None or not retry.is_retried(step, card, trace, home, watch, settings):
        return
    spec = step.spec(home.steps)
    if spec is None or step.marks.trains:
        return
    engine = engines.get(spec)
    engines.meter.open(step.folder, spec)
    if succeeded := retry.ask_again(step, home, engine, spec):
        watch.say(f"step {step.name}: {succeeded:,} rows succeeded; what was made without them is made again")
        retry.reopen(step, trace, home, watch)


def _run_step(step: Step, home: Home, engines: _Engines, watch: Reporter, settings: Settings) -> None:
    folder = home.folder(step)
    if card := read_card(folder):
        _log.debug("step %s is complete: %s", step.name, folder)
        watch.end(step, card, fresh=False)
        return
    _log.debug("step %s begins: %s in %s", step.name, step.title, folder)
    with lock_step(folder, watch.say):
        if card := read_card(folder):  # another process has completed it in the meantime
            watch.end(step, card, fresh=False)
            return
        started = time.time()
        spec = step.spec(home.steps)
        if step.marks.trains:
            engines.close()  # frees the memory of a loaded or served model for the training
        engine = engines.get(spec) if spec and not step.marks.trains else None
        engines.meter.open(step.folder, spec if engine else None)
        if reason := engines.meter.stop_reason():
            raise LimitError(f"{reason}; all replies so far are kept, and the same command continues from here")
        tally = (
            run_rowwise(step, home, engine, watch, settings)
            if step.marks.rowwise
            else run_whole(step, home, engine, spec, watch)
        )
        spent = engines.spent(step, spec if engine else None)
        seconds = time.time() - started
        card = write_card(folder, make_card(step, tally, seconds, spec=spec, now=engines.meter.now, spent=spent))
        _log.debug("step %s ends: %d rows, %d failed, %.1f s", step.name, tally.rows, tally.failed, seconds)
        watch.end(step, card, fresh=True)

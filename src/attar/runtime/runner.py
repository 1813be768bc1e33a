"""Run a traced recipe step by step; each step resumes where it stopped, and nothing is done twice."""

import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from attar.core.errors import AttarError, DataError, LimitError, RecipeError, ReplyError
from attar.core.stage import columns_read
from attar.core.table import (
    Table,
    index_parts,
    part_schema,
    part_span,
    parts,
    read,
    read_part,
    read_rows,
    table_schema,
    write_part,
)
from attar.engines.base import Spec
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled
from attar.engines.meter import NO_LIMITS, Limits, Meter, Usage
from attar.engines.prices import price_of
from attar.engines.registry import open_engine
from attar.runtime.executor import SpanResult, StageJob, check_output, count_failures, run_in_process
from attar.runtime.flow import Step, Trace
from attar.runtime.home import Home, lock_step, read_card, write_card
from attar.runtime.trained_models import train_or_reuse

_log = logging.getLogger(__name__)

_PART_ROWS = 100_000


class Reporter(Protocol):
    """Receives the events of a run."""

    def begin(self, step: Step, total: int | None, already: int, engine: Journaled | None) -> None:
        """A step starts: its number of input rows, how many of them are already done, and its engine (for its status)."""
        ...

    def advance(self, done: int) -> None:
        """`done` more rows of the step are complete."""
        ...

    def end(self, step: Step, card: dict[str, Any], fresh: bool) -> None:
        """A step is complete; `fresh` if this run completed it."""
        ...

    def say(self, text: str) -> None:
        """A message for the user."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run; no setting changes the results."""

    shard: int | None = None
    """Rows of a part, in steps with an engine; the default depends on the engine's kind (usually 1,000)."""
    bulk: int = 20_000
    """Rows of a part, in steps without an engine."""
    max_failures: float = 0.2
    """A step stops when more than this share of its rows has failed (checked from 20 rows on)."""

    def __post_init__(self) -> None:
        if (self.shard is not None and self.shard < 1) or self.bulk < 1 or not 0 <= self.max_failures <= 1:
            raise RecipeError(f"{self}: shard and bulk must be >= 1, max_failures must be from 0 to 1")


def run(
    trace: Trace, home: Home, watch: Reporter, settings: Settings = Settings(), limits: Limits = NO_LIMITS, name: str = ""
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
            _run_rowwise(step, home, engine, watch, settings)
            if step.marks.rowwise
            else _run_whole(step, home, engine, spec, watch)
        )
        spent = engines.spent(step, spec if engine else None)
        seconds = time.time() - started
        card = write_card(folder, make_card(step, tally, seconds, spec=spec, now=engines.meter.now, spent=spent))
        _log.debug("step %s ends: %d rows, %d failed, %.1f s", step.name, tally.rows, tally.failed, seconds)
        watch.end(step, card, fresh=True)


class Tally:
    """Rows and failures of a step so far; raises when the share of failures exceeds `most`."""

    def __init__(self, most: float = 1.0, rows: int = 0) -> None:
        self.most = most
        self.rows = rows
        self.failed = 0
        self.errors: Counter[str] = Counter()

    def accept(self, done: SpanResult) -> None:
        """Add the counts of one span of rows."""
        rows, failed = self.rows + done.rows, self.failed + done.failed
        errors = self.errors + done.errors
        if rows >= 20 and failed > self.most * rows:
            worst = "; ".join(f"{reason} ({count})" for reason, count in errors.most_common(3))
            raise ReplyError(
                f"{failed} of {rows} rows failed, more than the {self.most:.0%} allowed: {worst}. "
                "Replies so far are kept: fix the cause, or raise max_failures, and run again"
            )
        self.rows = rows
        self.failed = failed
        self.errors = errors


def make_card(
    step: Step, tally: Tally, seconds: float, *, spec: Spec | None = None, now: Usage | None = None, spent: Usage | None = None
) -> dict[str, Any]:
    """A step's card: `asked`, `recalled` and the tokens are of its last try (`now`); `spent` and `cost` of all tries."""
    now = now or Usage()
    return {
        "stage": step.title,
        "fingerprint": step.fingerprint,
        "inputs": [before.folder for before in step.inputs],
        "engine": {"kind": spec.kind, "model": spec.model, "options": dict(spec.options)} if spec else None,
        "knobs": dict(step.knobs),
        "rows": tally.rows,
        "failed": tally.failed,
        "errors": dict(tally.errors.most_common(20)),
        **{name: getattr(now, name) for name in ("asked", "recalled", "tokens_in", "tokens_out")},
        "cost": round(spent.cost, 6) if spent and spec and price_of(spec) else None,
        "spent": asdict(spent) if spent else {},
        "seconds": round(seconds, 2),
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _run_rowwise(step: Step, home: Home, engine: Journaled | None, watch: Reporter, settings: Settings) -> Tally:
    folder = home.folder(step)
    inputs = tuple(index_parts(home.folder(before)) for before in step.inputs)
    total, tally = inputs[0].count, Tally(settings.max_failures)
    made = parts(folder)
    ready = [part_span(path) for path in made]
    for path, (start, stop) in zip(made, ready, strict=True):
        tally.accept(count_failures(read_part(path), part_schema(inputs[0].paths[0]), start, stop))
    watch.begin(step, total, sum(stop - start for start, stop in ready), engine)
    job = StageJob(step.stage, inputs, step.knobs, folder)
    size = max(1, (settings.shard or engine.kind.shard) // step.knobs.get("n", 1)) if engine else settings.bulk
    for done in run_in_process(job, engine, _missing_spans(ready, total, size), tally.accept):
        watch.advance(done.stop - done.start)
    return tally


def _missing_spans(ready: list[tuple[int, int]], total: int, size: int) -> Iterator[tuple[int, int]]:
    """The spans of rows still to do, at most `size` rows each, whatever the earlier size. No rows give one empty span."""
    if total == 0 and not ready:
        yield 0, 0
    at = 0
    for start, stop in [*sorted(ready), (total, total)]:
        for first in range(at, start, size):
            yield first, min(first + size, start)
        at = stop


def _run_whole(step: Step, home: Home, engine: Journaled | None, spec: Spec | None, watch: Reporter) -> Tally:
    folder = home.folder(step)
    for stale in folder.iterdir():  # of an interrupted run: a whole-table stage starts from scratch
        if step.marks.trains and stale.name == "trainer":  # a training resumes from its checkpoints
            continue
        if stale.is_dir():
            shutil.rmtree(stale)
        elif stale.name != ".lock":
            stale.unlink()
    watch.begin(step, None, 0, engine)
    folders = [home.folder(before) for before in step.inputs]
    tables: list[Any] = [_iter_parts(before, step) if step.marks.folds else _read_needed(before, step) for before in folders]
    out = (
        _train(step, home, spec, tables) if step.marks.trains else step.stage(*tables, **_engine_argument(engine), **step.knobs)
    )
    out = check_output(out, step.stage)
    tally = Tally()
    tally.accept(count_failures(out, (), 0, len(out)))
    for start in range(0, max(1, len(out)), _PART_ROWS):
        stop = min(start + _PART_ROWS, len(out))
        write_part(out[start:stop], folder, start, stop)
    watch.advance(len(out))
    return tally


def _engine_argument(engine: Journaled | None) -> dict[str, Any]:
    return {"engine": engine} if engine else {}


def _train(step: Step, home: Home, spec: Spec | None, tables: list[Table]) -> Table:
    def train(into: Path) -> Table:
        return step.stage(*tables, engine=spec, into=into, **step.knobs)

    return train_or_reuse(step, home, tables, train)


def _needed_columns(folder: Path, step: Step) -> list[str] | None:
    """The columns of an input that the stage declares to read; None for all."""
    wanted = columns_read(step.stage, step.knobs)
    if wanted is None:
        return None
    there = list(table_schema(folder))
    if missing := [name for name in wanted if name not in there]:
        raise DataError(f"column {missing[0]!r} is missing; the table has: {', '.join(there)}")
    return [name for name in there if name == "id" or name in wanted]


def _read_needed(folder: Path, step: Step) -> Table:
    """An input with only the columns that the stage declares to read."""
    return read(folder, _needed_columns(folder, step))


def _iter_parts(folder: Path, step: Step) -> Iterator[Table]:
    """An input part by part, with only the columns that the stage declares to read."""
    wanted, rows = _needed_columns(folder, step), index_parts(folder)
    for start, stop in pairwise(rows.starts):
        yield read_rows(rows, start, stop, wanted)

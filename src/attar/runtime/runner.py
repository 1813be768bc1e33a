"""Running a traced recipe: step by step, each resumed where it stopped, nothing done twice."""

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
    """Who is told how a run goes."""

    def begin(self, step: Step, total: int | None, already: int, engine: Journaled | None) -> None:
        """A step starts, with so many input rows, some of them done before; its engine can be looked at while it works."""
        ...

    def advance(self, done: int) -> None:
        """More rows of the step are done."""
        ...

    def end(self, step: Step, card: dict[str, Any], fresh: bool) -> None:
        """A step is complete, by now or since before."""
        ...

    def say(self, text: str) -> None:
        """Something a person should know."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run; none of it changes what comes out."""

    shard: int | None = None
    """Rows of a part, where an engine is asked; 1,000 unless the engine knows better."""
    bulk: int = 20_000
    """Rows of a part, where none is."""
    max_failures: float = 0.2
    """The share of failed rows at which a step stops (from twenty rows on)."""

    def __post_init__(self) -> None:
        if (self.shard is not None and self.shard < 1) or self.bulk < 1 or not 0 <= self.max_failures <= 1:
            raise RecipeError(f"{self}: shard and bulk are 1 or more, max_failures is from 0 to 1")


def run(
    trace: Trace, home: Home, watch: Reporter, settings: Settings = Settings(), limits: Limits = NO_LIMITS, name: str = ""
) -> dict[str, Path]:
    """Run what is not done yet; the folders of the results."""
    home.stamp()
    journal = Journal(home.journal)
    before = Usage()
    for spent in journal.spent(name).values():
        before.add(spent)
    engines = _Engines(journal, Meter(limits, before, partial(journal.note, name)), name)
    try:
        for step in trace.steps:
            where = f"step {step.name!r} ({step.title})"
            try:
                _run_step(step, home, engines, watch, settings)
            except AttarError as error:
                error.place(where, f" (spent: {engines.meter.told()})" if isinstance(error, LimitError) else "")
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
    """The engine in use; the one before is closed, so that two models never share a GPU unasked."""

    def __init__(self, journal: Journal, meter: Meter, run: str) -> None:
        self.journal, self.meter, self.run, self.spec, self.engine = journal, meter, run, None, None

    def get(self, spec: Spec) -> Journaled:
        if self.engine is None or spec != self.spec:
            self.close()
            self.spec, self.engine = spec, Journaled(open_engine(spec), self.journal, self.meter)
        return self.engine

    def spent(self, step: Step, spec: Spec | None) -> Usage:
        """What a step has taken so far, in all tries of the run."""
        self.journal.commit()
        return self.journal.spent(self.run).get((step.folder, spec.model if spec else ""), Usage())

    def close(self) -> None:
        if self.engine is not None:
            self.engine.close()
        self.spec = self.engine = None


def _run_step(step: Step, home: Home, engines: _Engines, watch: Reporter, settings: Settings) -> None:
    folder = home.folder(step)
    if found := read_card(folder):
        _log.debug("step %s is complete: %s", step.name, folder)
        watch.end(step, found, fresh=False)
        return
    _log.debug("step %s begins: %s in %s", step.name, step.title, folder)
    with lock_step(folder, watch.say):
        if found := read_card(folder):  # the other process has done it meanwhile
            watch.end(step, found, fresh=False)
            return
        started = time.time()
        spec = step.spec(home.steps)
        if step.marks.trains:
            engines.close()  # what it has loaded or serves holds memory that the training wants
        engine = engines.get(spec) if spec and not step.marks.trains else None
        engines.meter.open(step.folder, spec if engine else None)
        if reason := engines.meter.full():
            raise LimitError(f"{reason}; what was answered is kept, and the same command goes on from here")
        tally = (
            _run_rowwise(step, home, engine, watch, settings)
            if step.marks.rowwise
            else _run_whole(step, home, engine, spec, watch)
        )
        spent = engines.spent(step, spec if engine else None)
        found = write_card(folder, _card(step, spec, tally, engines.meter.now, spent, time.time() - started))
        _log.debug("step %s ends: %d rows, %d failed, %.1f s", step.name, tally.rows, tally.failed, found["seconds"])
        watch.end(step, found, fresh=True)


def _card(step: Step, spec: Spec | None, tally: "_Tally", now: Usage, spent: Usage, seconds: float) -> dict[str, Any]:
    """A step's card: `asked` and the like are of its last try, `spent` and `cost` of all tries of this run."""
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
        "cost": round(spent.cost, 6) if spec and price_of(spec) else None,
        "spent": asdict(spent),
        "seconds": round(seconds, 2),
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


class _Tally:
    """Rows and failures of a step so far; refuses to go on past the failure share."""

    def __init__(self, most: float) -> None:
        self.rows = self.failed = 0
        self.errors: Counter[str] = Counter()
        self.most = most

    def accept(self, done: SpanResult) -> None:
        rows, failed = self.rows + done.rows, self.failed + done.failed
        errors = self.errors + done.errors
        if rows >= 20 and failed > self.most * rows:
            worst = "; ".join(f"{reason} ({count})" for reason, count in errors.most_common(3))
            raise ReplyError(
                f"{failed} of {rows} rows failed, more than the {self.most:.0%} allowed: {worst}. "
                "What was answered is kept; mend the cause, or raise max_failures, and run again"
            )
        self.rows, self.failed, self.errors = rows, failed, errors


def _run_rowwise(step: Step, home: Home, engine: Journaled | None, watch: Reporter, settings: Settings) -> _Tally:
    folder = home.folder(step)
    inputs = tuple(index_parts(home.folder(before)) for before in step.inputs)
    total, tally = inputs[0].count, _Tally(settings.max_failures)
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
    """The spans of rows still to do, at most `size` long, whatever the size was before. No rows at all are one empty span."""
    if total == 0 and not ready:
        yield 0, 0
    at = 0
    for start, stop in [*sorted(ready), (total, total)]:
        for first in range(at, start, size):
            yield first, min(first + size, start)
        at = stop


def _run_whole(step: Step, home: Home, engine: Journaled | None, spec: Spec | None, watch: Reporter) -> _Tally:
    folder = home.folder(step)
    for stale in folder.iterdir():  # of a run that stopped midway: a whole-table stage starts afresh
        if step.marks.trains and stale.name == "trainer":  # a training goes on from its checkpoints
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
    tally = _Tally(most=1.0)
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
    """The columns of an input that the stage says it reads; None for all."""
    wanted = columns_read(step.stage, step.knobs)
    if wanted is None:
        return None
    there = list(table_schema(folder))
    if missing := [name for name in wanted if name not in there]:
        raise DataError(f"column {missing[0]!r} is missing; the table has: {', '.join(there)}")
    return [name for name in there if name == "id" or name in wanted]


def _read_needed(folder: Path, step: Step) -> Table:
    """An input with only the columns that the stage says it reads."""
    return read(folder, _needed_columns(folder, step))


def _iter_parts(folder: Path, step: Step) -> Iterator[Table]:
    """An input part by part, with only the columns that the stage says it reads."""
    wanted, rows = _needed_columns(folder, step), index_parts(folder)
    for start, stop in pairwise(rows.starts):
        yield read_rows(rows, start, stop, wanted)

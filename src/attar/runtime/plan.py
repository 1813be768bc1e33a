"""Estimate a run before it starts: rows, calls, tokens and time of each step, from a few rows sent through all steps.

The probe's rows are rows of the run and go through the journal, so the run does not pay for them again.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from attar.core.table import Table, index_parts, read_rows
from attar.engines.base import Request, Spec
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled
from attar.engines.prices import price_of
from attar.engines.registry import kind_of, open_engine
from attar.runtime.flow import Step, Trace
from attar.runtime.home import Home, read_card
from attar.runtime.plan_stand_in import StandInEngine

_LENGTH_SAMPLE = 64
"""How many answers of the training rows are measured, to estimate the length of a student's replies."""
_MAX_GROWTH = 5
"""A step's sample is truncated to this many times the probe's rows (a step may sample several answers per row)."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One step of a plan; a value is None if it cannot be estimated yet."""

    step: Step
    done: bool
    rows: int | None
    calls: int | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    seconds: float | None = None
    cost: float | None = None


def plan(trace: Trace, home: Home, probe: int = 256) -> list[Estimate]:
    """An estimate for every step."""
    journal = Journal(home.journal)
    samples: dict[str, Table] = {}
    rows: dict[str, int | None] = {}
    asked: set[bytes] = set()
    out = []
    try:
        for step in trace.steps:
            card = read_card(home.folder(step))
            if card and not step.marks.trains:
                samples[step.name] = read_rows(index_parts(home.folder(step)), 0, probe)
            estimate = _from_card(step, card) if card else _estimate(step, samples, rows, (journal, asked), probe)
            rows[step.name] = estimate.rows
            out.append(estimate)
    finally:
        journal.close()
    return out


def _from_card(step: Step, card: dict[str, Any]) -> Estimate:
    calls = card["asked"] + card["recalled"]
    return Estimate(step, True, card["rows"], calls, card["tokens_in"], card["tokens_out"], card["seconds"], card.get("cost"))


def _estimate(
    step: Step, samples: dict[str, Table], rows: dict[str, int | None], asking: tuple[Journal, set[bytes]], probe: int
) -> Estimate:
    """Run the step on the sample of its inputs, and scale its counts and its time to all rows."""
    ins = [rows[before.name] for before in step.inputs]
    known = all(before.name in samples for before in step.inputs)
    if step.marks.trains or not known or (probe == 0 and step.inputs):
        return _estimate_without_sample(step, rows)
    if isinstance(step.engine, Step):
        return _estimate_untrained(step, step.engine, samples, rows, asking[0])
    engine = _CountingEngine(Journaled(open_engine(step.engine), asking[0]), asking[1]) if step.engine else None
    tables: list[Any] = [samples[before.name] for before in step.inputs]
    if step.marks.folds:
        tables = [[table] for table in tables]
    given = {"engine": engine} if engine else {}
    if engine:  # loads the model before the clock starts; its one reply is in the journal by then
        step.stage(tables[0].head(1), *tables[1:], **given, **step.knobs)
    started = time.perf_counter()
    made: Table = step.stage(*tables, **given, **step.knobs)
    seconds = time.perf_counter() - started
    if not step.inputs:
        samples[step.name] = _evenly_spaced(made, probe)
        return Estimate(step, False, len(made), seconds=seconds)
    if engine:
        engine.close()
    sent = max(1, len(samples[step.inputs[0].name]))
    scale = (ins[0] or 0) / sent
    total = _estimate_rows(step, len(made) / sent, rows)
    if len(made) or not total:  # a sample without rows gives no estimate for later steps
        samples[step.name] = made.head(_MAX_GROWTH * probe)
    if engine is None:
        return Estimate(step, False, total, seconds=seconds * scale)
    counts = engine.requests * scale * sent / (sent + 1)
    spent = engine.meter.now
    if not engine.sent_count:
        return Estimate(step, False, total, round(counts))
    each = engine.fresh * scale / engine.sent_count  # a repeated request is answered from the journal
    tokens_in, tokens_out = round(spent.tokens_in * each), round(spent.tokens_out * each)
    price = price_of(engine.spec)
    cost = price.of(tokens_in, tokens_out) + price.hour * seconds * scale / 3600 if price else None
    return Estimate(step, False, total, round(counts), tokens_in, tokens_out, seconds * scale, cost)


def _evenly_spaced(table: Table, count: int) -> Table:
    """Up to `count` rows, evenly spaced over a table; the first rows of a table are often similar."""
    return table[[i * len(table) // count for i in range(count)]] if len(table) > count else table


class _CountingEngine:
    """A journaled engine that counts its requests (`requests`), and those that no step before has made (`fresh`)."""

    def __init__(self, engine: Journaled, asked: set[bytes]) -> None:
        self._engine = engine
        self._asked = asked
        self.fresh = 0
        self.requests = 0

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._engine, name)
        if name not in ("generate", "weigh", "embed", "reward"):
            return value
        return lambda requests: value(self._count(name, requests))

    def _count(self, verb: str, requests: Iterable[Request]) -> Iterator[Request]:
        for request in requests:
            key = self._engine.key(verb, request)
            self.fresh += key not in self._asked
            self._asked.add(key)
            self.requests += 1
            yield request


def _estimate_without_sample(step: Step, rows: dict[str, int | None]) -> Estimate:
    """The estimate of a step whose input has no sample: as many rows and calls as it has requests."""
    start = rows[step.inputs[0].name] if step.inputs else None
    each = step.knobs.get("n", 1)
    if start is None or step.marks.trains or step.engine is None:
        return Estimate(step, False, start if start is None or step.marks.trains else _estimate_rows(step, 1.0, rows))
    return Estimate(step, False, start * each, start * each)


def _estimate_untrained(
    step: Step, model: Step, samples: dict[str, Table], rows: dict[str, int | None], journal: Journal
) -> Estimate:
    """The estimate of a step whose model is not trained yet: as if the writer of the model's training rows answered."""
    first = model
    while isinstance(first.engine, Step):
        first = first.engine
    writer = _find_writer(first.inputs[0])
    known = first.inputs[0].name in samples
    if not known or not isinstance(first.engine, Spec) or not kind_of(first.engine).in_process or writer is None:
        return _estimate_without_sample(step, rows)
    base, teacher = open_engine(first.engine), Journaled(open_engine(writer), journal)
    engine = StandInEngine(base, teacher)
    tables = [samples[before.name] for before in step.inputs]
    made: Table = step.stage(*tables, engine=engine, **step.knobs)
    teacher.close()
    base.close()
    samples[step.name] = made.head(_MAX_GROWTH * len(tables[0]))
    sent = max(1, len(tables[0]))
    scale = (rows[step.inputs[0].name] or 0) / sent
    usual = [len(base.tokens(text)) for text in samples[first.inputs[0].name]["response"].drop_nulls().head(_LENGTH_SAMPLE)]
    # a reply is as long as the writer's; if the training answers are longer, half-way between the two
    written = max(engine.tokens_out, (engine.tokens_out + engine.asked * sum(usual) / max(1, len(usual))) / 2)
    counts = (round(count * scale) for count in (engine.asked, engine.tokens_in, written))
    return Estimate(step, False, _estimate_rows(step, len(made) / sent, rows), *counts)


def _find_writer(step: Step) -> Spec | None:
    """The engine that answered the rows of a step: the nearest one before it that answers conversations."""
    if step.marks.role == "answers":
        return step.engine if isinstance(step.engine, Spec) else None
    writers = (_find_writer(before) for before in step.inputs)
    return next((writer for writer in writers if writer), None)


def _estimate_rows(step: Step, share: float, rows: dict[str, int | None]) -> int | None:
    """The rows a step returns, given the share that it returned of the sample; `count` and `keep` knobs limit them."""
    start = rows[step.inputs[0].name]
    if start is None:
        return None
    if isinstance(count := step.knobs.get("count"), int):
        return count
    most = start * share
    for verdicts in step.inputs[1:]:
        if isinstance(keep := verdicts.knobs.get("keep"), int):
            most = min(most or start, keep)
        elif (place := verdicts.marks.as_many_as) is not None and len(verdicts.inputs) > place:
            like = rows[verdicts.inputs[place].name]
            most = most if like is None else min(most, like)
    return round(most)

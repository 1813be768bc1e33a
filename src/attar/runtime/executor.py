"""Run a row-wise stage in this process. A job is plain data, so that another machine could run it too.

A second executor (a cluster) would be a function with the signature of `run_in_process`: a job and spans in, results
out, in any order.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.errors import RecipeError
from attar.core.reasons import TRANSIENT
from attar.core.stage import marks, stage_name
from attar.core.table import Table, TableParts, read_rows, write_part


@dataclass(frozen=True, slots=True)
class StageJob:
    """A row-wise stage over tables on disk. The first is cut into spans; if aligned, the others too, else they are whole."""

    stage: Callable[..., Table]
    inputs: tuple[TableParts, ...]
    knobs: Mapping[str, Any]
    out: Path


@dataclass(frozen=True, slots=True)
class SpanResult:
    """The result of one span of rows."""

    start: int
    stop: int
    rows: int
    failed: int
    transient: int = 0
    """How many failed for a reason that passes."""
    errors: Counter[str] = field(default_factory=Counter)


def run_span(job: StageJob, engine: Any, sides: tuple[Table, ...], start: int, stop: int) -> tuple[Table, SpanResult]:
    """Apply the stage to one span of rows."""
    table = read_rows(job.inputs[0], start, stop)
    if marks(job.stage).aligned:
        sides = tuple(read_rows(rows, start, stop) for rows in job.inputs[1:])
    out = check_output(job.stage(table, *sides, **({"engine": engine} if engine is not None else {}), **job.knobs), job.stage)
    return out, count_failures(out, table.columns, start, stop)


def count_failures(out: Table, before: Iterable[str], start: int, stop: int) -> SpanResult:
    """Count the failures in the `*_error` columns that the stage added."""
    known = set(before)
    fresh = [name for name in out.columns if name.endswith("_error") and name not in known]
    errors = Counter(reason for name in fresh for reason in out[name].drop_nulls())
    failed = _count_any(out, [pl.col(name).is_not_null() for name in fresh])
    transient = _count_any(out, [pl.col(name).cast(pl.String).str.contains(TRANSIENT) for name in fresh])
    return SpanResult(start, stop, len(out), failed, transient, errors)


def _count_any(table: Table, conditions: list[pl.Expr]) -> int:
    """In how many rows at least one of the conditions is true."""
    return int(table.select(pl.any_horizontal(*conditions).sum()).item() or 0) if conditions else 0


def check_output(out: Any, stage: Callable[..., Table]) -> Table:
    """The stage's output; RecipeError unless it is a table with the column `id`."""
    if not isinstance(out, pl.DataFrame) or "id" not in out.columns:
        what = f"a table without 'id' ({', '.join(out.columns)})" if isinstance(out, pl.DataFrame) else type(out).__name__
        raise RecipeError(f"stage {stage_name(stage)} returned {what}: a stage returns a table whose rows have ids")
    return out


def run_in_process(
    job: StageJob, engine: Any, spans: Iterable[tuple[int, int]], accept: Callable[[SpanResult], None]
) -> Iterator[SpanResult]:
    """Run spans, as many at once as the engine allows; `accept` may raise to refuse a result before it is written."""
    sides = () if marks(job.stage).aligned else tuple(read_rows(rows, 0, rows.count) for rows in job.inputs[1:])

    def settle(out: Table, done: SpanResult) -> SpanResult:
        accept(done)
        write_part(out, job.out, done.start, done.stop)
        return done

    if engine is None or (ahead := engine.kind.ahead) == 1:
        for start, stop in spans:
            yield settle(*run_span(job, engine, sides, start, stop))
        return
    with ThreadPoolExecutor(ahead, thread_name_prefix="span") as pool:
        under_way: set[Future[tuple[Table, SpanResult]]] = set()
        todo, more = iter(spans), True
        try:
            while under_way or more:
                while more and len(under_way) < ahead:
                    if more := (span := next(todo, None)) is not None:
                        under_way.add(pool.submit(run_span, job, engine, sides, *span))
                # polars' SIGINT handler resumes the wait, so Ctrl-C gets through only if the wait has a timeout
                ready, under_way = wait(under_way, timeout=0.5, return_when=FIRST_COMPLETED)
                for future in ready:
                    yield settle(*future.result())
        except KeyboardInterrupt:
            engine.close()
            raise
        finally:
            if under_way:  # one part failed: the others make no more requests; their replies so far are kept
                engine.meter.stop("another part of the step failed")

"""Call a stage on its inputs, and write its output in parts: what is there already is kept, only the rest is done."""

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from attar.core.errors import DataError
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
from attar.engines.journaling import Journaled
from attar.runtime.executor import SpanResult, StageJob, check_output, count_failures, run_in_process
from attar.runtime.flow import Step
from attar.runtime.home import Home
from attar.runtime.reporter import Reporter
from attar.runtime.settings import Settings
from attar.runtime.tally import Tally, failure_limits
from attar.runtime.trained_models import train_or_reuse

_PART_ROWS = 100_000


def run_rowwise(step: Step, home: Home, engine: Journaled | None, watch: Reporter, settings: Settings) -> Tally:
    """Run a row-wise step. Rows that failed for reasons that pass are asked once more when all others are done.

    Except those of a batch, which its owner may have cancelled.
    """
    tally = _fill(step, home, engine, watch, settings)
    if engine is None or engine.kind.batches or not tally.transient or settings.retry == "none":
        return tally
    watch.say(f"{tally.transient:,} rows failed for reasons that pass; they are asked once more")
    for path, result in part_results(step, home):
        if result.transient:
            path.unlink()
    return _fill(step, home, engine, watch, settings)


def _fill(step: Step, home: Home, engine: Journaled | None, watch: Reporter, settings: Settings) -> Tally:
    """Do the rows of a row-wise step that are in no part yet."""
    job = rowwise_job(step, home)
    total, tally = job.inputs[0].count, Tally(failure_limits(step, settings.max_failures, settings.max_truncated))
    ready = []
    for path, result in part_results(step, home):
        tally.accept(result)
        ready.append(part_span(path))
    watch.begin(step, total, sum(stop - start for start, stop in ready), engine)
    size = max(1, (settings.shard or engine.kind.shard) // step.knobs.get("n", 1)) if engine else settings.bulk
    for done in run_in_process(job, engine, _missing_spans(ready, total, size), tally.accept):
        watch.advance(done.stop - done.start)
    return tally


def rowwise_job(step: Step, home: Home) -> StageJob:
    """A row-wise step as plain data."""
    return StageJob(
        step.stage, tuple(index_parts(home.folder(before)) for before in step.inputs), step.knobs, home.folder(step)
    )


def part_results(step: Step, home: Home) -> Iterator[tuple[Path, SpanResult]]:
    """The parts of a row-wise step, with the failures in each."""
    before = part_schema(index_parts(home.folder(step.inputs[0])).paths[0])
    for path in parts(home.folder(step)):
        yield path, count_failures(read_part(path), before, *part_span(path))


def _missing_spans(ready: list[tuple[int, int]], total: int, size: int) -> Iterator[tuple[int, int]]:
    """The spans of rows still to do, at most `size` rows each, whatever the earlier size. No rows give one empty span."""
    if total == 0 and not ready:
        yield 0, 0
    at = 0
    for start, stop in [*sorted(ready), (total, total)]:
        for first in range(at, start, size):
            yield first, min(first + size, start)
        at = stop


def run_whole(step: Step, home: Home, engine: Journaled | None, spec: Spec | None, watch: Reporter) -> Tally:
    """Run a step that takes whole tables, from scratch; only a training resumes, from its checkpoints."""
    folder = home.folder(step)
    empty_folder(folder, *(["trainer"] if step.marks.trains else []))
    watch.begin(step, None, 0, engine)
    out, result = call_whole(step, home, engine, spec)
    tally = Tally()
    tally.accept(result)
    for start in range(0, max(1, len(out)), _PART_ROWS):
        stop = min(start + _PART_ROWS, len(out))
        write_part(out[start:stop], folder, start, stop)
    watch.advance(len(out))
    return tally


def empty_folder(folder: Path, *kept: str) -> None:
    """Remove what is in a step's folder, except what is kept, and its lock and other hidden marks."""
    for path in folder.iterdir():
        if path.name in kept or path.name.startswith("."):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def call_whole(step: Step, home: Home, engine: Journaled | None, spec: Spec | None) -> tuple[Table, SpanResult]:
    """The output of a step that takes whole tables, and its failures."""
    folders = [home.folder(before) for before in step.inputs]
    tables: list[Any] = [_iter_parts(before, step) if step.marks.folds else _read_needed(before, step) for before in folders]
    out = (
        _train(step, home, spec, tables) if step.marks.trains else step.stage(*tables, **_engine_argument(engine), **step.knobs)
    )
    out = check_output(out, step.stage)
    return out, count_failures(out, (), 0, len(out))


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
    if missing := [name for name in wanted if name not in there and not name.endswith("?")]:
        raise DataError(f"column {missing[0]!r} is missing; the table has: {', '.join(there)}")
    names = {"id", *(name.removesuffix("?") for name in wanted)}
    return [name for name in there if name in names]


def _read_needed(folder: Path, step: Step) -> Table:
    """An input with only the columns that the stage declares to read."""
    return read(folder, _needed_columns(folder, step))


def _iter_parts(folder: Path, step: Step) -> Iterator[Table]:
    """An input part by part, with only the columns that the stage declares to read."""
    wanted, rows = _needed_columns(folder, step), index_parts(folder)
    for start, stop in pairwise(rows.starts):
        yield read_rows(rows, start, stop, wanted)

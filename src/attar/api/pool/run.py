"""Run a pool command: stream the pool into the run's folder, run the steps, write the results."""

import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from attar.api.pool import output
from attar.api.run import start
from attar.core.errors import DataError, did_you_mean
from attar.core.fingerprint import fingerprint
from attar.core.table import part_schema, part_span, parts, read, read_part, table_schema, write_part
from attar.data import sources
from attar.engines.base import Spec
from attar.engines.journaling import Journaled
from attar.engines.meter import NO_LIMITS
from attar.runtime.flow import Recipe, Step, trace
from attar.runtime.home import Home, lock_step, read_card, write_card
from attar.runtime.progress import Live
from attar.runtime.reporter import Reporter
from attar.runtime.run_file import RunFile
from attar.runtime.settings import Settings
from attar.runtime.tally import Tally, make_card
from attar.stages import pool
from attar.stages.select.where import columns as columns_of


@dataclass(frozen=True, slots=True)
class PoolCommand:
    """A recipe of `attar.api.pool.recipes` with its pool, engines and knobs."""

    recipe: Recipe
    source: str
    form: str | None
    engines: Mapping[str, Spec] = field(default_factory=dict)
    knobs: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, str | None] = field(default_factory=dict)
    """Expressions over the pool's columns, by the command-line option they were given with."""
    max_failures: float = Settings().max_failures


class PoolProgress(Live):
    """Progress on the terminal, without the bookkeeping steps."""

    def begin(self, step: Step, total: int | None, already: int, engine: Journaled | None) -> None:
        """Show the step's progress bar."""
        if _is_reported(step):
            super().begin(step, total, already, engine)
        else:
            self._total = None

    def end(self, step: Step, card: dict[str, Any], fresh: bool) -> None:
        """Print the step's summary line; for the pool only if it was read in this run."""
        if _is_reported(step) and (fresh or step.marks.role != "pool"):
            super().end(step, card, fresh)


def _is_reported(step: Step) -> bool:
    return step.marks.role not in ("bookkeeping", "kept")


def run_pool_command(choice: PoolCommand, home: Home, watch: Reporter, target: output.Target) -> dict[str, Any]:
    """Run the command and return what was kept, dropped and written, as plain data."""
    began = time.time()
    target.check(choice.source)
    source = {**sources.pin_source(choice.source), "form": choice.form}
    with target.lock():
        summary = _run_and_write(choice, source, home, watch, target)
    return {"source": choice.source, **summary, "seconds": round(time.time() - began, 1)}


def _run_and_write(
    choice: PoolCommand, source: dict[str, Any], home: Home, watch: Reporter, target: output.Target
) -> dict[str, Any]:
    """Run the steps and write the outputs, whose locks the caller holds."""
    known = trace(choice.recipe, choice.engines, {"source": source, **choice.knobs})
    rows = next(step for step in known.steps if step.name == "pool")
    _read_pool(rows, home, watch)
    _check_columns(choice, home.folder(rows))
    stem = re.sub(r"[^\w.-]+", "-", Path(choice.source).stem)
    name = f"{choice.recipe.__name__}-{stem}-{fingerprint(source['source'])[:6]}"
    file = RunFile(
        path=home.runs / name,
        recipe=choice.recipe.__name__,
        function=choice.recipe,
        engines=choice.engines,
        knobs={"source": source, **choice.knobs},
        settings=Settings(max_failures=choice.max_failures if choice.engines else 1.0),
        limits=NO_LIMITS,
    )
    (home.runs / f"{name}.json").unlink(
        missing_ok=True
    )  # a record of the same pool with other knobs, or from before the home was moved
    record = start(file, home, watch)
    folders = {step["name"]: home.steps / step["folder"] for step in record["steps"]}
    ledger = read(Path(record["results"]["ledger"]), list(output.COLUMNS))
    summary = output.summarise(ledger, read(folders["texts"], [pool.CHARS])[pool.CHARS], list(folders))
    if target.verdicts:
        output.write_verdicts(ledger, target.verdicts)
    if target.out:
        summary |= output.write_rows(folders["pool"], folders.get("added"), ledger["kept"], target)
    return summary | {"verdicts": str(target.verdicts) if target.verdicts else None, "run": name, "home": str(home.root)}


def _read_pool(step: Step, home: Home, watch: Reporter) -> None:
    """Stream the pool into its step's folder; as a normal step it would have to fit in memory."""
    folder, began = home.folder(step), time.time()
    with lock_step(folder, watch.say):
        if read_card(folder):
            return
        for stale in parts(folder):
            stale.unlink()
        watch.begin(step, None, 0, None)
        count = 0
        failed = 0
        first_reason = "it is empty"
        columns: dict[str, Any] = {}
        for piece in pool.read_parts(**step.knobs):
            write_part(piece, folder, count, count + len(piece))
            reasons = piece["messages_error"].drop_nulls()
            first_reason = reasons[0] if len(reasons) and not failed else first_reason
            count += len(piece)
            failed += len(reasons)
            columns |= piece.schema
            watch.advance(len(piece))
        if failed == count:
            shutil.rmtree(folder)
            raise DataError(f"{step.knobs['source']}: no row could be read; the first reason: {first_reason}")
        for path in parts(folder):
            _add_missing_columns(path, columns)
        made = write_card(folder, make_card(step, Tally(rows=count), time.time() - began))
        watch.end(step, made, fresh=True)


def _add_missing_columns(path: Path, columns: Mapping[str, Any]) -> None:
    """Add the columns that first occurred in later parts, as nulls."""
    if list(part_schema(path).items()) != list(columns.items()):
        table = read_part(path)
        late = [pl.lit(None, dtype=kind).alias(name) for name, kind in columns.items() if name not in table.columns]
        write_part(table.with_columns(late).select(*columns), path.parent, *part_span(path))


def _check_columns(choice: PoolCommand, folder: Path) -> None:
    """Raise if an expression reads a column that the pool does not have."""
    known = [*table_schema(folder), choice.knobs.get("on", "conversation"), pool.CHARS]
    for option, rule in choice.rules.items():
        for column in columns_of(rule) if rule else ():
            if column not in known:
                raise DataError(f"{option} {rule!r}: {choice.source} has no column {column!r}; {did_you_mean(column, known)}")

"""The steps that the rows of a result came from, and which rows were kept and dropped on the way.

Steps that do the same in several rounds or batches (round-2-best, round-3-best) are one level. A row of an earlier level counts
as kept if the row or an answer to it is in the result.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.table import Table, parts, scan, table_schema
from attar.runtime.home import Home, read_card


@dataclass(frozen=True, slots=True)
class FinishedStep:
    """A finished step of a run."""

    name: str
    stage: str
    marks: Mapping[str, Any]
    folder: Path
    inputs: tuple[str, ...]
    card: Mapping[str, Any]
    columns: Mapping[str, pl.DataType]

    @property
    def role(self) -> str | None:
        """The role of its rows, from its stage's marks."""
        return self.marks["role"]

    @property
    def rows(self) -> int:
        """The number of its rows."""
        return self.card["rows"]

    def scan(self) -> pl.LazyFrame:
        """Its table, read lazily."""
        return scan(self.folder)


@dataclass(frozen=True, slots=True)
class Level:
    """Steps that do the same in several rounds or batches."""

    name: str
    steps: tuple[FinishedStep, ...]

    @property
    def rows(self) -> int:
        """The number of rows of all steps together."""
        return sum(step.rows for step in self.steps)

    def scan(self, *columns: str) -> pl.LazyFrame:
        """These columns of the rows of all steps."""
        return pl.concat([step.scan().select(columns) for step in self.steps], how="vertical_relaxed")

    def has(self, *columns: str) -> bool:
        """Whether all steps have these columns."""
        return all(set(columns) <= set(step.columns) for step in self.steps)


@dataclass(frozen=True, slots=True)
class Lineage:
    """The levels that led to a result, the ids that were kept, and the verdict steps of each level."""

    levels: Sequence[Level]
    kept: frozenset[str]
    verdicts: Mapping[str, Sequence[FinishedStep]]

    def widest(self, suits: Callable[[Level], bool]) -> Level | None:
        """The level with most rows among those that suit; of equals the last."""
        return max((level for level in reversed(self.levels) if suits(level)), key=lambda level: level.rows, default=None)

    def reasons(self, ids: Sequence[str]) -> dict[str, str]:
        """The first reason why each of these rows was dropped."""
        reasons: dict[str, str] = {}
        for step in chain.from_iterable(self.verdicts.values()):
            dropped = step.scan().filter(~pl.col("kept") & pl.col("id").is_in(list(ids))).select("id", "reason").collect()
            reasons = dict(dropped.iter_rows()) | reasons
        return reasons


def finished_steps(home: Home, run: Mapping[str, Any]) -> dict[str, FinishedStep]:
    """The finished steps of a run, by name."""
    finished = {}
    for step in run["steps"]:
        folder = home.steps / step["folder"]
        if card := read_card(folder):
            columns = table_schema(folder) if parts(folder) else {}
            finished[step["name"]] = FinishedStep(
                step["name"], step["stage"], step["marks"], folder, tuple(step["inputs"]), card, columns
            )
    return finished


def build_lineage(steps: Mapping[str, FinishedStep], folder: str | None) -> Lineage | None:
    """The lineage of the result in this folder; None if the result is not finished."""
    end = next((step for step in steps.values() if step.folder.name == folder), None)
    if end is None:
        return None
    ancestors = _ancestors(end, steps)
    levels = _group_levels([step for name, step in steps.items() if name in ancestors], end, steps)
    return Lineage(levels, _kept_ids(end), {level.name: _verdict_steps(level, steps) for level in levels})


def _group_levels(ancestors: Sequence[FinishedStep], end: FinishedStep, steps: Mapping[str, FinishedStep]) -> list[Level]:
    """Levels: steps of one name without its numbers, unless one of them is an ancestor of another."""
    by_name: dict[str, list[FinishedStep]] = {}
    for step in ancestors:
        name = replace_numbers(step.name) if step is not end else step.name
        if any(other.name in _ancestors(step, steps) for other in by_name.get(name, ())):
            name = step.name
        by_name.setdefault(name, []).append(step)
    return [Level(same[0].name if len(same) == 1 else name, tuple(same)) for name, same in by_name.items()]


def _ancestors(end: FinishedStep, steps: Mapping[str, FinishedStep]) -> set[str]:
    """The names of the steps that the rows of a step came through, including the step itself."""
    names: set[str] = set()
    todo = [end]
    while todo:
        step = todo.pop()
        if step.name not in names:
            names.add(step.name)
            sources = step.inputs if step.role == "union" else step.inputs[:1]
            todo += [steps[name] for name in sources if name in steps]
    return names


def replace_numbers(name: str) -> str:
    """round-12-answers-1 as round-n-answers-n."""
    return re.sub(r"(?<=-)\d+(?=-|$)", "n", name)


def _verdict_steps(level: Level, steps: Mapping[str, FinishedStep]) -> tuple[FinishedStep, ...]:
    """The verdict steps that decided which rows of a level were kept."""
    names = [step.inputs[1] for step in level.steps if step.role == "kept" and len(step.inputs) > 1]
    candidates = [steps[name] for name in names if name in steps]
    return tuple(step for step in candidates if {"id", "kept", "reason"} <= set(step.columns))


def _kept_ids(end: FinishedStep) -> frozenset[str]:
    """The ids of the result's rows, and of the prompts that they answer."""
    columns = [name for name in ("id", "parent") if name in end.columns]
    table: Table = end.scan().select(columns).collect()
    return frozenset(chain.from_iterable(table[name].drop_nulls().cast(pl.String) for name in columns))

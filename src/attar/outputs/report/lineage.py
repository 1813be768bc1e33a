"""From which steps the rows of a result came, and what became of the rows on the way.

Steps that do the same, round by round or batch by batch (round-2-best, round-3-best), stand together as one level. A row of an
earlier level counts as kept if it, or an answer to it, is in the result.
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
class Step:
    """A step that is done."""

    name: str
    stage: str
    marks: Mapping[str, Any]
    folder: Path
    inputs: tuple[str, ...]
    card: Mapping[str, Any]
    columns: Mapping[str, pl.DataType]

    @property
    def role(self) -> str | None:
        """What its rows are, by its stage's mark."""
        return self.marks["role"]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.card["rows"]

    def scan(self) -> pl.LazyFrame:
        """Its table, of which only what is asked for is read."""
        return scan(self.folder)


@dataclass(frozen=True, slots=True)
class Level:
    """Steps that do the same."""

    name: str
    steps: tuple[Step, ...]

    @property
    def rows(self) -> int:
        """How many rows they have together."""
        return sum(step.rows for step in self.steps)

    def scan(self, *columns: str) -> pl.LazyFrame:
        """These columns of all of their rows."""
        return pl.concat([step.scan().select(columns) for step in self.steps], how="vertical_relaxed")

    def has(self, *columns: str) -> bool:
        """Whether all of them have these columns."""
        return all(set(columns) <= set(step.columns) for step in self.steps)


@dataclass(frozen=True, slots=True)
class Line:
    """The levels that led to a result, the ids of what was kept, and the verdicts on the way."""

    levels: Sequence[Level]
    kept: frozenset[str]
    verdicts: Mapping[str, Sequence[Step]]

    def widest(self, suits: Callable[[Level], bool]) -> Level | None:
        """Of the levels that suit the one with most rows, the last of equals."""
        return max((level for level in reversed(self.levels) if suits(level)), key=lambda level: level.rows, default=None)

    def reasons(self, ids: Sequence[str]) -> dict[str, str]:
        """Why each of these rows was dropped, at first."""
        found: dict[str, str] = {}
        for step in chain.from_iterable(self.verdicts.values()):
            dropped = step.scan().filter(~pl.col("kept") & pl.col("id").is_in(list(ids))).select("id", "reason").collect()
            found = dict(dropped.iter_rows()) | found
        return found


def done(home: Home, run: Mapping[str, Any]) -> dict[str, Step]:
    """The steps of a run that are done, by name."""
    out = {}
    for step in run["steps"]:
        folder = home.steps / step["folder"]
        if found := read_card(folder):
            columns = table_schema(folder) if parts(folder) else {}
            out[step["name"]] = Step(step["name"], step["stage"], step["marks"], folder, tuple(step["inputs"]), found, columns)
    return out


def line(steps: Mapping[str, Step], folder: str | None) -> Line | None:
    """What led to the result in this folder; None while it is not there."""
    end = next((step for step in steps.values() if step.folder.name == folder), None)
    if end is None:
        return None
    behind = _behind(end, steps)
    levels = _levels([step for name, step in steps.items() if name in behind], end, steps)
    return Line(levels, _kept(end), {level.name: _judged(level, steps) for level in levels})


def _levels(on: Sequence[Step], end: Step, steps: Mapping[str, Step]) -> list[Level]:
    """The steps of a line, those that stand beside each other together; one behind another is a level of its own."""
    named: dict[str, list[Step]] = {}
    for step in on:
        name = numberless(step.name) if step is not end else step.name
        if any(other.name in _behind(step, steps) for other in named.get(name, ())):
            name = step.name
        named.setdefault(name, []).append(step)
    return [Level(same[0].name if len(same) == 1 else name, tuple(same)) for name, same in named.items()]


def _behind(end: Step, steps: Mapping[str, Step]) -> set[str]:
    """The names of the steps that the rows of a step came through, its own with them."""
    found, todo = set(), [end]
    while todo:
        step = todo.pop()
        if step.name not in found:
            found.add(step.name)
            sources = step.inputs if step.role == "union" else step.inputs[:1]
            todo += [steps[name] for name in sources if name in steps]
    return found


def numberless(name: str) -> str:
    """round-12-answers-1 as round-n-answers-n."""
    return re.sub(r"(?<=-)\d+(?=-|$)", "n", name)


def _judged(level: Level, steps: Mapping[str, Step]) -> tuple[Step, ...]:
    """The verdicts by which the rows of a level were kept."""
    named = [step.inputs[1] for step in level.steps if step.role == "kept" and len(step.inputs) > 1]
    found = [steps[name] for name in named if name in steps]
    return tuple(step for step in found if {"id", "kept", "reason"} <= set(step.columns))


def _kept(end: Step) -> frozenset[str]:
    """The rows of the result, and what they answer."""
    columns = [name for name in ("id", "parent") if name in end.columns]
    table: Table = end.scan().select(columns).collect()
    return frozenset(chain.from_iterable(table[name].drop_nulls().cast(pl.String) for name in columns))

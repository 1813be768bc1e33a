"""One row's story: which step made it, what each step said of it, where it was kept or dropped and because of which row."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from attar.core.errors import DataError
from attar.core.table import parts, scan
from attar.runtime.home import Home, read_card, run_record


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """What one step did to a row."""

    step: str
    stage: str
    engine: str | None
    id: str
    values: dict[str, Any]


def history_of(home: Home, run: str, row: str) -> list[HistoryEntry]:
    """A row's chapters in the order of the steps, its ancestors' first."""
    steps = [step for step in run_record(home, run)["steps"] if read_card(home.steps / step["folder"])]
    family = _ancestors(home, steps, row)
    chapters, seen = [], {name: {} for name in family}
    for step in steps:
        for name in family:
            values = _find(home, step["folder"], name)
            if values is None:
                continue
            fresh = {key: value for key, value in values.items() if key != "id" and seen[name].get(key, _NOTHING) != value}
            if "kept" in values and "reason" in values:
                fresh = {key: value for key, value in values.items() if key != "id" and value is not None}
            else:
                seen[name].update(values)
            if fresh:
                chapters.append(HistoryEntry(step["name"], step["stage"], step["engine"], name, fresh))
    if not chapters:
        raise DataError(f"run {run!r} has no row {row!r} in its {len(steps)} finished steps")
    return chapters


_NOTHING = object()


def _ancestors(home: Home, steps: list[dict[str, Any]], row: str) -> list[str]:
    """The row and those that it was made from, oldest first."""
    family, queue = [row], [row]
    while queue:
        name = queue.pop()
        for step in steps:
            values = _find(home, step["folder"], name) or {}
            origin = values.get("origin") or {}
            for parent in [*(origin.get("parents") or []), values.get("parent")]:
                if parent and parent not in family:
                    family.insert(0, parent)
                    queue.append(parent)
    return family


def _find(home: Home, folder: str, row: str) -> dict[str, Any] | None:
    if not parts(home.steps / folder):
        return None
    hit = scan(home.steps / folder).filter(pl.col("id") == row).head(1).collect()
    return hit.to_dicts()[0] if len(hit) else None

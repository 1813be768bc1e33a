"""The history of one row: which step made it, what each step added, and where and why it was kept or dropped."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from attar.core.errors import DataError
from attar.core.table import parts, scan
from attar.runtime.home import Home, read_card, run_record


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """What one step added to a row."""

    step: str
    stage: str
    engine: str | None
    id: str
    values: dict[str, Any]


def history_of(home: Home, run: str, row: str) -> list[HistoryEntry]:
    """The entries of a row and of its ancestors, in the order of the steps."""
    steps = [step for step in run_record(home, run)["steps"] if read_card(home.steps / step["folder"])]
    family = _ancestors(home, steps, row)
    entries, seen = [], {name: {} for name in family}
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
                entries.append(HistoryEntry(step["name"], step["stage"], step["engine"], name, fresh))
    if not entries:
        raise DataError(f"run {run!r} has no row {row!r} in its {len(steps)} finished steps")
    return entries


_NOTHING = object()


def _ancestors(home: Home, steps: list[dict[str, Any]], row: str) -> list[str]:
    """The row and the rows that it was made from, oldest first."""
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

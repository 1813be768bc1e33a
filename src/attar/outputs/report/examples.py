"""Rows to read: the best and the worst of the kept, and those at the border, kept and dropped, each with why.

They are ordered by what the selection ranked by, where that is a column; else by the reward, or whatever score there is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from attar.core.table import Table
from attar.outputs.report.formatting import shorten
from attar.outputs.report.lineage import Level, Line

_SCORES = ("reward", "rating", "evol", "score", "quality", "complexity")
_EACH = 3


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows under a title, by which column they are ordered."""

    title: str
    by: str | None
    rows: Sequence[dict[str, Any]]


def examples(line: Line) -> list[Examples]:
    """The rows to read of what led to a result."""
    for by in (*_ranking_columns(line), *_SCORES):
        if level := line.widest(lambda level, by=by: level.has("prompt", "response", by) and _is_numeric(level, by)):
            return _ends_and_border(line, level, by)
    level = line.widest(lambda level: level.has("prompt", "response"))
    return [Examples("Some of the kept rows", None, _rows_to_read(line, level, line.kept, None))] if level and line.kept else []


def _ranking_columns(line: Line) -> list[str]:
    """What the selection ranked by, the last ranking first."""
    judged = [step for steps in line.verdicts.values() for step in steps if step.role == "ranking"]
    return [str(step.card["knobs"].get("by")) for step in reversed(judged) if step.card.get("knobs")]


def _ends_and_border(line: Line, level: Level, by: str) -> list[Examples]:
    scored = (
        level.scan("id", by).drop_nulls(by).collect().unique("id").sort(["id"]).sort(by, descending=True, maintain_order=True)
    )
    inside = pl.Series([name in line.kept for name in scored["id"]], dtype=pl.Boolean)
    kept, dropped = scored.filter(inside)["id"], scored.filter(~inside)["id"]
    border = _last_dropped(line, dropped)
    last, first = (
        ("Just kept", "Just dropped")
        if by in _ranking_columns(line)
        else ("The lowest that were kept", "The highest that were dropped last")
    )
    titled = (
        ("The highest that were kept", kept[:_EACH]),
        (last, kept[_EACH:][-_EACH:]),
        (first, border[:_EACH]),
        ("The lowest of all", dropped.filter(~dropped.is_in(border[:_EACH].to_list()))[-_EACH:]),
    )
    return [Examples(title, by, _rows_to_read(line, level, ids.to_list(), by)) for title, ids in titled if len(ids)]


def _last_dropped(line: Line, dropped: pl.Series) -> pl.Series:
    """Of the dropped rows, best first, those that came furthest: what the last step that dropped any of them dropped."""
    for level in reversed(line.levels):
        for step in line.verdicts[level.name]:
            names = set(step.scan().filter(~pl.col("kept")).select("id").collect()["id"])
            if some := [name for name in dropped if name in names]:
                return pl.Series(some, dtype=pl.String)
    return dropped


def _rows_to_read(line: Line, level: Level, ids: Any, by: str | None) -> list[dict[str, Any]]:
    wanted = sorted(ids)[: 2 * _EACH] if by is None else list(ids)
    columns = ["id", "prompt", "response", *([by] if by and by not in ("prompt", "response") else [])]
    found: Table = level.scan(*columns).filter(pl.col("id").is_in(wanted)).collect().unique("id")
    rows, reasons = {row["id"]: row for row in found.to_dicts()}, line.reasons(wanted)
    return [
        {
            "id": name,
            "prompt": shorten(rows[name]["prompt"]),
            "response": shorten(rows[name]["response"]),
            "score": rows[name][by] if by else None,
            "why": None if name in line.kept else reasons.get(name, "not chosen"),
        }
        for name in wanted
        if name in rows
    ]


def _is_numeric(level: Level, column: str) -> bool:
    return all(step.columns[column].is_numeric() for step in level.steps)

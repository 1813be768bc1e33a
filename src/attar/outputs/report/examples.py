"""Rows to read: the best and the worst kept rows, and the rows just inside and outside the selection, with reasons.

Rows are ordered by the column that the selection ranked by, or else by the reward or another score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from attar.core.table import Table
from attar.outputs.report.formatting import shorten
from attar.outputs.report.lineage import Level, Lineage

_SCORES = ("reward", "rating", "evol", "score", "quality", "complexity")
_PER_GROUP = 3


@dataclass(frozen=True, slots=True)
class Examples:
    """A title, the column that orders the rows, and the rows."""

    title: str
    by: str | None
    rows: Sequence[dict[str, Any]]


def examples(lineage: Lineage) -> list[Examples]:
    """Rows to read from the levels that led to a result."""
    for by in (*_ranking_columns(lineage), *_SCORES):
        if level := lineage.widest(lambda level, by=by: level.has("prompt", "response", by) and _is_numeric(level, by)):
            return _ends_and_border(lineage, level, by)
    level = lineage.widest(lambda level: level.has("prompt", "response"))
    return (
        [Examples("Some of the kept rows", None, _rows_to_read(lineage, level, lineage.kept, None))]
        if level and lineage.kept
        else []
    )


def _ranking_columns(lineage: Lineage) -> list[str]:
    """The columns that the selection ranked by, the last ranking first."""
    rankings = [step for steps in lineage.verdicts.values() for step in steps if step.role == "ranking"]
    return [str(step.card["knobs"].get("by")) for step in reversed(rankings) if step.card.get("knobs")]


def _ends_and_border(lineage: Lineage, level: Level, by: str) -> list[Examples]:
    ranked = (
        level.scan("id", by).drop_nulls(by).collect().unique("id").sort(["id"]).sort(by, descending=True, maintain_order=True)
    )
    is_kept = pl.Series([name in lineage.kept for name in ranked["id"]], dtype=pl.Boolean)
    kept, dropped = ranked.filter(is_kept)["id"], ranked.filter(~is_kept)["id"]
    border = _last_dropped(lineage, dropped)
    last, first = (
        ("Just kept", "Just dropped")
        if by in _ranking_columns(lineage)
        else ("The lowest that were kept", "The highest that were dropped last")
    )
    groups = (
        ("The highest that were kept", kept[:_PER_GROUP]),
        (last, kept[_PER_GROUP:][-_PER_GROUP:]),
        (first, border[:_PER_GROUP]),
        ("The lowest of all", dropped.filter(~dropped.is_in(border[:_PER_GROUP].to_list()))[-_PER_GROUP:]),
    )
    return [Examples(title, by, _rows_to_read(lineage, level, ids.to_list(), by)) for title, ids in groups if len(ids)]


def _last_dropped(lineage: Lineage, dropped: pl.Series) -> pl.Series:
    """Those of the dropped rows, in their order, that the last step with any of them dropped."""
    for level in reversed(lineage.levels):
        for step in lineage.verdicts[level.name]:
            step_drops = set(step.scan().filter(~pl.col("kept")).select("id").collect()["id"])
            if last := [name for name in dropped if name in step_drops]:
                return pl.Series(last, dtype=pl.String)
    return dropped


def _rows_to_read(lineage: Lineage, level: Level, ids: Any, by: str | None) -> list[dict[str, Any]]:
    wanted = sorted(ids)[: 2 * _PER_GROUP] if by is None else list(ids)
    columns = ["id", "prompt", "response", *([by] if by and by not in ("prompt", "response") else [])]
    table: Table = level.scan(*columns).filter(pl.col("id").is_in(wanted)).collect().unique("id")
    rows, reasons = {row["id"]: row for row in table.to_dicts()}, lineage.reasons(wanted)
    return [
        {
            "id": name,
            "prompt": shorten(rows[name]["prompt"]),
            "response": shorten(rows[name]["response"]),
            "score": rows[name][by] if by else None,
            "why": None if name in lineage.kept else reasons.get(name, "not chosen"),
        }
        for name in wanted
        if name in rows
    ]


def _is_numeric(level: Level, column: str) -> bool:
    return all(step.columns[column].is_numeric() for step in level.steps)

"""How far a judge can be trusted, as a report shows it: figures of agreement by judge, and a reliability curve as a drawing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from attar.table import Table

FIGURES = {
    "pairs": "pairs of answers in the right order",
    "best": "prompts whose best answer it picks",
    "lost": "rating lost by its picks",
    "spearman": "rank correlation (Spearman)",
    "pearson": "correlation (Pearson)",
    "exact": "rows with the very same whole number",
    "absolute_error": "mean distance from the true rating",
    "bias": "mean of what it gives too much",
    "unscored": "rows that it could not rate",
}
"""What figures of agreement are called, those that matter most first."""
_SHARES = ("pairs", "best", "exact", "unscored")
LEFT, TOP, SIDE = 44.0, 20.0, 300.0
_LARGEST = 18.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """The judges' names, and a line a figure: what it is called, whether it is a share, each judge's row."""

    judges: Sequence[str]
    lines: Sequence[tuple[str, bool, Sequence[Mapping[str, Any] | None]]]


@dataclass(frozen=True, slots=True)
class Bin:
    """A bin's circle."""

    x: float
    y: float
    radius: float
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reliability:
    """The circles, the ends of the scale, and the row for all."""

    bins: Sequence[Bin]
    ends: tuple[float, float]
    whole: Mapping[str, Any]


def agreement(table: Table | None) -> Agreement | None:
    """name, figure, value, low, high, over_first of each judge and figure -> a line a figure; None of any other table."""
    if table is None or not {"name", "figure", "value", "low", "high", "over_first"} <= set(table.columns):
        return None
    judges = table["name"].unique(maintain_order=True).to_list()
    rows = {(row["name"], row["figure"]): row for row in table.to_dicts()}
    there: list[str] = table["figure"].unique(maintain_order=True).to_list()
    figures = [*(figure for figure in FIGURES if figure in there), *(figure for figure in there if figure not in FIGURES)]
    lines = [(FIGURES.get(name, name), name in _SHARES, [rows.get((judge, name)) for judge in judges]) for name in figures]
    return Agreement(judges, lines)


def reliability(table: Table | None) -> Reliability | None:
    """low, high, count, score, gold of each bin, and a row `all` with the gap -> circles whose areas are as their counts."""
    if table is None or not {"low", "high", "count", "score", "gold", "gap", "noise"} <= set(table.columns):
        return None
    rows = {row["id"]: row for row in table.to_dicts()}
    whole = rows.pop("all", None)
    filled = [row for row in rows.values() if row["count"]]
    if whole is None or not filled:
        return None
    low, high, most = whole["low"], whole["high"], max(row["count"] for row in filled)
    bins = []
    for row in filled:
        score, gold = ((row[axis] - low) / (high - low) for axis in ("score", "gold"))
        radius = round(_LARGEST * sqrt(row["count"] / most), 2)
        bins.append(Bin(round(LEFT + SIDE * score, 1), round(TOP + SIDE * (1 - gold), 1), radius, row))
    return Reliability(bins, (low, high), whole)


def coverage(table: Table | None) -> Mapping[str, Any] | None:
    """rows, used, clusters, touched, share: the one row of it."""
    if table is None or len(table) != 1 or not {"rows", "used", "clusters", "touched", "share"} <= set(table.columns):
        return None
    return table.row(0, named=True)


def drawn(table: Table | None) -> Mapping[str, Any] | None:
    """asked, new, total, end of each batch (`enough.told`) -> asked and total of all, and how it ended."""
    if table is None or table.is_empty() or not {"asked", "new", "total", "end"} <= set(table.columns):
        return None
    return {"asked": table["asked"].sum(), "total": table["total"][-1], "end": table["end"][-1]}

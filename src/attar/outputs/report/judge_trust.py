"""The report's section on judges: agreement with the true ratings, a reliability diagram, coverage and prompt counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attar.core.table import Table
from attar.outputs.report import charts
from attar.stages.evaluate.judging import judge_check

FIGURES = {
    "pairs": "pairs of answers in the right order",
    "best": "prompts where it picks the best answer",
    "lost": "rating lost by its picks",
    "spearman": "rank correlation (Spearman)",
    "pearson": "correlation (Pearson)",
    "exact": "rows with exactly the same integer",
    "absolute_error": "mean distance from the true rating",
    "bias": "bias (mean rating minus mean true rating)",
    "unscored": "rows without a rating",
}
"""Titles of the figures of agreement, the most important first."""
_SHARES = ("pairs", "best", "exact", "unscored")
_CHECK_SHARES = ("judged", "mass", "right", "disagrees", "first_shown")
_LARGEST = 1000
"""The area of the largest circle, in square pixels."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The judges' names, and one line per figure: its title, whether it is a share, and each judge's row."""

    judges: Sequence[str]
    lines: Sequence[tuple[str, bool, Sequence[Mapping[str, Any] | None]]]


@dataclass(frozen=True, slots=True)
class CheckedJudge:
    """A judge, what it was checked by, why it is unable (nothing if it is able), and the figures with their titles."""

    name: str
    checked_by: str
    reasons: Sequence[str]
    lines: Sequence[tuple[str, bool, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Reliability:
    """The bins that have rows, the row over all bins (its ends are those of the scale), and the chart."""

    bins: Sequence[Mapping[str, Any]]
    whole: Mapping[str, Any]
    drawing: charts.Drawing


def agreement(table: Table | None) -> Agreement | None:
    """name, figure, value, low, high, over_first of each judge and figure -> one line per figure; None for any other table."""
    if table is None or not {"name", "figure", "value", "low", "high", "over_first"} <= set(table.columns):
        return None
    judges = table["name"].unique(maintain_order=True).to_list()
    rows = {(row["name"], row["figure"]): row for row in table.to_dicts()}
    present: list[str] = table["figure"].unique(maintain_order=True).to_list()
    figures = [*(name for name in FIGURES if name in present), *(name for name in present if name not in FIGURES)]
    lines = [(FIGURES.get(name, name), name in _SHARES, [rows.get((judge, name)) for judge in judges]) for name in figures]
    return Agreement(judges, lines)


def checked_judges(tables: Sequence[Table]) -> list[CheckedJudge]:
    """Tables of figures -> the judges whose check, or whose position bias, is among them."""
    out: list[CheckedJudge] = []
    for table in tables:
        columns = set(table.columns)
        if {"way", "figure", "value", "low", "high", "unable"} <= columns:
            lines = [
                (f"{row['way']}: {judge_check.TITLES[row['figure']]}", row["figure"] in _CHECK_SHARES, row)
                for row in table.to_dicts()
            ]
            by = "built-in pairs whose better answer is known"
            out.append(CheckedJudge(str(table["judge"][0]), by, judge_check.reasons(table), lines))
        elif {"judge", "figure", "value", "low", "high"} <= columns and "disagrees" in table["figure"]:
            row = next(row for row in table.to_dicts() if row["figure"] == "disagrees")
            reason = judge_check.disagreement(row["value"])
            title = judge_check.TITLES["disagrees"]
            own = CheckedJudge(str(row["judge"]), "this run's own pairs", [reason] if reason else [], [(title, True, row)])
            out.append(own)
    return out


def reliability(table: Table | None) -> Reliability | None:
    """low, high, count, score, gold of each bin, and a row `all` with the calibration error -> a reliability diagram."""
    if table is None or not {"low", "high", "count", "score", "gold", "gap", "noise"} <= set(table.columns):
        return None
    rows = {row["id"]: row for row in table.to_dicts()}
    whole = rows.pop("all", None)
    filled = [row for row in rows.values() if row["count"]]
    if whole is None or not filled:
        return None
    return Reliability(filled, whole, _circles(filled, whole))


def _circles(bins: Sequence[Mapping[str, Any]], whole: Mapping[str, Any]) -> charts.Drawing:
    """One circle per bin, its area proportional to the count; ratings on the diagonal are calibrated."""
    import altair as alt

    ends = [whole["low"], whole["high"]]
    scale, axis = alt.Scale(domain=ends, nice=False), alt.Axis(tickCount=5)
    diagonal = charts.chart_of({"at": end} for end in ends).mark_line(color=charts.SOFT, strokeDash=[5, 4], strokeWidth=1)
    x, y = (
        alt.X("at:Q", scale=scale, title="the judge's mean rating", axis=axis),
        alt.Y("at:Q", scale=scale, title="mean true rating", axis=axis),
    )
    tips = [alt.Tooltip("count:Q", format=","), alt.Tooltip("score:Q", format=".2f"), alt.Tooltip("gold:Q", format=".2f")]
    size = alt.Size("count:Q", scale=alt.Scale(domain=[0, max(row["count"] for row in bins)], range=[0, _LARGEST]), legend=None)
    circles = charts.chart_of(bins).mark_point(opacity=0.6).encode(x="score:Q", y="gold:Q", size=size, tooltip=tips)
    return charts.drawing(diagonal.encode(x=x, y=y) + circles, "Mean true rating by mean rating", width=320, height=320)


def coverage(table: Table | None) -> Mapping[str, Any] | None:
    """rows, used, clusters, touched, share: the only row of the table."""
    if table is None or len(table) != 1 or not {"rows", "used", "clusters", "touched", "share"} <= set(table.columns):
        return None
    return table.row(0, named=True)


def prompt_counts(table: Table | None) -> Mapping[str, Any] | None:
    """asked, new, total, end of each batch (`until_enough.summarise`) -> the sums, and why sampling ended."""
    if table is None or table.is_empty() or not {"asked", "new", "total", "end"} <= set(table.columns):
        return None
    return {"asked": table["asked"].sum(), "total": table["total"][-1], "end": table["end"][-1]}

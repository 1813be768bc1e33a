"""The funnel: how many rows were left after each step that changed their number, and why rows were dropped."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from attar.core.table import Table
from attar.outputs.report import charts
from attar.outputs.report.lineage import FinishedStep, Lineage

_MAX_REASONS = 4
"""Reasons shown for one step."""


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """The rows left after a step, the number it dropped, and its most common reasons."""

    name: str
    rows: int
    dropped: int
    reasons: Sequence[tuple[str, int]]


def funnel_steps(lineage: Lineage) -> list[FunnelStep]:
    """The first level and all later ones that changed the number of rows."""
    out: list[FunnelStep] = []
    for level in lineage.levels:
        reasons = sum((count_drop_reasons(step) for step in lineage.verdicts[level.name]), Counter[str]())
        dropped = reasons.total()
        if not out or level.rows != out[-1].rows or dropped:
            out.append(FunnelStep(level.name, level.rows, dropped, reasons.most_common(_MAX_REASONS)))
    return out


def ledger_steps(ledger: Table) -> list[FunnelStep]:
    """step, reason, kept of a pool's rows -> the rows left after each step."""
    out = [FunnelStep("pool", left := len(ledger), 0, [])]
    for step in ledger["step"].drop_nulls().unique(maintain_order=True) if "step" in ledger.columns else ():
        reasons = Counter(map(_without_row_details, ledger.filter(pl.col("step") == step)["reason"].fill_null("no reason")))
        left -= reasons.total()
        out.append(FunnelStep(step, left, reasons.total(), reasons.most_common(_MAX_REASONS)))
    return out


def count_drop_reasons(step: FinishedStep) -> Counter[str]:
    """How many rows a step's verdicts dropped for each reason; reasons that differ only by a number are counted as one."""
    if not {"kept", "reason"} <= set(step.columns):
        return Counter()
    dropped = step.scan().filter(~pl.col("kept")).group_by("reason").len().collect()
    counted: Counter[str] = Counter()
    for reason, count in dropped.iter_rows():
        counted[_without_row_details(reason or "no reason")] += count
    return counted


def chart(steps: Sequence[FunnelStep]) -> charts.Drawing:
    """One bar per step: the rows left, and behind them the rows that it dropped."""
    import altair as alt

    rows = bars(steps)
    base = charts.chart_of(rows).encode(y=alt.Y("name:N", sort=None, title=None))
    before = base.mark_bar(color=charts.LINE, height=18).encode(x=alt.X("before:Q", title=None, axis=None))
    after = base.mark_bar(color=charts.BAR, height=18).encode(x="rows:Q")
    text = base.mark_text(align="left", dx=8).encode(x="before:Q", text="label:N")
    about = "Rows left after each step; " + "; ".join(f"{row['name']} {row['rows']}" for row in rows)
    return charts.drawing(alt.layer(before, after, text), about, width=charts.WIDE, height=charts.height_of(len(rows)))


def bars(steps: Sequence[FunnelStep]) -> list[dict[str, Any]]:
    """name, rows, before, label of each step: `before` is the number of rows before it dropped some.

    If every round picks from the same pool, a row is dropped many times. Such a step has no pale part of the bar.
    """
    out = []
    previous = 0
    for step in steps:
        once = 0 < step.dropped <= previous - step.rows
        label = f"{step.rows:,}" + (f"  (dropped {step.dropped:,})" if once else "")
        out.append({"name": step.name, "rows": step.rows, "before": step.rows + once * step.dropped, "label": label})
        previous = step.rows
    return out


def _without_row_details(reason: str) -> str:
    """A reason without the numbers and items of a single row."""
    reason = re.sub(r"^rank \d+", "rank", reason)
    reason = re.sub(r"(overlaps \S+) item .*", r"\1", reason)
    return re.sub(r"cosine -?\d+\.\d+", "cosine", reason)

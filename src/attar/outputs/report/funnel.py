"""From drawn to kept: how many rows there were at each level that changed their number, and why rows were dropped."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from attar.core.table import Table
from attar.outputs.report import charts
from attar.outputs.report.lineage import Line, Step

_MOST = 4
"""Reasons told of one step."""


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """How many rows there are after a step, and how many it dropped for what."""

    name: str
    rows: int
    dropped: int
    reasons: Sequence[tuple[str, int]]


def stands(line: Line) -> list[FunnelStep]:
    """The first level, the last, and all in between that changed the number of rows."""
    out: list[FunnelStep] = []
    for level in line.levels:
        reasons = sum((count_drop_reasons(step) for step in line.verdicts[level.name]), Counter[str]())
        dropped = reasons.total()
        if not out or level.rows != out[-1].rows or dropped:
            out.append(FunnelStep(level.name, level.rows, dropped, reasons.most_common(_MOST)))
    return out


def of_ledger(ledger: Table) -> list[FunnelStep]:
    """step, reason, kept of a pool's rows -> what was left after each step."""
    out = [FunnelStep("pool", left := len(ledger), 0, [])]
    for step in ledger["step"].drop_nulls().unique(maintain_order=True) if "step" in ledger.columns else ():
        reasons = Counter(map(_plain, ledger.filter(pl.col("step") == step)["reason"].fill_null("no reason")))
        left -= reasons.total()
        out.append(FunnelStep(step, left, reasons.total(), reasons.most_common(_MOST)))
    return out


def count_drop_reasons(step: Step) -> Counter[str]:
    """How many rows a step's verdicts dropped for each reason; what differs by a number alone is one reason."""
    if not {"kept", "reason"} <= set(step.columns):
        return Counter()
    dropped = step.scan().filter(~pl.col("kept")).group_by("reason").len().collect()
    counted: Counter[str] = Counter()
    for reason, count in dropped.iter_rows():
        counted[_plain(reason or "no reason")] += count
    return counted


def chart(stands: Sequence[FunnelStep]) -> charts.Drawing:
    """A bar a stand: its rows, and behind them those that were dropped there."""
    import altair as alt

    rows = bars(stands)
    whole = charts.of(rows).encode(y=alt.Y("name:N", sort=None, title=None))
    before = whole.mark_bar(color=charts.LINE, height=18).encode(x=alt.X("before:Q", title=None, axis=None))
    after = whole.mark_bar(color=charts.BAR, height=18).encode(x="rows:Q")
    text = whole.mark_text(align="left", dx=8).encode(x="before:Q", text="told:N")
    about = "Rows left after each step; " + "; ".join(f"{row['name']} {row['rows']}" for row in rows)
    return charts.drawing(alt.layer(before, after, text), about, width=charts.WIDE, height=charts.height_of(len(rows)))


def bars(stands: Sequence[FunnelStep]) -> list[dict[str, Any]]:
    """name, rows, before, told of each: how many rows there were before a step dropped some.

    A pool that every round picks from anew drops a row many times: that is told in words, not drawn.
    """
    out, most = [], 0
    for stand in stands:
        once = 0 < stand.dropped <= most - stand.rows
        told = f"{stand.rows:,}" + (f"  (dropped {stand.dropped:,})" if once else "")
        out.append({"name": stand.name, "rows": stand.rows, "before": stand.rows + once * stand.dropped, "told": told})
        most = stand.rows
    return out


def _plain(reason: str) -> str:
    """A reason without what is one row's alone."""
    reason = re.sub(r"^rank \d+", "rank", reason)
    reason = re.sub(r"(overlaps \S+) item .*", r"\1", reason)
    return re.sub(r"cosine -?\d+\.\d+", "cosine", reason)

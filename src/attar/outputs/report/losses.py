"""Training losses by step, one chart for each kind of training."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from attar.outputs.report import charts
from attar.outputs.report.lineage import FinishedStep

_KINDS = {
    "answers": "Students, trained on answers",
    "pairs": "Students, trained on pairs",
    "labels": "Judges",
}
_MAX_POINTS = 300
"""Maximum points per line; a longer curve is averaged over blocks of steps."""


@dataclass(frozen=True, slots=True)
class Losses:
    """The trainings of one kind: their number and their curves."""

    title: str
    count: int
    drawing: charts.Drawing


def losses(steps: Iterable[FinishedStep]) -> list[Losses]:
    """The curves of all finished trainings, by kind; a training with a single step has no curve."""
    by_kind: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for step in steps:
        kind = step.marks["trains"]
        if kind and {"step", "loss"} <= set(step.columns) and len(points := loss_points(step)) > 1:
            by_kind.setdefault(kind, {})[step.name] = points
    return [Losses(_KINDS[kind], len(lines), _chart(lines)) for kind, lines in by_kind.items()]


def loss_points(step: FinishedStep) -> list[dict[str, Any]]:
    """step, loss -> at most `_MAX_POINTS` points, each the mean over a block of steps."""
    table = step.scan().select("step", "loss").drop_nulls().collect().sort("step")
    block = -(-len(table) // _MAX_POINTS) or 1
    if block > 1:
        table = table.group_by(pl.int_range(pl.len()) // block, maintain_order=True).agg(
            pl.col("step").last(), pl.col("loss").mean()
        )
    return table.select("step", pl.col("loss").round(4)).to_dicts()


def _chart(lines: dict[str, list[dict[str, Any]]]) -> charts.Drawing:
    import altair as alt

    rows = [{"training": name, **point} for name, points in lines.items() for point in points]
    few = len(lines) <= len(charts.HUES)
    scale = alt.Scale(domain=list(lines), range=list(charts.HUES[: len(lines)]) if few else [charts.ROSE])
    legend = None if len(lines) == 1 else alt.Legend(symbolType="stroke", columns=4)
    lines_chart = (
        charts.chart_of(rows)
        .mark_line(strokeWidth=1.8, opacity=0.9 if few else 0.45)
        .encode(
            x=alt.X("step:Q", title="step", axis=alt.Axis(grid=False, tickCount=6, tickMinStep=1, format="d")),
            y=alt.Y("loss:Q", title="loss", scale=alt.Scale(zero=_scale_from_zero(rows)), axis=alt.Axis(tickCount=5)),
            color=alt.Color("training:N", scale=scale, legend=legend if few else None),
            detail="training:N",
            tooltip=[alt.Tooltip("training:N"), alt.Tooltip("step:Q"), alt.Tooltip("loss:Q", format=".4f")],
        )
    )
    return charts.drawing(lines_chart, f"Loss by step of {', '.join(lines)}", width=760, height=240)


def _scale_from_zero(rows: list[dict[str, Any]]) -> bool:
    """Whether the axis begins at zero: not if the losses are far from zero and vary little."""
    values = [row["loss"] for row in rows]
    return min(values) < max(values) / 2

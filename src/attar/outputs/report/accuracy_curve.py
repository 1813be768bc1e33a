"""Charts of the scores: accuracy by round where there are rounds, and one bar per arm.

Arms named round-1, round-2, ... are the points of the curve; up to three other arms are horizontal lines to compare with. All
axes run from 0 to 100%, so that equal heights mean equal accuracies in every report.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attar.outputs.report import charts
from attar.outputs.report.arm_scores import Arm
from attar.outputs.report.formatting import format_interval, format_percent

_MIN_ROUNDS = 3
"""With fewer rounds no curve is drawn."""
_MAX_LINES = 3
"""With more other arms than this, none is drawn as a line: the chart would be hard to read."""
_LABEL_GAP = 0.055
"""The smallest vertical distance between two line labels, as a share of the scale."""
_MAX_NUMBERED = 12
"""With more rounds than this, the points have no numbers beside them."""


def rounds(arms: Sequence[Arm]) -> Mapping[int, Arm]:
    """The arms that are rounds, by number."""
    numbered = {int(match[1]): arm for arm in arms if (match := re.fullmatch(r"round-(\d+)", arm.name))}
    return dict(sorted(numbered.items()))


def in_bars(arms: Sequence[Arm]) -> list[Arm]:
    """The arms for the bar chart: of rounds that are drawn as a curve, only the last."""
    by_round = rounds(arms)
    in_curve = list(by_round.values())[:-1] if len(by_round) >= _MIN_ROUNDS else []
    return [arm for arm in arms if arm not in in_curve]


def points(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """round, value, low, high, label of each round; intervals are clipped to 0 and 100%."""
    return [
        {
            "round": number,
            "value": arm.accuracy.value,
            **_clipped_interval(arm),
            "label": f"{format_percent(arm.accuracy.value)} ({format_interval(arm.accuracy)})",
        }
        for number, arm in rounds(arms).items()
    ]


def runs(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """run, round, value of each run; none if there is only one run."""
    by_round = rounds(arms)
    count = max((len(arm.accuracy.runs) for arm in by_round.values()), default=0)
    indexes = range(count) if count > 1 else ()
    return [{"run": i, "round": number, "value": arm.accuracy.runs[i]} for i in indexes for number, arm in by_round.items()]


def levels(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """name, value, label, label_y (its height) of the other arms, from the top down; none if there are too many."""
    in_curve = rounds(arms).values()
    others = sorted((arm for arm in arms if arm not in in_curve), key=lambda arm: -arm.accuracy.value)
    if len(others) > _MAX_LINES:
        return []
    heights = [arm.accuracy.value for arm in others]
    for i in range(1, len(heights)):
        heights[i] = min(heights[i], heights[i - 1] - _LABEL_GAP)
    return [
        {
            "name": arm.name,
            "value": arm.accuracy.value,
            "label": f"{arm.name} {format_percent(arm.accuracy.value)}",
            "label_y": height,
        }
        for arm, height in zip(others, heights, strict=True)
    ]


def curve(arms: Sequence[Arm]) -> charts.Drawing | None:
    """Accuracy by round with its interval, one thin line per run, other arms as levels; None with fewer than three rounds."""
    import altair as alt

    rows = points(arms)
    if len(rows) < _MIN_ROUNDS:
        return None
    x = alt.X(
        "round:Q",
        title="round",
        scale=alt.Scale(zero=False, nice=False, padding=24),
        axis=alt.Axis(tickMinStep=1, format="d", grid=False, tickCount=min(16, len(rows))),
    )
    scale = alt.Scale(domain=[0, 1])
    y = alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(format="%", tickCount=5))
    whole = charts.chart_of(rows).encode(x=x)
    band = whole.mark_area(opacity=0.16, color=charts.ROSE).encode(y=alt.Y("low:Q", scale=scale, title=None), y2="high:Q")
    line = whole.mark_line(strokeWidth=2.6).encode(y=y)
    tips = [alt.Tooltip("round:Q"), alt.Tooltip("label:N", title="accuracy")]
    dots = whole.mark_point(size=55, opacity=1).encode(y=y, tooltip=tips)
    layers: list[Any] = [band]
    if run_points := runs(arms):
        thin = charts.chart_of(run_points).mark_line(strokeWidth=1, opacity=0.5).encode(x=x, y=y, detail="run:N")
        layers.append(thin)
    if others := levels(arms):
        level = charts.chart_of(others).encode(y=y)
        right = charts.chart_of(others).encode(x=alt.value(charts.WIDE + 12), y=alt.Y("label_y:Q", scale=scale, title=None))
        layers.append(level.mark_rule(strokeDash=[5, 4], color=charts.SOFT))
        layers.append(right.mark_text(align="left", color=charts.SOFT).encode(text="label:N"))
    layers += [line, dots]
    if len(rows) <= _MAX_NUMBERED:
        layers.append(whole.mark_text(dy=-13).encode(y=y, text=alt.Text("value:Q", format=".1%")))
    about = "Accuracy by round: " + "; ".join(f"{row['round']}: {row['label']}" for row in rows)
    return charts.drawing(alt.layer(*layers), about, width=charts.WIDE, height=300)


def bars(arms: Sequence[Arm]) -> charts.Drawing | None:
    """One bar per arm with its interval, and with several runs one tick per run; None without arms."""
    import altair as alt

    if not arms:
        return None
    rows = [_bar(arm) for arm in arms]
    whole = charts.chart_of(rows).encode(
        y=alt.Y("arm:N", sort=None, title=None, axis=alt.Axis(labelColor=charts.INK, labelFontSize=13))
    )
    axis = alt.Axis(format="%", tickCount=5)
    bar = whole.mark_bar(height=18, cornerRadiusEnd=2).encode(
        x=alt.X("value:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=axis)
    )
    error_bar = whole.mark_rule(strokeWidth=2.5).encode(x="low:Q", x2="high:Q")
    text = whole.mark_text(align="left").encode(x=alt.value(charts.WIDE + 14), text="label:N")
    layers: list[Any] = [bar, error_bar, text]
    ticks = [{"arm": arm.name, "value": value} for arm in arms for value in arm.accuracy.runs if len(arm.accuracy.runs) > 1]
    if ticks:
        strokes = charts.chart_of(ticks).encode(y=alt.Y("arm:N", sort=None), x="value:Q")
        layers.append(strokes.mark_tick(color=charts.INK, thickness=1, height=14))
    about = "Accuracy by arm: " + "; ".join(f"{row['arm']} {row['label']}" for row in rows)
    return charts.drawing(alt.layer(*layers), about, width=charts.WIDE, height=charts.height_of(len(rows), 32))


def _bar(arm: Arm) -> dict[str, Any]:
    label = f"{format_percent(arm.accuracy.value)} ({format_interval(arm.accuracy)})"
    return {"arm": arm.name, "value": arm.accuracy.value, **_clipped_interval(arm), "label": label}


def _clipped_interval(arm: Arm) -> dict[str, float]:
    """An arm's interval within 0 and 100%: over few runs a Student's t interval may go beyond."""
    return {"low": max(0.0, arm.accuracy.low), "high": min(1.0, arm.accuracy.high)}

"""The scores as drawings: accuracy by round where there are rounds, and a bar an arm.

Arms named round-1, round-2 and on are the curve's points; a few other arms are level lines to compare with. Scales run from 0
to 100%, so that equal heights mean equal accuracies in every report.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attar.outputs.report import charts
from attar.outputs.report.arm_scores import Arm
from attar.outputs.report.formatting import format_interval, format_percent

_LEAST = 3
"""Fewer rounds are no curve."""
_LINES = 3
"""More other arms are no help to the eye."""
_APART = 0.055
"""Labels beside each other's lines stand so far apart at least, as a share of the scale."""
_NUMBERED = 12
"""Of more rounds the points have no figures beside them."""


def rounds(arms: Sequence[Arm]) -> Mapping[int, Arm]:
    """The arms that are rounds, by number."""
    numbered = {int(found[1]): arm for arm in arms if (found := re.fullmatch(r"round-(\d+)", arm.name))}
    return dict(sorted(numbered.items()))


def in_bars(arms: Sequence[Arm]) -> list[Arm]:
    """The arms for the bar chart: of rounds that are a curve only the last."""
    found = rounds(arms)
    drawn = list(found.values())[:-1] if len(found) >= _LEAST else []
    return [arm for arm in arms if arm not in drawn]


def points(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """round, value, low, high of each round; what an interval has beyond 0 and 100% is cut off."""
    return [
        {
            "round": number,
            "value": arm.accuracy.value,
            **_ends(arm),
            "told": f"{format_percent(arm.accuracy.value)} ({format_interval(arm.accuracy)})",
        }
        for number, arm in rounds(arms).items()
    ]


def runs(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """run, round, value of each of several runs."""
    found = rounds(arms)
    several = max((len(arm.accuracy.runs) for arm in found.values()), default=0)
    each = range(several) if several > 1 else ()
    return [{"run": run, "round": number, "value": arm.accuracy.runs[run]} for run in each for number, arm in found.items()]


def levels(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """name, value, label (where its name stands) of the other arms, from the top down; none if they are many."""
    found = rounds(arms).values()
    others = sorted((arm for arm in arms if arm not in found), key=lambda arm: -arm.accuracy.value)
    if len(others) > _LINES:
        return []
    labels = [arm.accuracy.value for arm in others]
    for place in range(1, len(labels)):
        labels[place] = min(labels[place], labels[place - 1] - _APART)
    out = [{"name": arm.name, "value": arm.accuracy.value, "label": at} for arm, at in zip(others, labels, strict=True)]
    return [{**line, "told": f"{line['name']} {format_percent(line['value'])}"} for line in out]


def curve(arms: Sequence[Arm]) -> charts.Drawing | None:
    """Accuracy by round with its interval, each run's line, and the other arms as levels; None of fewer than three."""
    import altair as alt

    rows = points(arms)
    if len(rows) < _LEAST:
        return None
    x = alt.X(
        "round:Q",
        title="round",
        scale=alt.Scale(zero=False, nice=False, padding=24),
        axis=alt.Axis(tickMinStep=1, format="d", grid=False, tickCount=min(16, len(rows))),
    )
    scale = alt.Scale(domain=[0, 1])
    y = alt.Y("value:Q", title=None, scale=scale, axis=alt.Axis(format="%", tickCount=5))
    whole = charts.of(rows).encode(x=x)
    band = whole.mark_area(opacity=0.16, color=charts.ROSE).encode(y=alt.Y("low:Q", scale=scale, title=None), y2="high:Q")
    line = whole.mark_line(strokeWidth=2.6).encode(y=y)
    tips = [alt.Tooltip("round:Q"), alt.Tooltip("told:N", title="accuracy")]
    dots = whole.mark_point(size=55, opacity=1).encode(y=y, tooltip=tips)
    layers: list[Any] = [band]
    if own := runs(arms):
        thin = charts.of(own).mark_line(strokeWidth=1, opacity=0.5).encode(x=x, y=y, detail="run:N")
        layers.append(thin)
    if others := levels(arms):
        level = charts.of(others).encode(y=y)
        right = charts.of(others).encode(x=alt.value(charts.WIDE + 12), y=alt.Y("label:Q", scale=scale, title=None))
        layers.append(level.mark_rule(strokeDash=[5, 4], color=charts.SOFT))
        layers.append(right.mark_text(align="left", color=charts.SOFT).encode(text="told:N"))
    layers += [line, dots]
    if len(rows) <= _NUMBERED:
        layers.append(whole.mark_text(dy=-13).encode(y=y, text=alt.Text("value:Q", format=".1%")))
    about = "Accuracy by round: " + "; ".join(f"{row['round']}: {row['told']}" for row in rows)
    return charts.drawing(alt.layer(*layers), about, width=charts.WIDE, height=300)


def bars(arms: Sequence[Arm]) -> charts.Drawing | None:
    """A bar an arm with its interval, and where there are several runs a stroke for each; None without arms."""
    import altair as alt

    if not arms:
        return None
    rows = [_bar(arm) for arm in arms]
    whole = charts.of(rows).encode(
        y=alt.Y("arm:N", sort=None, title=None, axis=alt.Axis(labelColor=charts.INK, labelFontSize=13))
    )
    axis = alt.Axis(format="%", tickCount=5)
    bar = whole.mark_bar(height=18, cornerRadiusEnd=2).encode(
        x=alt.X("value:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=axis)
    )
    error_bar = whole.mark_rule(strokeWidth=2.5).encode(x="low:Q", x2="high:Q")
    text = whole.mark_text(align="left").encode(x=alt.value(charts.WIDE + 14), text="told:N")
    layers: list[Any] = [bar, error_bar, text]
    own = [{"arm": arm.name, "value": value} for arm in arms for value in arm.accuracy.runs if len(arm.accuracy.runs) > 1]
    if own:
        strokes = charts.of(own).encode(y=alt.Y("arm:N", sort=None), x="value:Q")
        layers.append(strokes.mark_tick(color=charts.INK, thickness=1, height=14))
    about = "Accuracy by arm: " + "; ".join(f"{row['arm']} {row['told']}" for row in rows)
    return charts.drawing(alt.layer(*layers), about, width=charts.WIDE, height=charts.height_of(len(rows), 32))


def _bar(arm: Arm) -> dict[str, Any]:
    told = f"{format_percent(arm.accuracy.value)} ({format_interval(arm.accuracy)})"
    return {"arm": arm.name, "value": arm.accuracy.value, **_ends(arm), "told": told}


def _ends(arm: Arm) -> dict[str, float]:
    """Where an arm's interval is drawn: over few runs it may go beyond all or nothing."""
    return {"low": max(0.0, arm.accuracy.low), "high": min(1.0, arm.accuracy.high)}

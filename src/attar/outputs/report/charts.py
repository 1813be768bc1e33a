"""How every chart of a report looks, and Altair's charts as plain data.

Colours are the page's own (CSS variables), so that a chart follows light, dark and print as the text around it does. Charts get
few rows, already counted or sampled: the page holds what is drawn and no more.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

Drawing = dict[str, Any]
"""A chart as Vega-Lite has it."""

ROSE, BAR, INK, SOFT, LINE, PAPER = (f"var(--{name})" for name in ("rose", "bar", "ink", "soft", "line", "paper"))
HUES = (ROSE, *(f"var(--hue-{number})" for number in range(2, 7)))
"""Told apart by the colour-blind too; more series than these are drawn in one colour."""
WIDE = 560
"""Of a chart that has its column to itself; names stand left of it and figures right."""

_AXIS = {
    "domain": False,
    "ticks": False,
    "gridColor": LINE,
    "labelColor": SOFT,
    "titleColor": SOFT,
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
    "labelPadding": 8,
    "titlePadding": 10,
    "labelLimit": 240,
    "labelFlush": False,
}
_LEGEND = {"labelColor": INK, "titleColor": SOFT, "labelFontSize": 12, "symbolType": "circle", "orient": "top", "title": None}
LOOKS: Mapping[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "padding": 2,
    "view": {"stroke": None},
    "axis": _AXIS,
    "legend": {**_LEGEND, "labelLimit": 320, "columnPadding": 18},
    "text": {"color": INK, "fontSize": 12},
    "bar": {"color": BAR},
    "rule": {"color": ROSE},
    "line": {"color": ROSE, "strokeJoin": "round"},
    "point": {"color": ROSE, "filled": True},
}
"""The configuration of all charts, handed to the page once."""


def of(rows: Iterable[Mapping[str, Any]]) -> "alt.Chart":
    """A chart of these rows."""
    import altair as alt

    return alt.Chart(alt.InlineData(values=list(rows)))


def drawing(chart: Any, about: str, **size: float) -> Drawing:
    """A chart as plain data; `about` tells those who cannot see it what it shows."""
    found = chart.properties(description=about, **size).to_dict()
    for key in ("config", "$schema"):
        found.pop(key, None)
    return found


def height_of(lines: int, each: float = 30) -> float:
    """How high a chart with so many lines is."""
    return each * max(1, lines)

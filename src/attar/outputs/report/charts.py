"""The common style of all charts of a report, and Altair charts as plain data.

Colours are CSS variables of the page, so that a chart follows the light, dark and print styles like the text around it. Charts
get few rows, already counted or sampled, because the page contains their data.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

Drawing = dict[str, Any]
"""A chart as a Vega-Lite specification."""

ROSE, BAR, INK, SOFT, LINE, PAPER = (f"var(--{name})" for name in ("rose", "bar", "ink", "soft", "line", "paper"))
HUES = (ROSE, *(f"var(--hue-{number})" for number in range(2, 7)))
"""Distinguishable for colour-blind readers too; if there are more series than colours, all have one colour."""
WIDE = 560
"""Width of a chart that fills its column; names are left of it and values right."""

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
"""The Vega-Lite configuration of all charts; the page has it once."""


def chart_of(rows: Iterable[Mapping[str, Any]]) -> "alt.Chart":
    """A chart of these rows."""
    import altair as alt

    return alt.Chart(alt.InlineData(values=list(rows)))


def drawing(chart: Any, about: str, **size: float) -> Drawing:
    """A chart as plain data; `about` describes it for screen readers."""
    spec = chart.properties(description=about, **size).to_dict()
    for key in ("config", "$schema"):
        spec.pop(key, None)
    return spec


def height_of(lines: int, each: float = 30) -> float:
    """The height of a chart with this number of lines."""
    return each * max(1, lines)

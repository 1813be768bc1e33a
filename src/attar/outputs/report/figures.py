"""Any table of figures with intervals, as charts and as lines: one point per group, its interval, and its provenance.

A table of figures has the columns `value, low, high`, usually also `figure` and `count`. The other columns that name a row
(model, category, judge ...) are its group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from attar.core.table import Table
from attar.outputs.report import charts
from attar.outputs.report.formatting import format_number

_NEEDED = ("value", "low", "high")
_PROVENANCE = ("judge", "asked", "order", "date")
_NAMES = ("model", "opponent", "arm", "name", "side", "category", "level", "group", "judge_1", "judge_2", "judge")
_MAX_POINTS = 40
"""Points of one chart; the rest are only in the table."""


@dataclass(frozen=True, slots=True)
class FigureChart:
    """One figure for all groups: its lines and its chart."""

    name: str
    lines: Sequence[Mapping[str, Any]]
    chart: charts.Drawing


@dataclass(frozen=True, slots=True)
class Figures:
    """A table of figures: its title, one chart per figure, and the provenance columns (judge, order, date ...)."""

    title: str
    figures: Sequence[FigureChart]
    provenance: Mapping[str, Sequence[str]]


def figures(title: str, table: Table) -> Figures | None:
    """The charts and lines of a table of figures; None for any other table."""
    if not are_figures(table.schema):
        return None
    known = table.drop_nulls("value")
    if known.is_empty():
        return None
    rows = known.with_columns(figure="figure" if "figure" in known.columns else pl.lit("value")).to_dicts()
    names = _grouping_columns(known)
    lines = [{**row, **_group_of(row, names)} for row in rows]
    figure_charts = []
    for name in dict.fromkeys(row["figure"] for row in lines):
        figure_lines = [row for row in lines if row["figure"] == name]
        figure_charts.append(FigureChart(name, figure_lines, _chart(figure_lines[:_MAX_POINTS], name)))
    return Figures(title, figure_charts, {key: _values(known, key) for key in _PROVENANCE if key in known.columns})


def are_figures(columns: Mapping[str, pl.DataType]) -> bool:
    """Whether a table with these columns is a table of figures."""
    return all(name in columns and columns[name].is_numeric() for name in _NEEDED)


def is_share(lines: Sequence[Mapping[str, Any]]) -> bool:
    """Whether all values and interval ends are within 0 and 1."""
    ends = [row[key] for row in lines for key in _NEEDED if row[key] is not None]
    return all(0 <= value <= 1 for value in ends)


def _grouping_columns(table: Table) -> list[str]:
    """The columns that distinguish groups; of two, the one with fewer values first."""
    present = [name for name in _NAMES if name in table.columns]
    names = [name for name in present if table[name].n_unique() > 1] or [name for name in present if name != "judge"][:1]
    return sorted(names, key=lambda name: table[name].n_unique()) if len(names) == 2 else names


def _group_of(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
    """A row's group; of two names the first is its series, shown by colour."""
    values = ["all" if row[name] is None else str(row[name]) for name in names]
    if len(values) == 2:
        return {"series": values[0], "group": values[1]}
    return {"series": "", "group": " · ".join(values) or str(row.get("id", "all"))}


def _values(table: Table, key: str) -> list[str]:
    return table[key].drop_nulls().cast(pl.String).unique(maintain_order=True).to_list()


def _chart(lines: Sequence[Mapping[str, Any]], name: str) -> charts.Drawing:
    """One line per group: the interval as a bar, the value as a dot, both as text beside it; one colour per series."""
    import altair as alt

    share = is_share(lines)
    rows = [{key: row.get(key) for key in ("series", "group", *_NEEDED)} | {"label": _label(row, share)} for row in lines]
    series = list(dict.fromkeys(str(row["series"]) for row in rows))
    x = alt.X("value:Q", title=None, scale=alt.Scale(zero=share), axis=alt.Axis(tickCount=6, format="%" if share else ",~f"))
    y = alt.Y("group:N", sort=None, title=None, axis=alt.Axis(grid=False, labelColor=charts.INK))
    base = charts.chart_of(rows).encode(y=y, **(_color_encoding(series) if len(series) > 1 else {}))
    interval = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x="low:Q", x2="high:Q")
    value = base.mark_point(size=70, opacity=1).encode(x=x)
    text = base.mark_text(align="left").encode(x=alt.value(charts.WIDE + 14), text="label:N", color=alt.value(charts.INK))
    about = f"{name}, with 95% intervals: " + "; ".join(
        f"{row['series']} {row['group']} {row['label']}".strip() for row in rows
    )
    groups = len({row["group"] for row in rows})
    height = charts.height_of(groups, 26 if len(series) == 1 else 10 + 20 * len(series))
    return charts.drawing(alt.layer(interval, value, text), about, width=charts.WIDE, height=height)


def _color_encoding(series: Sequence[str]) -> dict[str, Any]:
    import altair as alt

    hues = charts.HUES if len(series) <= len(charts.HUES) else [charts.ROSE]
    colour = alt.Color("series:N", scale=alt.Scale(domain=list(series), range=list(hues[: len(series)])))
    return {"color": colour, "yOffset": alt.YOffset("series:N", sort=None)}


def _label(row: Mapping[str, Any], share: bool) -> str:
    numbers = [f"{100 * row[key]:.1f}" if share else format_number(row[key]) for key in _NEEDED if row[key] is not None]
    percent = "%" if share else ""
    return f"{numbers[0]}{percent}" + (f" ({numbers[1]} to {numbers[2]})" if len(numbers) == 3 else "")

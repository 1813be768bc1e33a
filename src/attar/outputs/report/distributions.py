"""Distributions of the columns of rows: a histogram or one bar per word, with kept and dropped rows.

Each column is shown for the widest level that has it, so that the rows dropped because of it are included. Long tails are
counted in the last bin.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from attar.core.table import Table
from attar.outputs.report import charts
from attar.outputs.report.lineage import Level, Lineage
from attar.stages.annotate.judge_prompts import DIFFICULTIES, QUALITIES

TITLES = {
    "difficulty": "difficulty",
    "quality": "quality",
    "complexity": "complexity",
    "evol": "complexity times quality",
    "reward": "reward",
    "second_reward": "second reward",
    "base_reward": "reward of the base's own answer",
    "rating": "rating",
    "score": "score",
    "neighbour_distance": "distance to the nearest neighbour",
    "category": "category",
    "family": "family",
    "level": "level",
    "language": "language",
    "prompt_chars": "prompt, characters",
    "response_chars": "response, characters",
    "prompt_tokens": "prompt, tokens",
    "response_tokens": "response, tokens",
    "length_ratio": "length relative to the prompt's other answers",
    "cluster_distance": "distance to the cluster center",
    "safe": "probability that it is safe",
}
"""The columns that are shown if present, in this order."""
_INSTEAD = {"prompt_tokens": "prompt_chars", "response_tokens": "response_chars", "cluster_distance": "neighbour_distance"}
"""A column (key) is not shown if another that measures the same (value) is present."""
_ORDERS = (DIFFICULTIES, QUALITIES)
_BINS = 24
_MAX_WORDS = 12


@dataclass(frozen=True, slots=True)
class ColumnDistribution:
    """A column: its rows, the medians of kept and dropped rows (numbers only), and its chart."""

    column: str
    title: str
    rows: int
    kept: float | None
    dropped: float | None
    drawing: charts.Drawing


def lineage_distributions(lineage: Lineage) -> list[ColumnDistribution]:
    """The distributions of all columns of the rows that led to a result."""
    widest = {column: level for column in TITLES if (level := lineage.widest(lambda level, c=column: _shows(level, c)))}
    shown = [column for column in widest if _INSTEAD.get(column) not in widest]
    tables = ((column, _rows(widest[column], column, lineage.kept)) for column in shown)
    return [distribution for column, table in tables if (distribution := column_distribution(column, table))]


def column_distribution(column: str, table: Table) -> ColumnDistribution | None:
    """value, kept -> a column's distribution; None if the column has fewer than two different values."""
    known = table.drop_nulls("value")
    if known["value"].n_unique() < 2:
        return None
    title = TITLES.get(column, column)
    if known["value"].dtype == pl.String:
        lines = count_words(known)
        return ColumnDistribution(column, title, len(known), None, None, _bars(lines, title))
    kept, dropped = (known.filter(pl.col("kept") == which)["value"].median() for which in (True, False))
    return ColumnDistribution(
        column, title, len(known), _number(kept), _number(dropped), _histogram(list(count_bins(known)), title)
    )


def count_words(table: Table) -> list[dict[str, Any]]:
    """value, kept -> rows and kept rows of each word, in the order of its scale, or else the most common first."""
    counted = (
        table.group_by("value").agg(kept=pl.col("kept").sum(), rows=pl.len()).sort(["rows", "value"], descending=[True, False])
    )
    lines = counted.to_dicts()
    scale = next((order for order in _ORDERS if {line["value"] for line in lines} <= set(order)), None)
    if scale:
        lines.sort(key=lambda line: scale.index(line["value"]))
    shown, rest = lines[:_MAX_WORDS], lines[_MAX_WORDS:]
    if rest:
        others = {key: sum(line[key] for line in rest) for key in ("kept", "rows")}
        shown.append({"value": f"{len(rest)} others", **others})
    return shown


def count_bins(table: Table) -> Iterator[dict[str, Any]]:
    """value, kept -> low, high, kept, rows of each of `_BINS` equal bins."""
    values, kept = table["value"].to_numpy().astype(float), table["kept"].to_numpy()
    low, high = _bin_range(values)
    edges = np.linspace(low, high, _BINS + 1)
    clipped = np.clip(values, low, high)
    all_counts, kept_counts = (np.histogram(part, edges)[0] for part in (clipped, clipped[kept]))
    for start, stop, rows, kept_rows in zip(edges[:-1], edges[1:], all_counts, kept_counts, strict=True):
        yield {"low": float(start), "high": float(stop), "rows": int(rows), "kept": int(kept_rows)}


def _bin_range(values: np.ndarray) -> tuple[float, float]:
    """The range of the bins: all values, except the far ends of long tails."""
    low, high = float(values.min()), float(values.max())
    low_tail, high_tail = (float(value) for value in np.quantile(values, [0.005, 0.995]))
    if high_tail > low_tail and high - low > 2 * (high_tail - low_tail):
        return low_tail, high_tail
    return low, high


def _shows(level: Level, column: str) -> bool:
    kinds = [step.columns.get(column) for step in level.steps]
    return all(kind is not None and (kind.is_numeric() or kind == pl.String) for kind in kinds)


def _rows(level: Level, column: str, kept: frozenset[str]) -> Table:
    """Each row's value, and whether it was kept."""
    table = level.scan("id", column).collect()
    value = table[column].fill_nan(None) if table[column].dtype.is_float() else table[column]
    finite = pl.when(pl.col("value").is_finite()).then("value") if value.dtype.is_float() else pl.col("value")
    is_kept = pl.Series("kept", [name in kept for name in table["id"]], dtype=pl.Boolean)
    return pl.DataFrame({"value": value, "kept": is_kept}).with_columns(finite.alias("value"))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


_SMALL = {"width": 250, "height": 110}


def _histogram(lines: Sequence[Mapping[str, Any]], title: str) -> charts.Drawing:
    import altair as alt

    x = alt.X(
        "low:Q", bin="binned", title=None, axis=alt.Axis(tickCount=5, grid=False), scale=alt.Scale(zero=False, nice=False)
    )
    base = charts.chart_of(lines).encode(x=x, x2="high:Q", tooltip=_tips(("low", ".4~g"), ("high", ".4~g")))
    all_rows = base.mark_bar(color=charts.LINE, binSpacing=1).encode(y=alt.Y("rows:Q", title=None, axis=_counts()))
    kept = base.mark_bar(color=charts.ROSE, binSpacing=1).encode(y="kept:Q")
    return charts.drawing(all_rows + kept, f"Histogram: {title}", **_SMALL)


def _bars(lines: Sequence[Mapping[str, Any]], title: str) -> charts.Drawing:
    import altair as alt

    base = charts.chart_of(lines).encode(
        y=alt.Y("value:N", sort=None, title=None, axis=alt.Axis(labelLimit=120)), tooltip=_tips(("value", ""))
    )
    all_rows = base.mark_bar(color=charts.LINE, height=14).encode(x=alt.X("rows:Q", title=None, axis=_counts()))
    kept = base.mark_bar(color=charts.ROSE, height=14).encode(x="kept:Q")
    size = {"width": 170, "height": charts.height_of(len(lines), 22)}
    return charts.drawing(all_rows + kept, f"Rows by {title}", **size)


def _counts() -> Any:
    import altair as alt

    return alt.Axis(tickCount=3, format=",d")


def _tips(*columns: tuple[str, str]) -> list[Any]:
    import altair as alt

    tips = [alt.Tooltip(f"{name}:{'Q' if style else 'N'}", format=style) for name, style in columns]
    return [*tips, alt.Tooltip("rows:Q", format=","), alt.Tooltip("kept:Q", format=",")]

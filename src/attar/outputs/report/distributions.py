"""How what was measured of rows is spread: of every column a histogram or a bar a word, the kept rows apart from the dropped.

Of each column the widest level that has it is shown, so that what was dropped for it is seen. Long tails stand in the last bin.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from attar.core.table import Table
from attar.outputs.report import charts
from attar.outputs.report.lineage import Level, Line
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
    "length_ratio": "length beside the prompt's other answers",
    "cluster_distance": "distance to the middle of its cluster",
    "safe": "chance that it is safe",
}
"""The columns that are shown if there are any, in this order."""
_INSTEAD = {"prompt_tokens": "prompt_chars", "response_tokens": "response_chars", "cluster_distance": "neighbour_distance"}
"""What need not be shown beside another that says the same."""
_ORDERS = (DIFFICULTIES, QUALITIES)
_BINS, _WORDS = 24, 12


@dataclass(frozen=True, slots=True)
class Spread:
    """A column, of how many rows, the middle of the kept and of the dropped ones (numbers only), and its chart."""

    column: str
    title: str
    rows: int
    kept: float | None
    dropped: float | None
    drawing: charts.Drawing


def spreads(line: Line) -> list[Spread]:
    """What there is to see of the rows that led to a result."""
    found = {column: level for column in TITLES if (level := line.widest(lambda level, c=column: _shows(level, c)))}
    shown = [column for column in found if _INSTEAD.get(column) not in found]
    tables = ((column, _rows(found[column], column, line.kept)) for column in shown)
    return [made for column, table in tables if (made := spread(column, table))]


def spread(column: str, table: Table) -> Spread | None:
    """value, kept -> a column's spread; None of one without two values, of which there is nothing to see."""
    known = table.drop_nulls("value")
    if known["value"].n_unique() < 2:
        return None
    title = TITLES.get(column, column)
    if known["value"].dtype == pl.String:
        lines = words(known)
        return Spread(column, title, len(known), None, None, _bars(lines, title))
    kept, dropped = (known.filter(pl.col("kept") == which)["value"].median() for which in (True, False))
    return Spread(column, title, len(known), _number(kept), _number(dropped), _histogram(list(bins(known)), title))


def words(table: Table) -> list[dict[str, Any]]:
    """value, kept -> how many rows of each word are kept and dropped: in the order of a scale, else the commonest first."""
    counted = (
        table.group_by("value").agg(kept=pl.col("kept").sum(), rows=pl.len()).sort(["rows", "value"], descending=[True, False])
    )
    lines = counted.to_dicts()
    scale = next((order for order in _ORDERS if {line["value"] for line in lines} <= set(order)), None)
    if scale:
        lines.sort(key=lambda line: scale.index(line["value"]))
    shown, rest = lines[:_WORDS], lines[_WORDS:]
    if rest:
        others = {key: sum(line[key] for line in rest) for key in ("kept", "rows")}
        shown.append({"value": f"{len(rest)} others", **others})
    return shown


def bins(table: Table) -> Iterator[dict[str, Any]]:
    """value, kept -> low, high, kept, rows of each of a few equal bins."""
    values, kept = table["value"].to_numpy().astype(float), table["kept"].to_numpy()
    low, high = _ends(values)
    edges = np.linspace(low, high, _BINS + 1)
    clipped = np.clip(values, low, high)
    every, those = (np.histogram(some, edges)[0] for some in (clipped, clipped[kept]))
    for start, stop, rows, some in zip(edges[:-1], edges[1:], every, those, strict=True):
        yield {"low": float(start), "high": float(stop), "rows": int(rows), "kept": int(some)}


def _ends(values: np.ndarray) -> tuple[float, float]:
    """From where to where bins go: all values, but not the far ends of long tails."""
    low, high = float(values.min()), float(values.max())
    near, far = (float(value) for value in np.quantile(values, [0.005, 0.995]))
    if far > near and high - low > 2 * (far - near):
        return near, far
    return low, high


def _shows(level: Level, column: str) -> bool:
    kinds = [step.columns.get(column) for step in level.steps]
    return all(kind is not None and (kind.is_numeric() or kind == pl.String) for kind in kinds)


def _rows(level: Level, column: str, kept: frozenset[str]) -> Table:
    """Each row's value, and whether it was kept."""
    table = level.scan("id", column).collect()
    value = table[column].fill_nan(None) if table[column].dtype.is_float() else table[column]
    finite = pl.when(pl.col("value").is_finite()).then("value") if value.dtype.is_float() else pl.col("value")
    there = pl.Series("kept", [name in kept for name in table["id"]], dtype=pl.Boolean)
    return pl.DataFrame({"value": value, "kept": there}).with_columns(finite.alias("value"))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


_SMALL = {"width": 250, "height": 110}


def _histogram(lines: Sequence[Mapping[str, Any]], title: str) -> charts.Drawing:
    import altair as alt

    x = alt.X(
        "low:Q", bin="binned", title=None, axis=alt.Axis(tickCount=5, grid=False), scale=alt.Scale(zero=False, nice=False)
    )
    whole = charts.of(lines).encode(x=x, x2="high:Q", tooltip=_tips(("low", ".4~g"), ("high", ".4~g")))
    every = whole.mark_bar(color=charts.LINE, binSpacing=1).encode(y=alt.Y("rows:Q", title=None, axis=_counts()))
    kept = whole.mark_bar(color=charts.ROSE, binSpacing=1).encode(y="kept:Q")
    return charts.drawing(every + kept, f"Histogram: {title}", **_SMALL)


def _bars(lines: Sequence[Mapping[str, Any]], title: str) -> charts.Drawing:
    import altair as alt

    whole = charts.of(lines).encode(
        y=alt.Y("value:N", sort=None, title=None, axis=alt.Axis(labelLimit=120)), tooltip=_tips(("value", ""))
    )
    every = whole.mark_bar(color=charts.LINE, height=14).encode(x=alt.X("rows:Q", title=None, axis=_counts()))
    kept = whole.mark_bar(color=charts.ROSE, height=14).encode(x="kept:Q")
    size = {"width": 170, "height": charts.height_of(len(lines), 22)}
    return charts.drawing(every + kept, f"Rows by {title}", **size)


def _counts() -> Any:
    import altair as alt

    return alt.Axis(tickCount=3, format=",d")


def _tips(*own: tuple[str, str]) -> list[Any]:
    import altair as alt

    named = [alt.Tooltip(f"{name}:{'Q' if style else 'N'}", format=style) for name, style in own]
    return [*named, alt.Tooltip("rows:Q", format=","), alt.Tooltip("kept:Q", format=",")]

"""A run's prompts as a map: those alike stand near each other, so that one sees what was kept and what was left out.

The two directions along which the vectors differ most (principal components). A run that embedded nothing is mapped by its
prompts' letters. Of many rows those with the lowest hash of their id are shown: the same ones every time, kept or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from heapq import nsmallest

import numpy as np
import polars as pl

from attar.core.table import Table
from attar.outputs.report import charts
from attar.outputs.report.lineage import Level, Line, Step
from attar.stages.annotate import embed

MOST = 2000
"""Points that are shown: more would be a heavy page and no clearer."""
_LEAST = 3
_TEXT = 160


@dataclass(frozen=True, slots=True)
class Plane:
    """The map: of how many rows, how many of them shown, by what, how much of all differences it shows."""

    rows: int
    shown: int
    by_letters: bool
    share: float
    drawing: charts.Drawing


def plane(line: Line, steps: Sequence[Step]) -> Plane | None:
    """The map of what led to a result; None where there are no prompts, or too few."""
    embedded = max((step for step in steps if _has(step, "embedding", "prompt")), key=lambda step: step.rows, default=None)
    level = Level(embedded.name, (embedded,)) if embedded else _prompts(line)
    if level is None:
        return None
    ids = level.scan("id").collect()["id"]
    chosen = sample(ids.unique(maintain_order=True).to_list(), MOST)
    table = level.scan("id", "prompt", *(["embedding"] if embedded else [])).filter(pl.col("id").is_in(chosen)).collect()
    table = table.unique("id", maintain_order=True).drop_nulls("prompt")
    if len(table) < _LEAST:
        return None
    table = (embed.letters(table) if embedded is None else table).drop_nulls("embedding")
    if len(table) < _LEAST:
        return None
    wide = table["embedding"].list.len()
    table = table.filter(wide == wide[0])
    vectors = table["embedding"].explode().to_numpy().reshape(len(table), -1)
    places, share = flat(vectors)
    by_letters = embedded is None or embedded.role == "letters"
    return Plane(len(ids), len(table), by_letters, share, chart(_points(table, places, line)))


def sample(ids: Sequence[str], most: int) -> list[str]:
    """At most so many ids, those with the lowest hashes."""
    return nsmallest(most, ids, key=lambda name: (blake2b(name.encode(), digest_size=8).digest(), name))


def flat(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """Each vector's place along the two leading directions, and what share of the variance these two hold.

    A direction's sign, which nothing decides, is such that its largest entry is positive.
    """
    middle = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    values, directions = np.linalg.eigh(middle.T @ middle if middle.shape[1] <= middle.shape[0] else middle @ middle.T)
    leading = directions[:, :-3:-1]
    if middle.shape[1] > middle.shape[0]:
        leading = middle.T @ leading
        leading = leading / np.maximum(np.linalg.norm(leading, axis=0), 1e-12)
    signs = np.sign(leading[np.abs(leading).argmax(axis=0), np.arange(leading.shape[1])])
    places = middle @ (leading * np.where(signs == 0, 1, signs))
    if places.shape[1] < 2:
        places = np.column_stack([places, np.zeros(len(places))])
    whole = float(values.clip(0).sum())
    return places, float(values[-2:].clip(0).sum()) / whole if whole else 0.0


def chart(points: Table) -> charts.Drawing:
    """A dot a prompt, the kept ones on top; what it says is told where it is pointed at."""
    import altair as alt

    scale = alt.Scale(domain=["kept", "dropped"], range=[charts.ROSE, charts.SOFT])
    bare = alt.Axis(labels=False, grid=False, title=None)
    tips = [alt.Tooltip(f"{name}:N") for name in ("prompt", "state", "why", "id")]
    rows = points.sort("state", descending=False).to_dicts()  # dropped ones first, so that kept ones lie upon them
    dots = (
        charts.of(rows)
        .mark_point(size=16, aria=False)
        .encode(
            x=alt.X("x:Q", axis=bare, scale=alt.Scale(zero=False)),
            y=alt.Y("y:Q", axis=bare, scale=alt.Scale(zero=False)),
            color=alt.Color("state:N", scale=scale, legend=None),
            opacity=alt.condition("datum.state == 'kept'", alt.value(0.8), alt.value(0.5)),
            tooltip=tips,
        )
    )
    return charts.drawing(dots, f"A map of {len(rows)} prompts by likeness, kept and dropped", width=760, height=460)


def _points(table: Table, places: np.ndarray, line: Line) -> Table:
    ids = table["id"].to_list()
    reasons = line.reasons([name for name in ids if name not in line.kept])
    return pl.DataFrame(
        {
            "x": np.round(places[:, 0], 4),
            "y": np.round(places[:, 1], 4),
            "id": ids,
            "prompt": table["prompt"].str.slice(0, _TEXT),
            "state": ["kept" if name in line.kept else "dropped" for name in ids],
            "why": ["" if name in line.kept else reasons.get(name, "not chosen") for name in ids],
        }
    )


def _prompts(line: Line) -> Level | None:
    """Where the prompts stand once each, before they are answered; else wherever they stand."""
    alone = line.widest(lambda level: level.has("prompt") and not level.has("response"))
    return alone or line.widest(lambda level: level.has("prompt"))


def _has(step: Step, *columns: str) -> bool:
    kinds = step.columns
    return all(column in kinds for column in columns) and isinstance(kinds[columns[0]], pl.List)

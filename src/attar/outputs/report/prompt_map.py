"""A map of a run's prompts: similar prompts are near each other, which shows what was kept and what was dropped.

The axes are the first two principal components of the embeddings. A run without embeddings is mapped by character n-gram
hashes of its prompts. Of many rows, those with the lowest hash of their id are shown: the same rows every time, kept or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from heapq import nsmallest

import numpy as np
import polars as pl

from attar.core.table import Table
from attar.outputs.report import charts
from attar.outputs.report.lineage import FinishedStep, Level, Lineage
from attar.stages.annotate import embed

MAX_POINTS = 2000
"""Maximum points of the map: more would make the page larger and no clearer."""
_MIN_PROMPTS = 3
_PROMPT_CHARS = 160


@dataclass(frozen=True, slots=True)
class Plane:
    """The map: all rows, rows shown, whether it is by n-grams, the share of the variance that it shows, and the chart."""

    rows: int
    shown: int
    by_ngrams: bool
    share: float
    drawing: charts.Drawing


def plane(lineage: Lineage, steps: Sequence[FinishedStep]) -> Plane | None:
    """The map of the prompts that led to a result; None if there are too few."""
    embedded = max((step for step in steps if _has(step, "embedding", "prompt")), key=lambda step: step.rows, default=None)
    level = Level(embedded.name, (embedded,)) if embedded else _prompt_level(lineage)
    if level is None:
        return None
    ids = level.scan("id").collect()["id"]
    chosen = sample_by_hash(ids.unique(maintain_order=True).to_list(), MAX_POINTS)
    table = level.scan("id", "prompt", *(["embedding"] if embedded else [])).filter(pl.col("id").is_in(chosen)).collect()
    table = table.unique("id", maintain_order=True).drop_nulls("prompt")
    if len(table) < _MIN_PROMPTS:
        return None
    table = (embed.letters(table) if embedded is None else table).drop_nulls("embedding")
    if len(table) < _MIN_PROMPTS:
        return None
    widths = table["embedding"].list.len()
    table = table.filter(widths == widths[0])
    vectors = table["embedding"].explode().to_numpy().reshape(len(table), -1)
    points, share = project(vectors)
    by_ngrams = embedded is None or embedded.role == "letters"
    return Plane(len(ids), len(table), by_ngrams, share, chart(_points(table, points, lineage)))


def sample_by_hash(ids: Sequence[str], most: int) -> list[str]:
    """The `most` ids with the lowest hashes."""
    return nsmallest(most, ids, key=lambda name: (blake2b(name.encode(), digest_size=8).digest(), name))


def project(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """Project vectors on their first two principal components; the points, and the share of the variance.

    The eigenvectors of X'X, or of XX' if there are fewer rows than dimensions. Signs are set so that each component's largest
    entry is positive.
    """
    centered = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)  # (rows, width)
    values, directions = np.linalg.eigh(
        centered.T @ centered if centered.shape[1] <= centered.shape[0] else centered @ centered.T
    )
    leading = directions[:, :-3:-1]  # (width or rows, 2), largest eigenvalue first
    if centered.shape[1] > centered.shape[0]:
        leading = centered.T @ leading
        leading = leading / np.maximum(np.linalg.norm(leading, axis=0), 1e-12)
    signs = np.sign(leading[np.abs(leading).argmax(axis=0), np.arange(leading.shape[1])])
    points = centered @ (leading * np.where(signs == 0, 1, signs))
    if points.shape[1] < 2:
        points = np.column_stack([points, np.zeros(len(points))])
    variance = float(values.clip(0).sum())
    return points, float(values[-2:].clip(0).sum()) / variance if variance else 0.0


def chart(points: Table) -> charts.Drawing:
    """One dot per prompt, kept ones on top; a tooltip shows the prompt."""
    import altair as alt

    scale = alt.Scale(domain=["kept", "dropped"], range=[charts.ROSE, charts.SOFT])
    bare = alt.Axis(labels=False, grid=False, title=None)
    tips = [alt.Tooltip(f"{name}:N") for name in ("prompt", "state", "why", "id")]
    rows = points.sort("state", descending=False).to_dicts()  # dropped rows first, so that kept rows are on top
    dots = (
        charts.chart_of(rows)
        .mark_point(size=16, aria=False)
        .encode(
            x=alt.X("x:Q", axis=bare, scale=alt.Scale(zero=False)),
            y=alt.Y("y:Q", axis=bare, scale=alt.Scale(zero=False)),
            color=alt.Color("state:N", scale=scale, legend=None),
            opacity=alt.condition("datum.state == 'kept'", alt.value(0.8), alt.value(0.5)),
            tooltip=tips,
        )
    )
    return charts.drawing(dots, f"A map of {len(rows)} prompts by similarity, kept and dropped", width=760, height=460)


def _points(table: Table, points: np.ndarray, lineage: Lineage) -> Table:
    ids = table["id"].to_list()
    reasons = lineage.reasons([name for name in ids if name not in lineage.kept])
    return pl.DataFrame(
        {
            "x": np.round(points[:, 0], 4),
            "y": np.round(points[:, 1], 4),
            "id": ids,
            "prompt": table["prompt"].str.slice(0, _PROMPT_CHARS),
            "state": ["kept" if name in lineage.kept else "dropped" for name in ids],
            "why": ["" if name in lineage.kept else reasons.get(name, "not chosen") for name in ids],
        }
    )


def _prompt_level(lineage: Lineage) -> Level | None:
    """The widest level with prompts that have no response yet, or else the widest level with prompts."""
    unanswered = lineage.widest(lambda level: level.has("prompt") and not level.has("response"))
    return unanswered or lineage.widest(lambda level: level.has("prompt"))


def _has(step: FinishedStep, *columns: str) -> bool:
    kinds = step.columns
    return all(column in kinds for column in columns) and isinstance(kinds[columns[0]], pl.List)

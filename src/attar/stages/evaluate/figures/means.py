"""Means of a score over parts of a table, and weighted means of these, with 95% bootstrap intervals over whole questions.

Each model, and each judge, has its own rows. Rows without a score are left out of the means and reported as `unscored`. All
figures of a model use the same draws, so that a weighted mean varies with its parts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from attar.core.errors import DataError
from attar.core.table import Table, need
from attar.stages.evaluate.figures.accuracy import ALL
from attar.stages.evaluate.judging.provenance import copy_provenance
from attar.statistics import bootstrap as boot
from attar.statistics.intervals import wilson

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Part:
    """The mean of the rows for which `rows` holds."""

    figure: str
    category: str | None
    rows: pl.Expr


@dataclass(frozen=True, slots=True)
class Mix:
    """The weighted mean of the parts of a figure, with a weight per category; parts without rows are left out."""

    figure: str
    category: str | None
    part: str
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Draws:
    """The column to average, and how to bootstrap it."""

    score: str
    share: bool = False
    """The score is from 0 to 1; a mean of 0 or 1 has Wilson's interval."""
    count: int = 1000
    seed: int = 0
    missing: float | None = None
    """The score of a row without one; None leaves it out."""


def figures_of(table: Table, parts: Sequence[Part], draws: Draws, mixes: Sequence[Mix] = ()) -> Table:
    """question, {score}, columns of the parts -> id, (model,) category, figure, value, low, high, count, and who judged."""
    need(table, "question", draws.score)
    if draws.count < 1:
        raise DataError(f"bootstrap must be >= 1, got {draws.count}")
    if not table[draws.score].dtype.is_numeric() and table[draws.score].dtype != pl.Null:
        raise DataError(f"column {draws.score!r} must hold numbers, got {table[draws.score].dtype}")
    keys = [name for name in ("model", "judge") if name in table.columns]
    groups = table.sort(*keys, "id").partition_by(keys, maintain_order=True) if keys and len(table) else [table]
    naming = [name for name in keys if name == "model" or table["judge"].n_unique() > 1]
    tables = []
    for group in groups:
        names = {name: str(group[name].first()) for name in naming}
        lines = [{**names, **line} for line in _lines(group, parts, draws, mixes)]
        tables.append(copy_provenance(lines_to_table(lines), group))
    return pl.concat(tables)


def lines_to_table(lines: Sequence[Mapping[str, Any]]) -> Table:
    """Figures as a table; the id joins the columns that name a figure, and no category means all of them."""
    numbers = {"value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "count": pl.Int64}
    names = [name for name in lines[0] if name not in numbers]
    ids = ["/".join(str(line[name]) for name in names if line[name] is not None) for line in lines]
    out = pl.DataFrame(list(lines), schema={**dict.fromkeys(names, pl.String), **numbers})
    out = out.select(pl.Series("id", ids, dtype=pl.String), *out.columns)
    return out.with_columns(pl.col("category").fill_null(ALL)) if "category" in names else out


def interval(values: np.ndarray, questions: int, *, share: bool) -> dict[str, float | None]:
    """A figure, `values[0]`, with the interval of its draws, `values[1:]`; a share of 0 or 1 has Wilson's interval."""
    value = float(values[0])
    if not np.isfinite(value):
        return {"value": None, "low": None, "high": None}
    low, high = boot.bootstrap_interval(values[1:], questions)
    if share and min(abs(value), abs(1 - value)) < _ROUNDING:
        low, high = wilson(round(value) * questions, questions)
    return {"value": value, "low": low, "high": high}


def _lines(rows: Table, parts: Sequence[Part], draws: Draws, mixes: Sequence[Mix]) -> list[dict[str, Any]]:
    scores = rows[draws.score].cast(pl.Float64).fill_nan(None)
    code, questions = boot.cluster_codes(rows["question"].to_numpy()) if len(rows) else (np.zeros(0, dtype=np.int64), 1)
    selected = [rows.select(part.rows.fill_null(False).alias("_")).to_series().to_numpy() for part in parts]
    masks = np.array([np.broadcast_to(mask, len(rows)) for mask in selected], dtype=bool)  # (parts, rows)
    if draws.missing is None:
        masks &= scores.is_not_null().to_numpy()
    values = scores.fill_null(draws.missing or 0.0).to_numpy()
    sums = boot.resampled_sums(
        np.concatenate([masks * values, masks]).T.astype(float), code, questions, draws.count, draws.seed
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums[:, : len(parts)] / sums[:, len(parts) :]  # (1 + draws, parts)
    counts = [len(np.unique(code[mask])) for mask in masks]
    lines = [
        {
            "category": part.category,
            "figure": part.figure,
            **interval(means[:, i], counts[i], share=draws.share),
            "count": count,
        }
        for i, (part, count) in enumerate(zip(parts, masks.sum(axis=1).tolist(), strict=True))
    ]
    lines = [*(_mix_line(mix, parts, means, (masks, code), draws) for mix in mixes), *lines]
    return [*lines, _unscored_line(scores, code, questions, draws)]


def _mix_line(
    mix: Mix, parts: Sequence[Part], means: np.ndarray, where: tuple[np.ndarray, np.ndarray], draws: Draws
) -> dict[str, Any]:
    masks, code = where
    members = [i for i, part in enumerate(parts) if part.figure == mix.part and part.category in mix.weights and masks[i].any()]
    weights = np.array([mix.weights[parts[i].category or ""] for i in members])
    values = means[:, members] @ weights / weights.sum() if members else np.full(len(means), np.nan)
    rows = masks[members].any(axis=0)
    line = interval(values, len(np.unique(code[rows])), share=draws.share)
    return {"category": mix.category, "figure": mix.figure, **line, "count": int(rows.sum())}


def _unscored_line(scores: pl.Series, code: np.ndarray, questions: int, draws: Draws) -> dict[str, Any]:
    """The share of rows without a score."""
    missing = scores.is_null().to_numpy().astype(float)
    sums = boot.resampled_sums(np.stack([missing, np.ones_like(missing)], axis=1), code, questions, draws.count, draws.seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        line = interval(sums[:, 0] / sums[:, 1], questions, share=True)
    return {"category": None, "figure": "unscored", **line, "count": len(missing)}

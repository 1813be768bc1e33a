"""Means of a score over parts of a table, and weighted means of those, each with its 95% interval over whole questions.

Every model, and every judge, has its own lines. Rows without a score are left out of the means, and told as `unscored`. All
figures of a model are read from the same draws, so that a mean of parts moves as its parts do.
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
    """The weighted mean of parts of the same figure, by their categories; those that have no rows do not count."""

    figure: str
    category: str | None
    part: str
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Draws:
    """What figures are of and how intervals are drawn: whether it is a share from 0 to 1, how often, by which seed."""

    score: str
    share: bool = False
    count: int = 1000
    seed: int = 0
    missing: float | None = None
    """What a row without a score counts for; None leaves it out."""


def figures_of(table: Table, parts: Sequence[Part], draws: Draws, mixes: Sequence[Mix] = ()) -> Table:
    """question, {score}, what the parts read -> id, (model,) category, figure, value, low, high, count, and who judged."""
    need(table, "question", draws.score)
    if draws.count < 1:
        raise DataError(f"bootstrap {draws.count}: there is no interval without draws")
    if not table[draws.score].dtype.is_numeric() and table[draws.score].dtype != pl.Null:
        raise DataError(f"column {draws.score!r} is {table[draws.score].dtype}, not numbers")
    keys = [name for name in ("model", "judge") if name in table.columns]
    groups = table.sort(*keys, "id").partition_by(keys, maintain_order=True) if keys and len(table) else [table]
    several = [name for name in keys if name == "model" or table["judge"].n_unique() > 1]
    made = []
    for group in groups:
        whose = {name: str(group[name].first()) for name in several}
        lines = [{**whose, **line} for line in _lines(group, parts, draws, mixes)]
        made.append(copy_provenance(lines_to_table(lines), group))
    return pl.concat(made)


def lines_to_table(lines: Sequence[Mapping[str, Any]]) -> Table:
    """Lines of figures as a table, each named by all that it is of; of no one category are those of all."""
    numbers = {"value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "count": pl.Int64}
    names = [name for name in lines[0] if name not in numbers]
    called = ["/".join(str(line[name]) for name in names if line[name] is not None) for line in lines]
    out = pl.DataFrame(list(lines), schema={**dict.fromkeys(names, pl.String), **numbers})
    out = out.select(pl.Series("id", called, dtype=pl.String), *out.columns)
    return out.with_columns(pl.col("category").fill_null(ALL)) if "category" in names else out


def interval(values: np.ndarray, questions: int, *, share: bool) -> dict[str, float | None]:
    """A figure and the interval of its draws, of which the first is the figure; a share of none or all has Wilson's."""
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
    held = [rows.select(part.rows.fill_null(False).alias("_")).to_series().to_numpy() for part in parts]
    masks = np.array([np.broadcast_to(mask, len(rows)) for mask in held], dtype=bool)
    if draws.missing is None:
        masks &= scores.is_not_null().to_numpy()
    values = scores.fill_null(draws.missing or 0.0).to_numpy()
    sums = boot.resampled_sums(
        np.concatenate([masks * values, masks]).T.astype(float), code, questions, draws.count, draws.seed
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums[:, : len(parts)] / sums[:, len(parts) :]
    asked = [len(np.unique(code[mask])) for mask in masks]
    lines = [
        {"category": part.category, "figure": part.figure, **interval(means[:, i], asked[i], share=draws.share), "count": count}
        for i, (part, count) in enumerate(zip(parts, masks.sum(axis=1).tolist(), strict=True))
    ]
    lines = [*(_mix_line(mix, parts, means, (masks, code), draws) for mix in mixes), *lines]
    return [*lines, _unscored_line(scores, code, questions, draws)]


def _mix_line(
    mix: Mix, parts: Sequence[Part], means: np.ndarray, where: tuple[np.ndarray, np.ndarray], draws: Draws
) -> dict[str, Any]:
    masks, code = where
    own = [i for i, part in enumerate(parts) if part.figure == mix.part and part.category in mix.weights and masks[i].any()]
    weights = np.array([mix.weights[parts[i].category or ""] for i in own])
    values = means[:, own] @ weights / weights.sum() if own else np.full(len(means), np.nan)
    rows = masks[own].any(axis=0)
    line = interval(values, len(np.unique(code[rows])), share=draws.share)
    return {"category": mix.category, "figure": mix.figure, **line, "count": int(rows.sum())}


def _unscored_line(scores: pl.Series, code: np.ndarray, questions: int, draws: Draws) -> dict[str, Any]:
    """The share of rows that have no score."""
    missing = scores.is_null().to_numpy().astype(float)
    sums = boot.resampled_sums(np.stack([missing, np.ones_like(missing)], axis=1), code, questions, draws.count, draws.seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        line = interval(sums[:, 0] / sums[:, 1], questions, share=True)
    return {"category": None, "figure": "unscored", **line, "count": len(missing)}

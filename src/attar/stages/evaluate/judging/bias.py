"""Biases of a judge: position bias, length bias, and self-preference.

    position           how much more an answer wins when shown first, and how often the two orders disagree
    length             how much the preference rises per doubling of the length ratio, and how often the longer answer wins
    self_preference    how much higher a judge scores its own model's answers than the other judges do

Intervals resample whole questions. A length slope is a bias only if longer answers are not better: compare it with the slope of
a judge that you trust.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from attar.core.errors import DataError, RecipeError
from attar.core.stage import role
from attar.core.table import Table, need
from attar.stages.evaluate.figures.means import interval, lines_to_table
from attar.stages.evaluate.judging.jury import align_judges
from attar.stages.evaluate.judging.provenance import copy_provenance
from attar.statistics import bootstrap as boot


@role("exam")
def position(battles: Table, *, bootstrap: int = 1000, seed: int = 0) -> Table:
    """preference_first, preference_second -> id, figure, value, low, high, count.

    `won_first` and `won_second` are the mean preference for `response` when shown first and second, `gap` is their difference.
    `first_wins` is the mean preference for the answer shown first. `disagrees` is the share of battles whose two orders have
    different winners, and `to_first` the share of those in which the answer shown first won both times.
    """
    need(battles, "question", "preference_first", "preference_second")
    first, second = (_number_column(battles, f"preference_{side}") for side in ("first", "second"))
    both = np.isfinite(first) & np.isfinite(second)
    flipped = both & ((first - 0.5) * (second - 0.5) < 0)
    columns = {
        "won_first": (first, np.isfinite(first)),
        "won_second": (second, np.isfinite(second)),
        "first_wins": ((first + 1 - second) / 2, both),
        "disagrees": (flipped.astype(float), both),
        "to_first": ((first > 0.5).astype(float), flipped),
    }
    means, counts = _means(battles, columns, bootstrap, seed)
    means["gap"], counts["gap"] = means["won_first"] - means["won_second"], counts["won_first"]
    shares = set(columns)
    lines = [
        {"figure": name, **interval(values, counts[name][0], share=name in shares), "count": counts[name][1]}
        for name, values in means.items()
    ]
    return copy_provenance(lines_to_table(lines), battles)


@role("exam")
def length(battles: Table, *, bootstrap: int = 1000, seed: int = 0) -> Table:
    """response, against, preference -> id, figure (slope, longer_wins), value, low, high, count.

    `slope` is the least-squares slope of the preference over log2 of the length ratio of `response` to `against`.
    """
    need(battles, "question", "response", "against", "preference")
    rows = battles.drop_nulls(["response", "against", "preference"])
    y = _number_column(rows, "preference")
    lengths = [rows[name].str.len_chars().to_numpy().astype(float) for name in ("response", "against")]
    x = np.log2((lengths[0] + 1) / (lengths[1] + 1))
    for_longer = np.where(x > 0, y, 1 - y)
    won = np.where(for_longer == 0.5, 0.5, (for_longer > 0.5).astype(float))
    all_rows = np.ones(len(rows), dtype=bool)
    columns = {name: (values, all_rows) for name, values in {"x": x, "y": y, "xx": x * x, "xy": x * y}.items()}
    means, counts = _means(rows, {**columns, "longer_wins": (won, x != 0)}, bootstrap, seed)
    variance = means["xx"] - means["x"] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):  # slope = cov(x, y) / var(x), of all rows and of each draw
        slope = np.where(variance > 1e-12, (means["xy"] - means["x"] * means["y"]) / variance, np.nan)
    lines = [
        {"figure": "slope", **interval(slope, counts["x"][0], share=False), "count": len(rows)},
        {
            "figure": "longer_wins",
            **interval(means["longer_wins"], counts["longer_wins"][0], share=True),
            "count": counts["longer_wins"][1],
        },
    ]
    return copy_provenance(lines_to_table(lines), battles)


@role("exam")
def self_preference(
    *tables: Table,
    names: Sequence[str],
    own: Sequence[str | None],
    score: str = "preference",
    bootstrap: int = 1000,
    seed: int = 0,
) -> Table:
    """{score}, model (and opponent) of each judge -> id, judge, figure, value, low, high, count.

    `own` names each judge's own model, or null. `gap` is its mean score of that model's answers minus the other judges' mean;
    in battles, those against its model count with the opposite sign, and `gap` is the only figure. For scores, `rest` is the
    same difference on all other answers, and `self` = gap - rest, which is 0 for a judge that is only more lenient.
    """
    if len(own) != len(names) or not any(own):
        raise RecipeError(f"own must name each judge's own model or null, at least one of them a model, got {list(own)}")
    sides = align_judges(tables, names, score)
    need(tables[0], "model")
    are_battles = "opponent" in tables[0].columns
    sides_of = ("model", "opponent") if are_battles else ("model",)
    rows = sides.join(tables[0].select("id", *(pl.col(name).alias(f"_{name}") for name in sides_of)), on="id", how="left")
    lines = [
        {"judge": name, **line}
        for name, model in zip(names, own, strict=True)
        if model is not None
        for line in _self_preference_lines(
            rows, name, model, [other for other in names if other != name], (are_battles, bootstrap, seed)
        )
    ]
    return lines_to_table(lines)


def _self_preference_lines(
    rows: Table, judge: str, model: str, others: Sequence[str], options: tuple[bool, int, int]
) -> list[dict[str, Any]]:
    are_battles, bootstrap, seed = options
    others_mean = rows.select(pl.mean_horizontal(*others)).to_series().to_numpy().astype(float)
    gaps = rows[judge].to_numpy().astype(float) - others_mean
    by_model = (rows["_model"] == model).fill_null(False).to_numpy()
    if are_battles:
        against_model = (rows["_opponent"] == model).fill_null(False).to_numpy() & ~by_model
        gaps, by_model = np.where(against_model, -gaps, gaps), by_model | against_model
    scored = np.isfinite(gaps)
    if not (by_model & scored).any():
        raise DataError(f"no answer of {model!r} was scored by both {judge!r} and another judge")
    means, counts = _means(rows, {"gap": (gaps, by_model & scored), "rest": (gaps, ~by_model & scored)}, bootstrap, seed)
    if are_battles:
        del means["rest"]
    else:
        means["self"], counts["self"] = means["gap"] - means["rest"], counts["gap"]
    return [
        {"figure": name, **interval(values, counts[name][0], share=False), "count": counts[name][1]}
        for name, values in means.items()
    ]


def _means(
    table: Table, columns: dict[str, tuple[np.ndarray, np.ndarray]], bootstrap: int, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, tuple[int, int]]]:
    """Each column's mean over its masked rows, of all rows and of each draw; and its counts of questions and rows."""
    code, questions = boot.cluster_codes(table["question"].to_numpy()) if len(table) else (np.zeros(0, dtype=np.int64), 1)
    masked = np.stack([np.where(mask, values, 0.0) for values, mask in columns.values()], axis=1)  # (rows, columns)
    masks = np.stack([mask.astype(float) for _, mask in columns.values()], axis=1)
    sums = boot.resampled_sums(np.hstack([masked, masks]), code, questions, bootstrap, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums[:, : len(columns)] / sums[:, len(columns) :]
    counts = {name: (len(np.unique(code[mask])), int(mask.sum())) for name, (_, mask) in columns.items()}
    return {name: means[:, i] for i, name in enumerate(columns)}, counts


def _number_column(table: Table, column: str) -> np.ndarray:
    if not table[column].dtype.is_numeric() and table[column].dtype != pl.Null:
        raise DataError(f"column {column!r} must hold numbers, got {table[column].dtype}")
    return table[column].cast(pl.Float64).to_numpy()

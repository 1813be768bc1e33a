"""What sways a judge besides the answers: the place they are shown at, their length, and that one of them is its own.

    position    how much more an answer wins at the first place than at the second, and how often the two orders disagree
    length      how preference rises each time that an answer is twice as long as the other, and how often the longer one wins
    own         how much better a judge finds its own model's answers than the other judges do

Intervals draw whole questions. A rise with length is bias only as far as longer answers are not better: hold it against a judge
that is trusted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from attar.core.errors import DataError, RecipeError
from attar.core.stage import role
from attar.core.table import Table, need
from attar.stages.evaluate.figures.means import interval, told
from attar.stages.evaluate.judging.jury import align_judges
from attar.stages.evaluate.judging.provenance import copy_provenance
from attar.statistics import bootstrap as boot


@role("exam")
def position(battles: Table, *, bootstrap: int = 1000, seed: int = 0) -> Table:
    """preference_first, preference_second -> id, figure, value, low, high, count.

    `won_first` and `won_second` are the mean preference for `response` shown there, `gap` their difference; `first_wins` how
    far the first place is preferred, whoever stands there; `disagrees` the share of battles whose orders pick another winner,
    and `to_first` of those the share in which the one shown first won both.
    """
    need(battles, "question", "preference_first", "preference_second")
    first, second = (_number_column(battles, f"preference_{side}") for side in ("first", "second"))
    both = np.isfinite(first) & np.isfinite(second)
    apart = both & ((first - 0.5) * (second - 0.5) < 0)
    columns = {
        "won_first": (first, np.isfinite(first)),
        "won_second": (second, np.isfinite(second)),
        "first_wins": ((first + 1 - second) / 2, both),
        "disagrees": (apart.astype(float), both),
        "to_first": ((first > 0.5).astype(float), apart),
    }
    means, asked = _means(battles, columns, bootstrap, seed)
    means["gap"], asked["gap"] = means["won_first"] - means["won_second"], asked["won_first"]
    shares = set(columns)
    lines = [
        {"figure": name, **interval(values, asked[name][0], share=name in shares), "count": asked[name][1]}
        for name, values in means.items()
    ]
    return copy_provenance(told(lines), battles)


@role("exam")
def length(battles: Table, *, bootstrap: int = 1000, seed: int = 0) -> Table:
    """response, against, preference -> id, figure (slope, longer_wins), value, low, high, count.

    `slope` is the rise of the preference for each doubling of the length of `response` over that of `against`.
    """
    need(battles, "question", "response", "against", "preference")
    rows = battles.drop_nulls(["response", "against", "preference"])
    y = _number_column(rows, "preference")
    sizes = [rows[name].str.len_chars().to_numpy().astype(float) for name in ("response", "against")]
    x = np.log2((sizes[0] + 1) / (sizes[1] + 1))
    longer = np.where(x > 0, y, 1 - y)
    won = np.where(longer == 0.5, 0.5, (longer > 0.5).astype(float))
    everything = np.ones(len(rows), dtype=bool)
    columns = {name: (values, everything) for name, values in {"x": x, "y": y, "xx": x * x, "xy": x * y}.items()}
    means, asked = _means(rows, {**columns, "longer_wins": (won, x != 0)}, bootstrap, seed)
    spread = means["xx"] - means["x"] ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(spread > 1e-12, (means["xy"] - means["x"] * means["y"]) / spread, np.nan)
    lines = [
        {"figure": "slope", **interval(slope, asked["x"][0], share=False), "count": len(rows)},
        {
            "figure": "longer_wins",
            **interval(means["longer_wins"], asked["longer_wins"][0], share=True),
            "count": asked["longer_wins"][1],
        },
    ]
    return copy_provenance(told(lines), battles)


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

    `own` names each judge's own model, or null. `gap` is its mean score of that model's answers less the other judges'; of
    battles, those against its model count the other way round, and it has `gap` alone. Of scores, `rest` is the same of all
    other answers, and `self` the gap less that: a judge that is only milder has none.
    """
    if len(own) != len(names) or not any(own):
        raise RecipeError(f"own {list(own)}: for each judge the name of its own model or null, and one at least")
    sides = align_judges(tables, names, score)
    need(tables[0], "model")
    duels = "opponent" in tables[0].columns
    kept = [name for name in ("model", "opponent") if name in tables[0].columns]
    rows = sides.join(tables[0].select("id", *(pl.col(name).alias(f"_{name}") for name in kept)), on="id", how="left")
    lines = [
        {"judge": name, **line}
        for name, model in zip(names, own, strict=True)
        if model is not None
        for line in _self_preference_lines(
            rows, name, model, [other for other in names if other != name], (duels, bootstrap, seed)
        )
    ]
    return told(lines)


def _self_preference_lines(
    rows: Table, judge: str, model: str, others: Sequence[str], how: tuple[bool, int, int]
) -> list[dict[str, Any]]:
    duels, bootstrap, seed = how
    rest = rows.select(pl.mean_horizontal(*others)).to_series().to_numpy().astype(float)
    gaps = rows[judge].to_numpy().astype(float) - rest
    mine = (rows["_model"] == model).fill_null(False).to_numpy()
    if duels:
        theirs = (rows["_opponent"] == model).fill_null(False).to_numpy() & ~mine
        gaps, mine = np.where(theirs, -gaps, gaps), mine | theirs
    known = np.isfinite(gaps)
    if not (mine & known).any():
        raise DataError(f"there is no answer of {model!r} that {judge!r} and another judge have scored")
    means, asked = _means(rows, {"gap": (gaps, mine & known), "rest": (gaps, ~mine & known)}, bootstrap, seed)
    if duels:
        del means["rest"]
    else:
        means["self"], asked["self"] = means["gap"] - means["rest"], asked["gap"]
    return [
        {"figure": name, **interval(values, asked[name][0], share=False), "count": asked[name][1]}
        for name, values in means.items()
    ]


def _means(
    table: Table, columns: dict[str, tuple[np.ndarray, np.ndarray]], bootstrap: int, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, tuple[int, int]]]:
    """Of each column the mean of the rows that count, and that of each draw; of how many questions and rows it is."""
    code, questions = boot.cluster_codes(table["question"].to_numpy()) if len(table) else (np.zeros(0, dtype=np.int64), 1)
    told = np.stack([np.where(mask, values, 0.0) for values, mask in columns.values()], axis=1)
    held = np.stack([mask.astype(float) for _, mask in columns.values()], axis=1)
    sums = boot.resampled_sums(np.hstack([told, held]), code, questions, bootstrap, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums[:, : len(columns)] / sums[:, len(columns) :]
    counts = {name: (len(np.unique(code[mask])), int(mask.sum())) for name, (_, mask) in columns.items()}
    return {name: means[:, i] for i, name in enumerate(columns)}, counts


def _number_column(table: Table, column: str) -> np.ndarray:
    if not table[column].dtype.is_numeric() and table[column].dtype != pl.Null:
        raise DataError(f"column {column!r} is {table[column].dtype}, not numbers")
    return table[column].cast(pl.Float64).to_numpy()

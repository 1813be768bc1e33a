"""Several judges of the same rows: one combined score, and how well the judges agree.

Rows are matched by id, and all judges must have the same rows. A row has a jury's score if at least `least` of the judges
scored it (by default all of them). Intervals of agreement resample whole questions.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
import polars as pl

from attar.core.errors import DataError, RecipeError
from attar.core.stage import role
from attar.core.table import Table, need, put
from attar.stages.evaluate.figures.means import interval, lines_to_table
from attar.stages.evaluate.judging.provenance import COLUMNS, provenance_of
from attar.statistics import bootstrap as boot
from attar.statistics.concordance import ScoredRows, figures

Aggregation = Literal["mean", "median", "votes"]


@role("exam")
def verdict(
    *tables: Table, names: Sequence[str], score: str = "preference", how: Aggregation = "mean", least: int | None = None
) -> Table:
    """{score} of each judge -> the first table's rows with the jury's {score}, {score}_error and {score}_judges (how many).

    With `votes`, for preferences, each judge votes for its winner and the majority wins; equal votes are a tie.
    """
    sides = align_judges(tables, names, score)
    least = len(tables) if least is None else least
    if how not in ("mean", "median", "votes") or not 1 <= least <= len(tables):
        raise RecipeError(f"how must be mean, median or votes, and least from 1 to {len(tables)}, got {how!r} and {least}")
    if how == "votes" and len(outside := sides.filter(pl.any_horizontal(~pl.col(name).is_between(0, 1) for name in names))):
        raise DataError(f"row {outside['id'][0]!r} has a {score} outside 0 to 1: votes need preferences")
    scores = sides.select(names).to_numpy().astype(float)  # (rows, judges)
    scored = np.isfinite(scores)
    counts = scored.sum(axis=1)
    votes = np.where(scored, np.sign(scores - 0.5), np.nan) if how == "votes" else scores
    combined = [_combine(row[np.isfinite(row)], how) if n >= least else None for row, n in zip(votes, counts, strict=True)]
    errors = [None if n >= least else f"{n} of {len(tables)} judges have a score" for n in counts]
    out = put(tables[0], score, combined, errors, pl.Float64)
    provenances = [table.select(name for name in COLUMNS if name in table.columns) for table in tables]
    provenance = dict(provenance_of(pl.concat(provenances, how="diagonal")))
    if "judge" in provenance:
        provenance["judge"] = f"jury({provenance['judge']}; {how})"
    out = out.drop(name for name in out.columns if _belongs_to_one_judge(name, score))
    return out.with_columns(
        pl.Series(f"{score}_judges", counts, dtype=pl.Int64),
        **{name: pl.lit(value, dtype=pl.String) for name, value in provenance.items()},
    )


def _belongs_to_one_judge(column: str, score: str) -> bool:
    """True if a column holds details of a single judge's score."""
    details = (f"{score}_first", f"{score}_second", f"{score}_mass", f"{score}_verdict", "disagrees", "mass", "weight", "votes")
    return column in details or column.startswith(("verdict_", "text_"))


@role("exam")
def agreement(
    *tables: Table,
    names: Sequence[str],
    score: str = "preference",
    middle: float | None = 0.5,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Table:
    """{score}, question of each judge -> id, judge_1, judge_2, figure (agreement, kappa, spearman), value, low, high, count.

    Two judges agree on a row if both scores are on the same side of `middle` (a tie is a third side); without `middle`, if they
    round to the same number. Each pair of judges is compared on the rows that both scored.
    """
    sides = align_judges(tables, names, score)
    lines = []
    for one, other in combinations(names, 2):
        rows = sides.select("question", one, other).drop_nulls().sort("question", one, other)
        pair = _pair_figures(rows, middle, bootstrap, seed)
        lines += [{"judge_1": one, "judge_2": other, **line} for line in pair]
    return lines_to_table(lines)


def align_judges(tables: Sequence[Table], names: Sequence[str], score: str) -> Table:
    """id, question, and each judge's scores in a column of its name; all judges must have the same rows."""
    if len(tables) < 2 or len(names) != len(tables) or len(set(names) - {"id", "question"}) < len(names):
        raise RecipeError(f"two or more judges are needed, each with a different name, got {len(tables)} tables, {list(names)}")
    for table in tables:
        need(table, "id", "question", score)
    sides = tables[0].select("id", "question")
    for name, table in zip(names, tables, strict=True):
        if unmatched := sorted(set(sides["id"]) ^ set(table["id"])):
            raise DataError(f"judges {names[0]!r} and {name!r} have different rows: only one of them has row {unmatched[0]!r}")
        scores = table.select("id", pl.col(score).cast(pl.Float64).fill_nan(None).alias(name))
        sides = sides.join(scores, on="id", how="left", maintain_order="left")
    return sides


def _combine(values: np.ndarray, how: Aggregation) -> float:
    if how == "votes":
        return float((np.sign(values.sum()) + 1) / 2)
    return float(np.median(values) if how == "median" else values.mean())


def _pair_figures(rows: Table, middle: float | None, bootstrap: int, seed: int) -> list[dict[str, Any]]:
    """Agreement, Cohen's kappa and Spearman's correlation of two judges.

    kappa = (p - c) / (1 - c)  with the observed agreement p, and  c = sum_k first_k second_k / n^2  the agreement expected by
    chance from how often each judge picks class k.
    """
    if not len(rows):
        return [{"figure": name, "value": None, "low": None, "high": None, "count": 0} for name in _FIGURES]
    code, questions = boot.cluster_codes(rows["question"].to_numpy())
    one, other = (rows[:, i].to_numpy().astype(float) for i in (1, 2))
    ranks = figures(ScoredRows(one, other, np.unique(code, return_index=True)[1], apart=False), bootstrap, seed)
    classes = [np.floor(side + 0.5) if middle is None else np.sign(side - middle) for side in (one, other)]
    kinds = np.unique(np.concatenate(classes))
    one_hot = [(side[:, None] == kinds).astype(float) for side in classes]  # (rows, kinds) for each judge
    same = (classes[0] == classes[1]).astype(float)[:, None]
    sums = boot.resampled_sums(np.hstack([same, *one_hot]), code, questions, bootstrap, seed)  # (1 + draws, 1 + 2 kinds)
    count = sums[:, 1 : 1 + len(kinds)].sum(axis=1)
    observed, firsts, seconds = sums[:, 0] / count, sums[:, 1 : 1 + len(kinds)], sums[:, 1 + len(kinds) :]
    chance = (firsts * seconds).sum(axis=1) / count**2
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa = np.where(chance < 1, (observed - chance) / (1 - chance), np.nan)
    result = {"agreement": observed, "kappa": kappa, "spearman": ranks["spearman"].values}
    return [
        {"figure": name, **interval(values, questions, share=name == "agreement"), "count": len(rows)}
        for name, values in result.items()
    ]


_FIGURES = ("agreement", "kappa", "spearman")

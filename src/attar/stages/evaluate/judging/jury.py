"""Several judges of the same rows: one score of them all, and how far they agree with one another.

Rows are matched by id, and every judge must have been given the same ones. A row counts for a jury once `least` of its judges
have a score (all of them, unless said). Agreement has intervals over whole questions.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal

import numpy as np
import polars as pl

from attar.core.errors import DataError, RecipeError
from attar.core.stage import role
from attar.core.table import Table, need, put
from attar.stages.evaluate.figures.means import interval, told
from attar.stages.evaluate.judging.provenance import COLUMNS
from attar.stages.evaluate.judging.provenance import provenance_of as facts_of
from attar.statistics import bootstrap as boot
from attar.statistics.concordance import ScoredRows, figures

Aggregation = Literal["mean", "median", "votes"]


@role("exam")
def verdict(
    *tables: Table, names: Sequence[str], score: str = "preference", how: Aggregation = "mean", least: int | None = None
) -> Table:
    """{score} of each judge -> the first table's rows with the jury's {score}, {score}_error and {score}_judges (how many).

    `votes`, of preferences: each judge's winner has a vote, and the side with more of them wins; as many on both is a tie.
    """
    sides = align_judges(tables, names, score)
    least = len(tables) if least is None else least
    if how not in ("mean", "median", "votes") or not 1 <= least <= len(tables):
        raise RecipeError(f"how {how!r}, least {least}: mean, median or votes, and from 1 to {len(tables)} judges")
    if how == "votes" and len(odd := sides.filter(pl.any_horizontal(~pl.col(name).is_between(0, 1) for name in names))):
        raise DataError(f"row {odd['id'][0]!r} has {score} that is not from 0 to 1: votes are of preferences")
    held = sides.select(names).to_numpy().astype(float)
    count = np.isfinite(held).sum(axis=1)
    votes = np.where(np.isfinite(held), np.sign(held - 0.5), np.nan) if how == "votes" else held
    found = [_combine(row[np.isfinite(row)], how) if many >= least else None for row, many in zip(votes, count, strict=True)]
    errors = [None if many >= least else f"{many} of {len(tables)} judges have a score" for many in count]
    out = put(tables[0], score, found, errors, pl.Float64)
    facts = [table.select(name for name in COLUMNS if name in table.columns) for table in tables]
    said = dict(facts_of(pl.concat(facts, how="diagonal")))
    if "judge" in said:
        said["judge"] = f"jury({said['judge']}; {how})"
    out = out.drop(name for name in out.columns if _belongs_to_one_judge(name, score))
    return out.with_columns(
        pl.Series(f"{score}_judges", count, dtype=pl.Int64),
        **{name: pl.lit(value, dtype=pl.String) for name, value in said.items()},
    )


def _belongs_to_one_judge(column: str, score: str) -> bool:
    """Whether a column tells how one judge came to its score."""
    own = (f"{score}_first", f"{score}_second", f"{score}_mass", f"{score}_verdict", "disagrees", "mass", "weight", "votes")
    return column in own or column.startswith(("verdict_", "text_"))


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

    Two judges agree on a row if both scores are on the same side of `middle` (a tie is a side); without it, if they round to
    the same number. Each pair of judges is looked at on the rows that both have scored.
    """
    sides = align_judges(tables, names, score)
    lines = []
    for one, other in combinations(names, 2):
        rows = sides.select("question", one, other).drop_nulls().sort("question", one, other)
        pair = _pair_figures(rows, middle, bootstrap, seed)
        lines += [{"judge_1": one, "judge_2": other, **line} for line in pair]
    return told(lines)


def align_judges(tables: Sequence[Table], names: Sequence[str], score: str) -> Table:
    """id, question, and of each judge its scores under its name; all must have judged the same rows."""
    if len(tables) < 2 or len(names) != len(tables) or len(set(names) - {"id", "question"}) < len(names):
        raise RecipeError(f"{len(tables)} tables, and the names {list(names)}: two judges or more, each with a name of its own")
    for table in tables:
        need(table, "id", "question", score)
    sides = tables[0].select("id", "question")
    for name, table in zip(names, tables, strict=True):
        if odd := sorted(set(sides["id"]) ^ set(table["id"])):
            raise DataError(f"row {odd[0]!r} was not given to all judges: {names[0]!r} and {name!r} have other rows")
        own = table.select("id", pl.col(score).cast(pl.Float64).fill_nan(None).alias(name))
        sides = sides.join(own, on="id", how="left", maintain_order="left")
    return sides


def _combine(values: np.ndarray, how: Aggregation) -> float:
    if how == "votes":
        return float((np.sign(values.sum()) + 1) / 2)
    return float(np.median(values) if how == "median" else values.mean())


def _pair_figures(rows: Table, middle: float | None, bootstrap: int, seed: int) -> list[dict[str, Any]]:
    if not len(rows):
        return [{"figure": name, "value": None, "low": None, "high": None, "count": 0} for name in _FIGURES]
    code, questions = boot.cluster_codes(rows["question"].to_numpy())
    one, other = (rows[:, i].to_numpy().astype(float) for i in (1, 2))
    ranked = figures(ScoredRows(one, other, np.unique(code, return_index=True)[1], apart=False), bootstrap, seed)
    classes = [np.floor(side + 0.5) if middle is None else np.sign(side - middle) for side in (one, other)]
    kinds = np.unique(np.concatenate(classes))
    marks = [(side[:, None] == kinds).astype(float) for side in classes]
    same = (classes[0] == classes[1]).astype(float)[:, None]
    sums = boot.resampled_sums(np.hstack([same, *marks]), code, questions, bootstrap, seed)
    count = sums[:, 1 : 1 + len(kinds)].sum(axis=1)
    share, firsts, seconds = sums[:, 0] / count, sums[:, 1 : 1 + len(kinds)], sums[:, 1 + len(kinds) :]
    chance = (firsts * seconds).sum(axis=1) / count**2
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa = np.where(chance < 1, (share - chance) / (1 - chance), np.nan)
    found = {"agreement": share, "kappa": kappa, "spearman": ranked["spearman"].values}
    return [
        {"figure": name, **interval(values, questions, share=name == "agreement"), "count": len(rows)}
        for name, values in found.items()
    ]


_FIGURES = ("agreement", "kappa", "spearman")

"""What arms are worth at one token budget: a student that was trained on more is not better for that alone.

An arm has each question's score at one or more budgets (rows of one `tokens`). Between two budgets a question's score goes
straight over the logarithm of tokens; beyond them nothing is said. Intervals draw questions anew: they do not hold what another
training would give, which several seeds tell (`stats.over_runs`).
"""

from collections.abc import Sequence
from math import log

import numpy as np
import polars as pl

from attar.core.errors import DataError, RecipeError
from attar.core.stage import reads, role
from attar.core.table import Table, need
from attar.statistics.bootstrap import difference, mean


@role("exam")
@reads("question", "score", "tokens")
def compare(*tables: Table, arms: Sequence[str], tokens: float | None = None, bootstrap: int = 1000, seed: int = 0) -> Table:
    """question, score, tokens of each arm -> id, arm, figure, value, low, high, count, tokens: arms at one token budget.

    The budget is the largest that all arms reach, unless it is named. `over_first` is the lead over the first arm on the
    questions that both have.
    """
    if not tables or len(tables) != len(arms) or len(set(arms)) < len(arms):
        raise RecipeError(f"{len(tables)} tables, and the arms {list(arms)}: each table needs a name, and no two the same")
    points = [_score_points(table, arm) for table, arm in zip(tables, arms, strict=True)]
    budget = tokens if tokens is not None else min(each["tokens"].to_numpy().max() for each in points)
    found = [_interpolate(each, arm, float(budget)) for each, arm in zip(points, arms, strict=True)]
    lines = []
    for arm, own in zip(arms, found, strict=True):
        told = {"score": (mean(own["score"].to_numpy(), own["question"], draws=bootstrap, seed=seed), len(own))}
        if arm != arms[0]:
            both = own.join(found[0], on="question", suffix="_first", maintain_order="left")
            if not len(both):
                raise DataError(f"arms {arms[0]!r} and {arm!r} have no question in common at {budget:g} tokens")
            sides = both["score"].to_numpy(), both["score_first"].to_numpy()
            told["over_first"] = difference(*sides, both["question"], draws=bootstrap, seed=seed), len(both)
        for figure, (ends, count) in told.items():
            lines.append((f"{arm}/{figure}", arm, figure, *ends, count, float(budget)))
    return pl.DataFrame(lines, schema=_SCHEMA, orient="row")


_SCHEMA = {
    "id": pl.String,
    "arm": pl.String,
    "figure": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "count": pl.Int64,
    "tokens": pl.Float64,
}


def _score_points(table: Table, arm: str) -> Table:
    """question, tokens, score: an arm's mean score of each question at each budget; rows without a score are left out."""
    need(table, "question", "score", "tokens")
    rows = table.select("question", pl.col("score", "tokens").cast(pl.Float64)).drop_nulls()
    if not len(rows):
        raise DataError(f"arm {arm!r} has no scores")
    if len(odd := rows.filter(pl.col("tokens") <= 0)):
        raise DataError(
            f"arm {arm!r} has {odd['tokens'][0]:g} tokens at question {odd['question'][0]!r}: it must be more than 0"
        )
    return rows.group_by("question", "tokens").agg(pl.col("score").mean()).sort("question", "tokens")


def _interpolate(points: Table, arm: str, budget: float) -> Table:
    """question, score: at this budget, of the questions that have a score at the budgets to both sides of it."""
    reached = np.unique(points["tokens"].to_numpy())
    if not reached[0] <= budget <= reached[-1]:
        raise DataError(f"arm {arm!r} was measured from {reached[0]:g} to {reached[-1]:g} tokens, not at {budget:g}")
    above = float(reached[np.searchsorted(reached, budget)])
    below = float(reached[np.searchsorted(reached, budget, side="right") - 1])
    share = log(budget / below) / log(above / below) if above > below else 0.0
    low, high = (points.filter(pl.col("tokens") == edge).select("question", "score") for edge in (below, above))
    both = low.join(high, on="question", suffix="_above", maintain_order="left")
    if not len(both):
        raise DataError(f"arm {arm!r} has no question with a score at {below:g} tokens and at {above:g}")
    return both.select("question", score=pl.col("score") * (1 - share) + pl.col("score_above") * share)

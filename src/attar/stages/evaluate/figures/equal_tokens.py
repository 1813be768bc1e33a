"""Compare arms at one token budget, so that a student trained on more tokens does not win by that alone.

An arm has each question's score at one or more budgets (rows with the same `tokens`). Between two budgets a question's score is
interpolated linearly in log(tokens); nothing is extrapolated. Intervals resample questions: they do not cover the variation
between trainings, for which several seeds are needed (`mean_over_runs`).
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

    By default the budget is the largest that all arms reach. `over_first` is the lead over the first arm on the questions that
    both have.
    """
    if not tables or len(tables) != len(arms) or len(set(arms)) < len(arms):
        raise RecipeError(f"each of {len(tables)} tables needs a different arm name, got {list(arms)}")
    points = [_score_points(table, arm) for table, arm in zip(tables, arms, strict=True)]
    budget = tokens if tokens is not None else min(each["tokens"].to_numpy().max() for each in points)
    scores = [_interpolate(each, arm, float(budget)) for each, arm in zip(points, arms, strict=True)]
    lines = []
    for arm, rows in zip(arms, scores, strict=True):
        figures = {"score": (mean(rows["score"].to_numpy(), rows["question"], draws=bootstrap, seed=seed), len(rows))}
        if arm != arms[0]:
            both = rows.join(scores[0], on="question", suffix="_first", maintain_order="left")
            if not len(both):
                raise DataError(f"arms {arms[0]!r} and {arm!r} have no question in common at {budget:g} tokens")
            sides = both["score"].to_numpy(), both["score_first"].to_numpy()
            figures["over_first"] = difference(*sides, both["question"], draws=bootstrap, seed=seed), len(both)
        for figure, (ends, count) in figures.items():
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
    """question, tokens, score: an arm's mean score per question and budget; rows without a score are left out."""
    need(table, "question", "score", "tokens")
    rows = table.select("question", pl.col("score", "tokens").cast(pl.Float64)).drop_nulls()
    if not len(rows):
        raise DataError(f"arm {arm!r} has no scores")
    if len(invalid := rows.filter(pl.col("tokens") <= 0)):
        raise DataError(
            f"tokens must be > 0, got {invalid['tokens'][0]:g} in arm {arm!r} at question {invalid['question'][0]!r}"
        )
    return rows.group_by("question", "tokens").agg(pl.col("score").mean()).sort("question", "tokens")


def _interpolate(points: Table, arm: str, budget: float) -> Table:
    """question, score: at this budget, for the questions with a score at the next lower and the next higher budget.

    score = (1 - w) score_low + w score_high,  w = log(budget / low) / log(high / low).
    """
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

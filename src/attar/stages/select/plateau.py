"""Early stopping for rounds: `check` detects a plateau and `gate` passes rows on until there is one.

A round's value is the mean score of its answers. A round is better if it exceeds the best so far by more than `least`; after
`patience` rounds in a row that are not better, it is a plateau.
"""

from collections.abc import Iterable

import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import folds, reads, rowwise
from attar.core.table import Table, need


@folds
@reads(lambda knobs: (knobs["score"],))
def check(*rounds: Iterable[Table], score: str, patience: int = 2, least: float = 0.0) -> Table:
    """{score} of each round's answers -> id, stop, worths, reason: whether the last `patience` rounds were no better."""
    if patience < 1 or least < 0:
        raise RecipeError(f"patience must be >= 1 and least >= 0, got {patience} and {least}")
    worths = [_mean(parts, score) for parts in rounds]
    best: float | None = None
    since = 0
    for worth in worths:
        better = worth is not None and (best is None or worth > best + least)
        best, since = (worth, 0) if better else (best, since + 1)
    reason = (
        f"no better than {best:.3f} by {least:g} for {since} rounds" if best is not None else f"{since} rounds without a score"
    )
    stop = since >= patience
    return pl.DataFrame(
        {"id": ["plateau"], "stop": [stop], "worths": [worths], "reason": [reason if stop else None]},
        schema={"id": pl.String, "stop": pl.Boolean, "worths": pl.List(pl.Float64), "reason": pl.String},
    )


def _mean(parts: Iterable[Table], score: str) -> float | None:
    """The mean over all parts; None for a round without a scored answer (as after a plateau)."""
    total, count = 0.0, 0
    for part in parts:
        need(part, score)
        known = part[score].drop_nulls()
        total, count = total + float(known.sum()), count + len(known)
    return total / count if count else None


@rowwise
def gate(table: Table, plateau: Table) -> Table:
    """any, the result of `check` -> the rows, or none after a plateau."""
    need(plateau, "stop")
    return table.clear() if plateau["stop"].any() else table

"""A scorer's own scores as labels to go on training it on (self-distillation)."""

from collections.abc import Sequence
from random import Random
from typing import Literal

import polars as pl

from attar.core.errors import DataError, RecipeError
from attar.core.fingerprint import seed_of
from attar.core.stage import rowwise
from attar.core.table import Table, need


@rowwise
def labels(
    table: Table,
    *,
    numbers: Sequence[int],
    score: str = "rating",
    how: Literal["rounded", "drawn"] = "rounded",
    into: str = "label",
    seed: int = 0,
) -> Table:
    """{score} (or `drawn`: {score}_chances) -> {into}: one of the numbers for each row that has a score.

    `rounded` is the number nearest to the score. `drawn` is drawn from the scorer's own probabilities, so that over many rows
    the labels hold all that it knows, its doubts too.
    """
    if how not in ("rounded", "drawn"):
        raise RecipeError(f"how {how!r} is neither 'rounded' nor 'drawn'")
    if how == "rounded":
        need(table, score)
        found = [None if value is None else min(numbers, key=lambda number: abs(number - value)) for value in table[score]]
    else:
        need(table, "id", f"{score}_chances")
        rows = zip(table["id"], table[f"{score}_chances"].to_list(), strict=True)
        found = [_drawn(name, chances, numbers, seed) for name, chances in rows]
    return table.with_columns(pl.Series(into, found, dtype=pl.Int64))


def _drawn(name: str, chances: list[float] | None, numbers: Sequence[int], seed: int) -> int | None:
    if chances is None:
        return None
    if len(chances) != len(numbers):
        raise DataError(f"row {name}: there are {len(chances)} probabilities for {len(numbers)} numbers")
    return Random(seed_of("distil.labels", seed, name)).choices(numbers, chances)[0]

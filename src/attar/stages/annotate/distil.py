"""A scorer's own scores as labels for training it further (self-distillation)."""

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

    `rounded` is the number nearest to the score. `drawn` samples from the scorer's label probabilities, so that over many
    rows the labels keep its uncertainty.
    """
    if how not in ("rounded", "drawn"):
        raise RecipeError(f"how must be 'rounded' or 'drawn', got {how!r}")
    if how == "rounded":
        need(table, score)
        values = [None if value is None else min(numbers, key=lambda number: abs(number - value)) for value in table[score]]
    else:
        need(table, "id", f"{score}_chances")
        rows = zip(table["id"], table[f"{score}_chances"].to_list(), strict=True)
        values = [_sample_label(name, probabilities, numbers, seed) for name, probabilities in rows]
    return table.with_columns(pl.Series(into, values, dtype=pl.Int64))


def _sample_label(name: str, probabilities: list[float] | None, numbers: Sequence[int], seed: int) -> int | None:
    if probabilities is None:
        return None
    if len(probabilities) != len(numbers):
        raise DataError(f"row {name} has {len(probabilities)} label probabilities, but numbers has {len(numbers)} values")
    return Random(seed_of("distil.labels", seed, name)).choices(numbers, probabilities)[0]

"""Personas without a source: none at all (a control), and the people of the pocket world."""

from collections.abc import Sequence
from random import Random

import polars as pl

from attar.core.table import Table
from attar.pocket.voices import Persona


def nobody(*, count: int, seed: int = 0) -> Table:
    """() -> id, persona (null): rows without a persona."""
    return _people("n", count, seed, [None] * count)


def pocket(*, count: int, seed: int = 0) -> Table:
    """() -> id, persona: people of the pocket world; only 384 differ, so they repeat."""
    dice = Random(seed)
    return _people("v", count, seed, [Persona.draw(dice).text for _ in range(count)])


def _people(mark: str, count: int, seed: int, personas: Sequence[str | None]) -> Table:
    return pl.DataFrame(
        {"id": [f"{mark}{seed}-{i:07d}" for i in range(count)], "persona": pl.Series(personas, dtype=pl.String)},
    )

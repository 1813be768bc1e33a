"""How near each row's nearest other is, exactly: squared Euclidean distance of unit vectors, in blocks of a matrix product.

A repeat is a row within `near` of an earlier one; the first of its repeats counts as original.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from attar.errors import DataError
from attar.stage import reads
from attar.table import Table

_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class Nearest:
    """Of each row: the distance to its nearest other, how many others are near, and the first near it if that is earlier."""

    distance: np.ndarray
    count: np.ndarray
    first: np.ndarray


@reads(lambda knobs: (knobs["column"],))
def measure(table: Table, *, column: str = "embedding", near: float = 0.05) -> Table:
    """{column} -> id, neighbour_distance, repeats (how many others are near), repeat_of (the first of them, if earlier)."""
    able = table.with_row_index("_place").filter(pl.col(column).is_not_null())
    found = nearest(_matrix(able, column), near)
    ids = able["id"]
    told = able.select("_place").with_columns(
        pl.Series("neighbour_distance", found.distance, dtype=pl.Float64).fill_nan(None),
        pl.Series("repeats", found.count, dtype=pl.Int64),
        pl.Series("repeat_of", [ids[int(first)] if first >= 0 else None for first in found.first], dtype=pl.String),
    )
    return table.select("id").with_row_index("_place").join(told, on="_place", how="left", maintain_order="left").drop("_place")


def _matrix(table: Table, column: str) -> np.ndarray:
    """The vectors, one a row; all of one length, none without direction."""
    vectors = table[column]
    widths = vectors.list.len().unique().to_list()
    if len(widths) > 1:
        raise DataError(f"column {column!r} holds vectors of {len(widths)} lengths: {', '.join(map(str, sorted(widths)[:4]))}")
    if not widths:
        return np.zeros((0, 1), dtype=np.float32)
    flat = vectors.explode().to_numpy().astype(np.float32).reshape(len(table), widths[0])
    sizes = np.linalg.norm(flat, axis=1, keepdims=True)
    if odd := np.flatnonzero(~(np.isfinite(sizes[:, 0]) & (sizes[:, 0] > 0))).tolist():
        raise DataError(f"column {column!r}: the vector of row {table['id'][odd[0]]!r} is nought or not finite")
    return flat / sizes


def nearest(rows: np.ndarray, near: float) -> Nearest:
    """Every pair of rows is looked at once: each block of rows against itself and all behind it."""
    total = len(rows)
    best = np.full(total, -np.inf, dtype=np.float32)
    count, first = np.zeros(total, dtype=np.int64), np.full(total, total, dtype=np.int64)
    least = 1 - near / 2
    for a in range(0, total, _BLOCK):
        for b in range(a, total, _BLOCK):
            alike = rows[a : a + _BLOCK] @ rows[b : b + _BLOCK].T
            if a == b:
                np.fill_diagonal(alike, -np.inf)
            np.maximum(best[a : a + _BLOCK], alike.max(axis=1), out=best[a : a + _BLOCK])
            np.maximum(best[b : b + _BLOCK], alike.max(axis=0), out=best[b : b + _BLOCK])
            left, right = np.nonzero(alike >= least)
            if a == b:
                left, right = left[left < right], right[left < right]
            np.add.at(count, a + left, 1)
            np.add.at(count, b + right, 1)
            np.minimum.at(first, b + right, a + left)
    distance = np.where(np.isfinite(best), np.maximum(0.0, 2 - 2 * best.astype(np.float64)), np.nan)
    return Nearest(distance, count, np.where(first < np.arange(total), first, -1))

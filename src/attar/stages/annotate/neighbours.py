"""Exact distance from each row to its nearest other row: squared Euclidean distance of unit vectors, 2 - 2 cos.

A repeat is a row within `near` of an earlier one; the first of its repeats counts as original.
"""

import numpy as np
import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import reads
from attar.core.table import Table, need
from attar.similarity.backends import choose_arithmetic
from attar.similarity.matrix import matrix
from attar.similarity.nearest import Nearest, nearest


@reads(lambda knobs: (knobs["column"],))
def measure(table: Table, *, column: str = "embedding", near: float = 0.05, k: int = 1) -> Table:
    """{column} -> id, neighbour_distance, repeats (how many others are near), repeat_of (the first of them, if earlier).

    With `k` > 1 also `neighbours`, the ids of the k nearest rows, and their `neighbour_distances`.
    """
    able = rows_with_vectors(table, column, k)
    return add_neighbours(table, able, nearest(matrix(able, column), k, 1 - near / 2, choose_arithmetic()), k)


def rows_with_vectors(table: Table, column: str, k: int) -> Table:
    """_place (in the table), id, {column}: the rows that have a vector; `k` is checked."""
    need(table, column)
    if k < 1:
        raise RecipeError(f"k must be >= 1, got {k}")
    return table.select("id", column).with_row_index("_place").filter(pl.col(column).is_not_null())


def add_neighbours(table: Table, able: Table, neighbours: Nearest, k: int) -> Table:
    """The neighbours of the `able` rows, joined to every row of the table; null for the others."""
    columns = able.select("_place").with_columns(_columns(able["id"].to_numpy(), neighbours, k))
    rows = table.select("id").with_row_index("_place")
    return rows.join(columns, on="_place", how="left", maintain_order="left").drop("_place")


def _columns(ids: np.ndarray, neighbours: Nearest, k: int) -> list[pl.Series]:
    """Neighbours as columns."""
    distances = np.where(neighbours.other >= 0, np.maximum(0.0, 2 - 2 * neighbours.cosine), np.nan)  # (rows, k)
    repeats = (neighbours.first >= 0) & (neighbours.first < np.arange(len(ids)))
    first = np.full(len(ids), None, dtype=object)
    first[repeats] = ids[neighbours.first[repeats]]
    columns = [
        pl.Series("neighbour_distance", distances[:, 0]).fill_nan(None),
        pl.Series("repeats", neighbours.count, dtype=pl.Int64),
        pl.Series("repeat_of", first.tolist(), dtype=pl.String),
    ]
    if k > 1:
        exist = [row >= 0 for row in neighbours.other]
        nearest_ids = [ids[row[mask]].tolist() for row, mask in zip(neighbours.other, exist, strict=True)]
        columns.append(pl.Series("neighbours", nearest_ids, dtype=pl.List(pl.String)))
        nearest_distances = [row[mask].tolist() for row, mask in zip(distances, exist, strict=True)]
        columns.append(pl.Series("neighbour_distances", nearest_distances, dtype=pl.List(pl.Float64)))
    return columns

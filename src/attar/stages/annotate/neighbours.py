"""How near each row's nearest other is, exactly: squared Euclidean distance of unit vectors.

A repeat is a row within `near` of an earlier one; the first of its repeats counts as original.
"""

import numpy as np
import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import reads
from attar.core.table import Table, need
from attar.similarity.backends import arithmetic
from attar.similarity.matrix import matrix
from attar.similarity.nearest import Nearest, nearest


@reads(lambda knobs: (knobs["column"],))
def measure(table: Table, *, column: str = "embedding", near: float = 0.05, k: int = 1) -> Table:
    """{column} -> id, neighbour_distance, repeats (how many others are near), repeat_of (the first of them, if earlier).

    With `k` above 1 also neighbours, the ids of the k nearest, and neighbour_distances, theirs.
    """
    able = having(table, column, k)
    return told(table, able, nearest(matrix(able, column), k, 1 - near / 2, arithmetic()), k)


def having(table: Table, column: str, k: int) -> Table:
    """_place (in the table), id, {column}: the rows that have a vector, whose `k` nearest may be asked for."""
    need(table, column)
    if k < 1:
        raise RecipeError(f"k {k} is no number of neighbours")
    return table.select("id", column).with_row_index("_place").filter(pl.col(column).is_not_null())


def told(table: Table, able: Table, found: Nearest, k: int) -> Table:
    """What was found of the rows that have a vector, for every row of the table."""
    what = able.select("_place").with_columns(_columns(able["id"].to_numpy(), found, k))
    return table.select("id").with_row_index("_place").join(what, on="_place", how="left", maintain_order="left").drop("_place")


def _columns(ids: np.ndarray, found: Nearest, k: int) -> list[pl.Series]:
    """What was found, as columns."""
    distances = np.where(found.other >= 0, np.maximum(0.0, 2 - 2 * found.cosine), np.nan)
    repeats = (found.first >= 0) & (found.first < np.arange(len(ids)))
    first = np.full(len(ids), None, dtype=object)
    first[repeats] = ids[found.first[repeats]]
    columns = [
        pl.Series("neighbour_distance", distances[:, 0]).fill_nan(None),
        pl.Series("repeats", found.count, dtype=pl.Int64),
        pl.Series("repeat_of", first.tolist(), dtype=pl.String),
    ]
    if k > 1:
        there = [row >= 0 for row in found.other]
        names = [ids[row[some]].tolist() for row, some in zip(found.other, there, strict=True)]
        columns.append(pl.Series("neighbours", names, dtype=pl.List(pl.String)))
        apart = [row[some].tolist() for row, some in zip(distances, there, strict=True)]
        columns.append(pl.Series("neighbour_distances", apart, dtype=pl.List(pl.Float64)))
    return columns

"""Group rows by their vectors (k-means on vectors of length one), and take one unused row of each of many groups.

The groups hang on the rows' ids, their vectors and the seed, not on the rows' order. Centres are found on at most `sample` rows
a cluster, drawn by id; every row then goes to the centre that is nearest. All of it is blocks of a matrix product,
on a GPU where there is one and it pays; there rounding may put a row between two centres into the other one.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import polars as pl

from attar.core.errors import RecipeError
from attar.core.fingerprint import seed_of
from attar.core.stage import reads
from attar.core.table import Table, need
from attar.similarity.devices import centre_finder, has_cuda
from attar.similarity.matrix import Matrix, matrix, units
from attar.stages.select.rank import check_keep, lots, sort_best_first
from attar.stages.select.where import columns

_ROWS, _CENTRES = 1024, 2048
_GPU_PRODUCTS = 10**9
"""So many products of a row and a centre pay for the way to a GPU."""
_CONVERGED = 1000
"""Centres are found when at most one row of so many has moved."""
_SEEDS_AT_ONCE = 16
"""Of so many first centres the next is drawn without looking; one alone is never."""
_SEED_ROWS = 64
"""First centres are drawn from so many rows a cluster."""
_COPY_DISTANCE = 1e-6
"""A row so near another is its copy, up to rounding."""


@reads(lambda knobs: (knobs["column"],))
def group(
    table: Table, *, column: str = "embedding", clusters: int, seed: int = 0, iterations: int = 20, sample: int = 256
) -> Table:
    """{column} -> id, cluster, cluster_distance (squared, to its centre); null where there is no vector.

    There are no more clusters than rows that have a vector, however many are asked for.
    """
    need(table, column)
    able = table.select("id", column).with_row_index("place").filter(pl.col(column).is_not_null())
    if clusters < 1:
        raise RecipeError(f"clusters {clusters}: it is 1 or more")
    clusters = min(clusters, max(1, len(able)))
    if iterations < 1 or sample < 1:
        raise RecipeError(f"iterations {iterations}, sample {sample}: both are 1 or more")
    rows = units(matrix(able, column))
    drawn = able.select("id", lots(able, "cluster.group", seed)).with_row_index().sort("lot", "id")["index"].to_numpy()
    device = "cuda" if len(rows) * clusters >= _GPU_PRODUCTS and has_cuda() else "numpy"
    found = centres(rows[drawn[: sample * clusters]], clusters, iterations=iterations, seed=seed, device=device)
    label, near = nearest(rows, found, device)
    distance = np.maximum(0.0, 1 - 2 * near.astype(np.float64))
    told = able.select("place", pl.Series("cluster", label, dtype=pl.Int64), pl.Series("cluster_distance", distance))
    return table.select("id").with_row_index("place").join(told, on="place", how="left", maintain_order="left").drop("place")


@reads(lambda knobs: (*(["cluster"] if knobs["clustered"] else []), *(columns(knobs["by"]) if knobs["by"] else ())))
def pick(
    table: Table, used: Table | None = None, *, keep: int, by: str | None = None, clustered: bool = True, seed: int = 0
) -> Table:
    """cluster, the columns of `by` -> verdicts: of each of `keep` clusters one row whose id is not among the `used` rows.

    Clusters of which fewest rows are used come first, ties by lot; where fewer have any left, fewer are kept. Of a cluster the
    highest row is taken, ties by id; without `by` any. Not `clustered`, each row is a cluster of its own.
    """
    table = table if clustered else table.with_columns(cluster=pl.int_range(pl.len()))
    need(table, "cluster", *(columns(by) if by else ()))
    if by:
        asked = sort_best_first(table, by, cluster=pl.col("cluster"))
    else:
        asked = table.select("id", "cluster", lots(table, "cluster.pick", seed).alias("by")).with_row_index().sort("by", "id")
    spent = pl.col("id").is_in(used["id"].implode()) if used is not None else pl.lit(False)
    asked = asked.with_columns(used=spent).with_columns(free=~pl.col("used") & pl.col("by").is_not_null())
    first = asked.with_columns(times=pl.col("used").sum().over("cluster")).drop_nulls("cluster").filter("free")
    first = first.unique("cluster", keep="first", maintain_order=True)
    lot = pl.Series("lot", [seed_of("cluster.pick", seed, int(cluster)) for cluster in first["cluster"]], dtype=pl.Int64)
    picked = first.with_columns(lot).sort("times", "lot", "cluster").head(check_keep(keep)).select("cluster", picked="id")
    judged = asked.join(picked, on="cluster", how="left").sort("index")
    kept = (pl.col("id") == pl.col("picked")).fill_null(False)
    beside = pl.col("free") & pl.col("picked").is_not_null() & ~kept
    why = pl.when(pl.col("cluster").is_null()).then(pl.lit("no cluster")).when("used").then(pl.lit("used before"))
    why = why.when(~pl.col("free")).then(pl.lit(f"no {by}")).when(beside).then(pl.lit("another of its cluster is picked"))
    why = why.when(~kept).then(pl.lit("its cluster is not picked"))
    return judged.select("id", kept.alias("kept"), why.alias("reason"), pl.when(beside).then("picked").alias("because"))


@reads("cluster")
def coverage(table: Table, used: Table) -> Table:
    """cluster -> id, rows, used, clusters, touched (those of which a row is used), share: how much of a table was reached."""
    need(table, "cluster")
    grouped = table.drop_nulls("cluster").select("cluster", used=pl.col("id").is_in(used["id"].implode()))
    told = grouped.group_by("cluster").agg(rows=pl.len(), used=pl.col("used").sum())
    touched = (pl.col("used") > 0).sum()
    return told.select(
        pl.lit("coverage").alias("id"),
        pl.col("rows").sum().cast(pl.Int64),
        pl.col("used").sum().cast(pl.Int64),
        pl.len().cast(pl.Int64).alias("clusters"),
        touched.cast(pl.Int64).alias("touched"),
        (touched / pl.len()).alias("share"),
    )


def centres(rows: Matrix, clusters: int, *, iterations: int, seed: int, device: str = "numpy") -> Matrix:
    """The means of groups of unit rows, each row in the group whose mean is nearest, or close to it (Lloyd's iterations)."""
    if not len(rows):
        return np.zeros((1, rows.shape[1]), dtype=np.float32)
    found = _seed_centres(rows[: _SEED_ROWS * clusters], clusters, np.random.default_rng(seed_of("cluster.centres", seed)))
    before = np.full(len(rows), -1)
    for _ in range(iterations):
        label, near = nearest(rows, found, device)
        if (label != before).sum() * _CONVERGED <= len(rows):
            break
        found, before = _means(rows, label, near, found), label
    return found


def nearest(rows: Matrix, centres: Matrix, device: str = "numpy") -> tuple[Matrix, Matrix]:
    """Of each row the number of its nearest centre, and their product less half the centre's square: most where nearest."""
    half = np.einsum("ij,ij->i", centres, centres) / 2
    found = _nearest_in_numpy(centres, half) if device == "numpy" else centre_finder(centres, half, device)
    label, near = np.zeros(len(rows), dtype=np.int64), np.full(len(rows), -np.inf, dtype=np.float32)
    for start in range(0, len(rows), _ROWS):
        label[start : start + _ROWS], near[start : start + _ROWS] = found(rows[start : start + _ROWS])
    return label, near


def _nearest_in_numpy(centres: Matrix, half: Matrix) -> Callable[[Matrix], tuple[Matrix, Matrix]]:
    """A block's nearest centres, a few centres at a time."""

    def found(block: Matrix) -> tuple[Matrix, Matrix]:
        there, label, near = np.arange(len(block)), np.zeros(len(block), dtype=np.int64), np.full(len(block), -np.inf)
        for start in range(0, len(centres), _CENTRES):
            alike = block @ centres[start : start + _CENTRES].T
            alike -= half[start : start + _CENTRES]
            best = alike.argmax(axis=1)
            nearer = alike[there, best] > near
            label, near = np.where(nearer, best + start, label), np.where(nearer, alike[there, best], near)
        return label, near

    return found


def _seed_centres(rows: Matrix, clusters: int, rng: np.random.Generator) -> Matrix:
    """Rows far from each other: each drawn by its squared distance to those before it (k-means++), later ones some at once."""
    chosen = new = rng.integers(len(rows), size=1)
    far = np.full(len(rows), np.inf)
    while len(chosen) < clusters:
        far = np.minimum(far, 1 - 2 * nearest(rows, rows[new])[1].astype(np.float64))
        far[far < _COPY_DISTANCE] = 0
        some = min(max(1, len(chosen) // _SEEDS_AT_ONCE), clusters - len(chosen), np.count_nonzero(far))
        if not some:  # all others are copies of these
            break
        new = rng.choice(len(rows), some, replace=False, p=far / far.sum())
        chosen = np.concatenate([chosen, new])
    return rows[chosen]


def _means(rows: Matrix, label: Matrix, near: Matrix, centres: Matrix) -> Matrix:
    """The mean of each cluster's rows; an empty cluster begins anew at a row that is farthest from its own centre."""
    order = np.argsort(label, kind="stable")
    ordered = label[order]
    means = centres.copy()
    for start, stop in pairwise([*np.flatnonzero(np.diff(ordered, prepend=-1)), len(rows)]):
        means[ordered[start]] = rows[order[start:stop]].mean(axis=0)
    empty = np.setdiff1d(np.arange(len(centres)), ordered)
    means[empty] = rows[np.argsort(near, kind="stable")[: len(empty)]]
    return means

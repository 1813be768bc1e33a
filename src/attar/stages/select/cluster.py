"""Cluster rows by their vectors (k-means on unit vectors), and pick one unused row from each of many clusters.

The clusters depend on the rows' ids, their vectors and the seed, not on their order. Centres are trained on at most `sample`
rows per cluster, sampled by id; then every row is assigned to its nearest centre. Distances are computed by blocked matrix
products, on a GPU where there is one and it pays; there rounding may assign a row between two centres differently.
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
"""From this number of row-centre products on, a GPU is worth the transfer."""
_CONVERGED = 1000
"""k-means has converged when at most one in this many rows changes its cluster."""
_SEEDS_AT_ONCE = 16
"""k-means++ draws one more centre per step for every 16 centres that it has."""
_SEED_ROWS = 64
"""Rows per cluster that k-means++ draws the first centres from."""
_COPY_DISTANCE = 1e-6
"""A row nearer than this to another is its copy, up to rounding."""


@reads(lambda knobs: (knobs["column"],))
def group(
    table: Table, *, column: str = "embedding", clusters: int, seed: int = 0, iterations: int = 20, sample: int = 256
) -> Table:
    """{column} -> id, cluster, cluster_distance (squared, to its centre); null where there is no vector.

    There are at most as many clusters as rows with a vector.
    """
    need(table, column)
    able = table.select("id", column).with_row_index("place").filter(pl.col(column).is_not_null())
    if clusters < 1:
        raise RecipeError(f"clusters must be >= 1, got {clusters}")
    clusters = min(clusters, max(1, len(able)))
    if iterations < 1 or sample < 1:
        raise RecipeError(f"iterations and sample must be >= 1, got {iterations} and {sample}")
    rows = units(matrix(able, column))  # (rows, width)
    shuffled = able.select("id", lots(able, "cluster.group", seed)).with_row_index().sort("lot", "id")["index"].to_numpy()
    device = "cuda" if len(rows) * clusters >= _GPU_PRODUCTS and has_cuda() else "numpy"
    centres = train_centres(rows[shuffled[: sample * clusters]], clusters, iterations=iterations, seed=seed, device=device)
    label, score = nearest(rows, centres, device)
    distance = np.maximum(0.0, 1 - 2 * score.astype(np.float64))  # |x - c|^2 = |x|^2 - 2 (x @ c - |c|^2 / 2), and |x| = 1
    clustered = able.select("place", pl.Series("cluster", label, dtype=pl.Int64), pl.Series("cluster_distance", distance))
    numbered = table.select("id").with_row_index("place")
    return numbered.join(clustered, on="place", how="left", maintain_order="left").drop("place")


@reads(lambda knobs: (*(["cluster"] if knobs["clustered"] else []), *(columns(knobs["by"]) if knobs["by"] else ())))
def pick(
    table: Table, used: Table | None = None, *, keep: int, by: str | None = None, clustered: bool = True, seed: int = 0
) -> Table:
    """cluster, the columns of `by` -> verdicts: from each of `keep` clusters one row whose id is not among the `used` rows.

    The clusters with the fewest used rows come first, ties at random; if fewer than `keep` have a row left, fewer are kept. A
    cluster's highest row is taken, ties by id; without `by` a random one. If not `clustered`, each row is its own cluster.
    """
    table = table if clustered else table.with_columns(cluster=pl.int_range(pl.len()))
    need(table, "cluster", *(columns(by) if by else ()))
    if by:
        ranked = sort_best_first(table, by, cluster=pl.col("cluster"))
    else:
        ranked = table.select("id", "cluster", lots(table, "cluster.pick", seed).alias("by")).with_row_index().sort("by", "id")
    is_used = pl.col("id").is_in(used["id"].implode()) if used is not None else pl.lit(False)
    ranked = ranked.with_columns(used=is_used).with_columns(free=~pl.col("used") & pl.col("by").is_not_null())
    first = ranked.with_columns(times=pl.col("used").sum().over("cluster")).drop_nulls("cluster").filter("free")
    first = first.unique("cluster", keep="first", maintain_order=True)
    lot = pl.Series("lot", [seed_of("cluster.pick", seed, int(cluster)) for cluster in first["cluster"]], dtype=pl.Int64)
    picked = first.with_columns(lot).sort("times", "lot", "cluster").head(check_keep(keep)).select("cluster", picked="id")
    judged = ranked.join(picked, on="cluster", how="left").sort("index")
    kept = (pl.col("id") == pl.col("picked")).fill_null(False)
    outranked = pl.col("free") & pl.col("picked").is_not_null() & ~kept
    reason = pl.when(pl.col("cluster").is_null()).then(pl.lit("no cluster")).when("used").then(pl.lit("used before"))
    reason = reason.when(~pl.col("free")).then(pl.lit(f"no {by}"))
    reason = reason.when(outranked).then(pl.lit("another of its cluster is picked"))
    reason = reason.when(~kept).then(pl.lit("its cluster is not picked"))
    return judged.select("id", kept.alias("kept"), reason.alias("reason"), pl.when(outranked).then("picked").alias("because"))


@reads("cluster")
def coverage(table: Table, used: Table) -> Table:
    """cluster -> id, rows, used, clusters, touched (clusters with a used row), share (touched / clusters)."""
    need(table, "cluster")
    grouped = table.drop_nulls("cluster").select("cluster", used=pl.col("id").is_in(used["id"].implode()))
    counts = grouped.group_by("cluster").agg(rows=pl.len(), used=pl.col("used").sum())
    touched = (pl.col("used") > 0).sum()
    return counts.select(
        pl.lit("coverage").alias("id"),
        pl.col("rows").sum().cast(pl.Int64),
        pl.col("used").sum().cast(pl.Int64),
        pl.len().cast(pl.Int64).alias("clusters"),
        touched.cast(pl.Int64).alias("touched"),
        (touched / pl.len()).alias("share"),
    )


def train_centres(rows: Matrix, clusters: int, *, iterations: int, seed: int, device: str = "numpy") -> Matrix:
    """k-means on unit rows (Lloyd's algorithm, seeded by k-means++): the centres, (clusters, width)."""
    if not len(rows):
        return np.zeros((1, rows.shape[1]), dtype=np.float32)
    centres = _seed_centres(rows[: _SEED_ROWS * clusters], clusters, np.random.default_rng(seed_of("cluster.centres", seed)))
    before = np.full(len(rows), -1)
    for _ in range(iterations):
        label, score = nearest(rows, centres, device)
        if (label != before).sum() * _CONVERGED <= len(rows):
            break
        centres = _means(rows, label, score, centres)
        before = label
    return centres


def nearest(rows: Matrix, centres: Matrix, device: str = "numpy") -> tuple[Matrix, Matrix]:
    """Each row's nearest centre, and its score x @ c - |c|^2 / 2, which is largest for the nearest centre; both (rows,)."""
    half_squares = np.einsum("ij,ij->i", centres, centres) / 2
    find = _nearest_in_numpy(centres, half_squares) if device == "numpy" else centre_finder(centres, half_squares, device)
    label, score = np.zeros(len(rows), dtype=np.int64), np.full(len(rows), -np.inf, dtype=np.float32)
    for start in range(0, len(rows), _ROWS):
        label[start : start + _ROWS], score[start : start + _ROWS] = find(rows[start : start + _ROWS])
    return label, score


def _nearest_in_numpy(centres: Matrix, half_squares: Matrix) -> Callable[[Matrix], tuple[Matrix, Matrix]]:
    """A function from a block of rows to their nearest centres and scores, by tiles of centres."""

    def find(block: Matrix) -> tuple[Matrix, Matrix]:
        rows, label, score = np.arange(len(block)), np.zeros(len(block), dtype=np.int64), np.full(len(block), -np.inf)
        for start in range(0, len(centres), _CENTRES):
            scores = block @ centres[start : start + _CENTRES].T  # (block, tile)
            scores -= half_squares[start : start + _CENTRES]
            best = scores.argmax(axis=1)
            nearer = scores[rows, best] > score
            label = np.where(nearer, best + start, label)
            score = np.where(nearer, scores[rows, best], score)
        return label, score

    return find


def _seed_centres(rows: Matrix, clusters: int, rng: np.random.Generator) -> Matrix:
    """k-means++: each centre is a row drawn by its squared distance to the nearest earlier centre; later ones in batches."""
    chosen = new = rng.integers(len(rows), size=1)
    distance = np.full(len(rows), np.inf)  # squared, to the nearest centre so far
    while len(chosen) < clusters:
        distance = np.minimum(distance, 1 - 2 * nearest(rows, rows[new])[1].astype(np.float64))
        distance[distance < _COPY_DISTANCE] = 0
        count = min(max(1, len(chosen) // _SEEDS_AT_ONCE), clusters - len(chosen), np.count_nonzero(distance))
        if not count:  # all other rows are copies of the centres
            break
        new = rng.choice(len(rows), count, replace=False, p=distance / distance.sum())
        chosen = np.concatenate([chosen, new])
    return rows[chosen]


def _means(rows: Matrix, label: Matrix, score: Matrix, centres: Matrix) -> Matrix:
    """The mean of each cluster's rows; an empty cluster restarts at one of the rows farthest from their own centres."""
    order = np.argsort(label, kind="stable")
    ordered = label[order]
    means = centres.copy()
    for start, stop in pairwise([*np.flatnonzero(np.diff(ordered, prepend=-1)), len(rows)]):
        means[ordered[start]] = rows[order[start:stop]].mean(axis=0)
    empty = np.setdiff1d(np.arange(len(centres)), ordered)
    means[empty] = rows[np.argsort(score, kind="stable")[: len(empty)]]
    return means

"""Approximate nearest neighbours (inverted lists, IVF) for large pools; recall is measured and reported.

Not every pair is compared. So `neighbour_distance` may be too large (null if no other row was compared), `repeats` is a lower
bound, and a repeat whose original was missed counts as an original. The distances themselves are exact, in float64.
`neighbour_recall` is the share of the true nearest neighbours that was found, by distance, for a random sample of rows.
The same rows give the same result on the same machine; on another, rounding may put a row into another list.
"""

import numpy as np
import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import reads
from attar.core.table import Table
from attar.similarity.exact_check import ExactCheck
from attar.similarity.matrix import Matrix, matrix, units
from attar.similarity.nearest import Nearest
from attar.similarity.products import Numpy
from attar.stages.annotate.neighbours import add_neighbours, rows_with_vectors

_BLOCK, _TILE = 1024, 4096
_ITERATIONS, _ROWS_PER_CENTRE = 4, 32
"""Iterations of k-means, and the training rows per centre."""
_NONE = -2.0
"""Below any cosine."""
_EQUAL_WITHIN = 1e-12
"""Cosines that differ by less are equal."""
_SAME_CENTRE = 1e-6
"""Centres with a cosine above 1 minus this are the same centre: more than float32 can be off, less than two groups differ."""


@reads(lambda knobs: (knobs["column"],))
def measure(
    table: Table, *, column: str = "embedding", near: float = 0.05, k: int = 1, probes: int = 16, sample: int = 1000
) -> Table:
    """{column} -> the columns of neighbours.measure, neighbour_recall; each row is compared with the rows of some lists.

    Every row is in the list of its nearest centre; there are 2 * sqrt(rows) centres. `probes` is the number of lists that
    each row is compared with: time grows with it, and so does recall.
    """
    for knob, value in (("probes", probes), ("sample", sample)):
        if value < 1:
            raise RecipeError(f"{knob} must be >= 1, got {value}")
    able = rows_with_vectors(table, column, k)
    vectors = matrix(able, column)
    unit_vectors = units(vectors)
    neighbours = _search_lists(vectors, unit_vectors, k, 1 - near / 2, probes)
    recall = pl.lit(_recall(vectors, unit_vectors, neighbours, sample), dtype=pl.Float64)
    return add_neighbours(table, able, neighbours, k).with_columns(recall.alias("neighbour_recall"))


def _recall(rows: Matrix, unit_rows: Matrix, neighbours: Nearest, sample: int) -> float | None:
    """Recall at k on a random sample of rows, by exact search; another row at the same distance counts as found."""
    total = len(rows)
    k = min(neighbours.other.shape[1], total - 1)
    if k < 1:
        return None
    sampled = np.random.default_rng(0).choice(total, min(sample, total), replace=False)
    exact = _TopK(rows, unit_rows, k, near=np.inf)
    exact.compare(sampled, np.arange(total))
    return float(np.mean(neighbours.cosine[sampled, :k] >= exact.cosine[sampled, -1:] - _EQUAL_WITHIN))


def _search_lists(rows: Matrix, unit_rows: Matrix, k: int, near: float, probes: int) -> Nearest:
    """Compare each row with the lists whose centres are nearest to it, list by list."""
    best = _TopK(rows, unit_rows, k, near)
    for members, queries in _inverted_lists(unit_rows, probes):
        best.compare(queries, members)
    return Nearest(best.other, best.cosine, best.count, np.where(best.first < len(rows), best.first, -1))


class _TopK:
    """For each row, among the rows it was compared with: the k nearest, how many are near, and the first that is near.

    Decided in float64. Products in float32 only discard pairs that are out by more than the rounding error.
    """

    def __init__(self, rows: Matrix, unit_rows: Matrix, k: int, near: float) -> None:
        total = len(rows)
        self.exact_check = ExactCheck(rows, unit_rows)
        self.unit_rows = unit_rows
        self.k = k
        self.near = near
        self.slack = Numpy().rounding(rows.shape[1])
        self.other = np.full((total, k), -1, dtype=np.int64)
        self.cosine = np.full((total, k), _NONE)
        self.count = np.zeros(total, dtype=np.int64)
        self.first = np.full(total, total, dtype=np.int64)

    def compare(self, queries: Matrix, others: Matrix) -> None:
        """Compare rows with others (in ascending order, not compared with before); no row is compared with itself."""
        for start in range(0, len(queries), _BLOCK):
            for begin in range(0, len(others), _TILE):
                self._compare_tile(queries[start : start + _BLOCK], others[begin : begin + _TILE])

    def _compare_tile(self, queries: Matrix, others: Matrix) -> None:
        products = _cosines(self.unit_rows, queries, others)  # (queries, others)
        top, known = products.max(axis=1), self.cosine[queries, -1]
        candidates = np.flatnonzero(top >= np.minimum(known, self.near) - self.slack)
        queries, products, top, known = queries[candidates], products[candidates], top[candidates], known[candidates]
        # A pair matters if it is near, or above both the k-th best so far and the k-th best of this tile.
        least = np.minimum(np.maximum(known, _kth_largest(products, top, self.k) - self.slack), self.near)
        hits = np.flatnonzero(products >= (least - self.slack).astype(np.float32)[:, None])
        query, other = np.divmod(hits, len(others))
        passed, cosine = self.exact_check.above(queries[query], others[other], np.nextafter(least[query], -np.inf))
        self._update(queries[query[passed]], others[other[passed]], cosine)

    def _update(self, rows: Matrix, others: Matrix, cosine: Matrix) -> None:
        """Merge new neighbours of some rows: the best k of the old and the new stay, the first of equal ones."""
        close = cosine >= self.near
        np.add.at(self.count, rows[close], 1)
        np.minimum.at(self.first, rows[close], others[close])
        touched = np.unique(rows)
        row = np.concatenate([np.repeat(touched, self.k), rows])
        other = np.concatenate([self.other[touched].ravel(), others])
        value = np.concatenate([self.cosine[touched].ravel(), cosine])
        order = np.lexsort((other, -value, row))
        starts = np.searchsorted(row[order], touched)
        best = order[starts[:, None] + np.arange(self.k)]
        self.other[touched], self.cosine[touched] = other[best], value[best]


def _cosines(unit_rows: Matrix, queries: Matrix, others: Matrix) -> Matrix:
    """float32 cosines of some rows with others (in ascending order); -inf for a row with itself."""
    products = unit_rows[queries] @ unit_rows[others].T  # (queries, others)
    place = np.minimum(np.searchsorted(others, queries), len(others) - 1)
    itself = np.flatnonzero(others[place] == queries)
    products[itself, place[itself]] = -np.inf
    return products


def _kth_largest(products: Matrix, top: Matrix, k: int) -> Matrix | float:
    """The k-th largest product of each row; `top` is each row's largest."""
    if k == 1:
        return top
    return np.partition(products, -k, axis=1)[:, -k] if k <= products.shape[1] else -np.inf


def _inverted_lists(unit_rows: Matrix, probes: int) -> list[tuple[Matrix, Matrix]]:
    """For each list the rows in it, and the rows that probe it; both in the table's order."""
    total = len(unit_rows)
    centres = _drop_duplicates(_train_centres(unit_rows, round(2 * total**0.5)))  # (lists, width)
    probes = min(probes, len(centres))
    probed, home = np.empty((total, probes), dtype=np.int32), np.empty(total, dtype=np.int32)
    for start in range(0, total, _BLOCK):
        cosine = unit_rows[start : start + _BLOCK] @ centres.T  # (block, lists)
        home[start : start + _BLOCK] = cosine.argmax(axis=1)
        probed[start : start + _BLOCK] = np.argpartition(-cosine, probes - 1, axis=1)[:, :probes]
    members = _group_by_label(home, len(centres))
    queries = [positions // probes for positions in _group_by_label(probed.ravel(), len(centres))]
    return list(zip(members, queries, strict=True))


def _drop_duplicates(centres: Matrix) -> Matrix:
    """Drop centres that repeat an earlier one: otherwise rounding alone would spread copies of a row over both lists."""
    return centres[np.tril(centres @ centres.T, -1).max(axis=1, initial=0) < 1 - _SAME_CENTRE]


def _group_by_label(labels: Matrix, count: int) -> list[Matrix]:
    """The positions of each label, in order."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(1, count))) if count else []


def _train_centres(unit_rows: Matrix, count: int) -> Matrix:
    """Spherical k-means on a random sample: unit centres; a centre that loses all its rows stays where it is."""
    random = np.random.default_rng(0)
    sample = unit_rows[random.choice(len(unit_rows), min(len(unit_rows), _ROWS_PER_CENTRE * count), replace=False)]
    centres = sample[:count].copy()
    for _ in range(_ITERATIONS):
        labels = [(sample[i : i + _TILE] @ centres.T).argmax(axis=1) for i in range(0, len(sample), _TILE)]
        for place, members in enumerate(_group_by_label(np.concatenate(labels or [[]]), count)):
            mean = sample[members].sum(axis=0, dtype=np.float64)
            norm = np.linalg.norm(mean)
            if norm > 0:
                centres[place] = mean / norm
    return centres

"""The k nearest neighbours of each row, exactly, and the number of neighbours above a cosine: all pairs, in blocked products.

First each row is compared with a few rows that are probably near it, which gives a lower bound (cutoff) of its k-th best
cosine.
Then the rows are processed by increasing cutoff, isolated rows first. Only pairs that may beat a cutoff are checked in float64.
Each block of queries uses the pruner (row width) with the lowest measured cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attar.similarity.exact_check import ExactCheck
from attar.similarity.matrix import Matrix, unit, units
from attar.similarity.products import Arithmetic, Numpy
from attar.similarity.pruning import ReducedRows, candidate_pruners, cost

_QUERY_BLOCK, _ROW_BLOCK = 1024, 4096
_PIVOT_PASSES, _PIVOTS, _BAND = 2, 256, 512
_NO_COSINE = -2.0  # below any cosine
_TRIAL_QUERIES, _TRIAL_ROWS = 32, 1024  # pairs on which a pruner's pass rate is measured


@dataclass(frozen=True, slots=True)
class Nearest:
    """Each row's k nearest neighbours, nearest first, ties by row number; and how many rows are near it."""

    other: Matrix
    """(rows, k): row numbers; -1 where there are fewer than k."""
    cosine: Matrix
    """(rows, k): -2 where there are fewer than k."""
    count: Matrix
    """(rows,): how many other rows are near."""
    first: Matrix
    """(rows,): the first row that is near, or -1."""


def nearest(rows: Matrix, k: int, near: float, arithmetic: Arithmetic) -> Nearest:
    """The k nearest neighbours of each row by cosine; a row is near if the cosine is at least `near`."""
    whole = units(rows)
    best = _Neighbours(rows, whole, k, near)
    order = np.argsort(best.initial, kind="stable")
    stores = [ReducedRows(pruner, *rows.shape) for pruner in candidate_pruners(whole, arithmetic)]
    for start in range(0, len(rows), _ROW_BLOCK):
        _add_to_all(stores, unit(rows[order[start : start + _ROW_BLOCK]], dtype=np.float64))
    for start in range(0, len(rows), _QUERY_BLOCK):
        queries = slice(start, min(start + _QUERY_BLOCK, len(rows)))
        store = min(stores, key=lambda store: _measured_cost(store, queries, best.cutoffs(order[queries])))
        for begin in range(start, len(rows), _ROW_BLOCK):  # the earlier rows have met these queries already
            answers = slice(begin, begin + _ROW_BLOCK)
            cutoffs = np.minimum(best.cutoffs(order[queries]), best.cutoffs(order[answers]).min())
            ones, others = store.above(queries, answers, cutoffs)
            once = start + ones < begin + others
            best.check_pairs(order[start + ones[once]], order[begin + others[once]])
    return best.result()


def _add_to_all(stores: Sequence[ReducedRows], block: Matrix) -> None:
    """Add rows to all stores; a narrow pruner's directions are the first ones of the widest."""
    *reduced, whole = stores
    whole.append(block.astype(np.float32))
    if reduced:
        along = block @ reduced[-1].pruner.directions
        for store in reduced:
            store.append(store.pruner.reduce_coordinates(along))


def _initial_cutoffs(whole: Matrix, k: int) -> Matrix:
    """A lower bound of each row's k-th best cosine: the k-th best within its band, with rows sorted by pivots."""
    cutoffs = np.full(len(whole), _NO_COSINE)
    width = max(_BAND, 2 * k)
    for seed in range(_PIVOT_PASSES if len(whole) > k else 0):
        order = _pivot_order(whole, np.random.default_rng(seed))
        for start in range(0, len(whole), width):
            band = order[max(0, min(start, len(whole) - width)) : start + width]
            cosine = whole[band] @ whole[band].T
            np.fill_diagonal(cosine, -np.inf)
            kth = cosine.max(axis=1) if k == 1 else np.partition(cosine, -k, axis=1)[:, -k]
            cutoffs[band] = np.maximum(cutoffs[band], kth)
    return cutoffs - Numpy().rounding(whole.shape[1])


def _pivot_order(whole: Matrix, random: np.random.Generator) -> Matrix:
    """An order in which rows with the same nearest pivot (a random row) are adjacent."""
    total, width = whole.shape
    pivots = whole[random.choice(total, min(_PIVOTS, total), replace=False)]
    pivots = pivots[np.argsort(pivots @ random.standard_normal(width).astype(np.float32))]
    pivot, closeness = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.float32)
    for start in range(0, total, _ROW_BLOCK):
        stop = start + _ROW_BLOCK
        cosine = whole[start:stop] @ pivots.T
        pivot[start:stop] = cosine.argmax(axis=1)
        closeness[start:stop] = cosine.max(axis=1)
    return np.lexsort((-closeness, pivot))


def _measured_cost(store: ReducedRows, queries: slice, cutoffs: Matrix) -> float:
    """The cost of a pair for these queries in this store, with the pass rate measured on a few pairs."""
    step = max(1, len(cutoffs) // _TRIAL_QUERIES)
    sample, rows = cutoffs[::step], slice(0, store.count, max(1, store.count // _TRIAL_ROWS))
    passed = store.above(slice(queries.start, queries.stop, step), rows, sample)[0]
    pass_rate = len(passed) / len(sample) / len(store.rows[rows])
    return cost(store.pruner.arithmetic, store.pruner.width(store.whole), pass_rate)


class _Neighbours:
    """The best neighbours found so far."""

    def __init__(self, rows: Matrix, units: Matrix, k: int, near: float) -> None:
        total = len(rows)
        self.check = ExactCheck(rows, units)
        self.k = k
        self.near = near
        self.initial = _initial_cutoffs(units, k)
        self.other = np.full((total, k), -1, dtype=np.int64)
        self.cosine = np.full((total, k), _NO_COSINE)
        self.count = np.zeros(total, dtype=np.int64)
        self.first = np.full(total, total, dtype=np.int64)

    def cutoffs(self, rows: Matrix) -> Matrix:
        """The cosine that a neighbour must reach to change the result of each of these rows."""
        return np.minimum(np.maximum(self.initial[rows], self.cosine[rows, -1]), self.near)

    def check_pairs(self, ones: Matrix, others: Matrix) -> None:
        """Check new pairs in float64 and record them for both rows."""
        cutoffs = np.nextafter(np.minimum(self.cutoffs(ones), self.cutoffs(others)), -np.inf)
        positions, cosine = self.check.above(ones, others, cutoffs)
        ones, others = ones[positions], others[positions]
        close = cosine >= self.near
        for one, other in ((ones, others), (others, ones)):
            self.count += np.bincount(one[close], minlength=len(self.count))
            np.minimum.at(self.first, one[close], other[close])
            self._merge(one, other, cosine)

    def _merge(self, rows: Matrix, others: Matrix, cosine: Matrix) -> None:
        """Merge new neighbours of some rows into their best k."""
        better = cosine >= self.cosine[rows, -1]
        rows, others, cosine = rows[better], others[better], cosine[better]
        touched = np.unique(rows)
        rows = np.concatenate([np.repeat(touched, self.k), rows])
        others = np.concatenate([self.other[touched].ravel(), others])
        cosine = np.concatenate([self.cosine[touched].ravel(), cosine])
        order = np.lexsort((others, -cosine, rows))
        rows, others, cosine = rows[order], others[order], cosine[order]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        best = rank < self.k
        self.other[rows[best], rank[best]] = others[best]
        self.cosine[rows[best], rank[best]] = cosine[best]

    def result(self) -> Nearest:
        """The neighbours found."""
        return Nearest(self.other, self.cosine, self.count, np.where(self.first < len(self.first), self.first, -1))

"""Greedy diversity filter (Repr Filter): walk rows best first, keep each if its cosines with kept rows are <= a threshold.

A dropped row is the duplicate of the first kept row whose cosine exceeds the threshold. Blocked matrix products only find
candidate pairs. Each candidate is checked in float64 on the original rows, so the result depends on neither the block size nor
the arithmetic.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from attar.similarity.exact_check import ExactCheck
from attar.similarity.matrix import Matrix, lengths, unit
from attar.similarity.products import Arithmetic, Numpy, Pairs
from attar.similarity.pruning import ReducedRows, choose_pruner

_BLOCK, _TILE = 2048, 4096
_BLOCK_VALUES = 2**20  # numbers of a block held at once: wide rows are taken in smaller blocks
_SUB_BLOCK = 256  # rows compared with each other at once
_MAX_PASS_RATE_INVERSE = 64  # if more than 1/64 of pairs pass the pruning, multiplying whole rows is faster


@dataclass(frozen=True, slots=True)
class FilterResult:
    """The kept rows; for each dropped row, the kept row that it duplicates and their cosine."""

    kept: Matrix
    """Row numbers, in order."""
    by: Matrix
    """(rows,): the kept row that this row duplicates, or -1."""
    cosine: Matrix
    """(rows,): the cosine with that row, or NaN."""
    seen: int
    """Rows processed before enough were kept."""


def filter_rows(
    rows: Matrix, threshold: float, keep: int | None, arithmetic: Arithmetic, block: int | None = None
) -> FilterResult:
    """Keep each row whose cosine with every row kept before it is at most the threshold, until `keep` are kept."""
    total, width = rows.shape
    block = block or max(_SUB_BLOCK, min(_BLOCK, _BLOCK_VALUES // max(1, width)))
    limit = total if keep is None else min(keep, total)
    greedy = _GreedyFilter(rows, threshold, limit, arithmetic)
    start = 0
    while start < total and greedy.reduced.count < limit:
        stop = min(start + block, total)
        greedy.process(np.arange(start, stop))
        start = stop
    kept = greedy.kept[: greedy.reduced.count][:limit].copy()
    seen = total if greedy.reduced.count < limit or not limit else int(kept[-1]) + 1
    greedy.by[seen:] = -1
    greedy.cosine[seen:] = np.nan
    return FilterResult(kept, greedy.by, greedy.cosine, seen if limit else 0)


class _GreedyFilter:
    """The state of the walk: the kept rows, and what the dropped rows duplicate."""

    def __init__(self, rows: Matrix, threshold: float, limit: int, arithmetic: Arithmetic) -> None:
        total, width = rows.shape
        self.check = ExactCheck(rows)
        self.rows = self.check.rows
        self.threshold = threshold
        self.limit = limit
        capacity = min(total, limit + _SUB_BLOCK)
        self.reduced = ReducedRows(choose_pruner(rows, capacity, threshold, arithmetic), capacity, width)
        self.kept = np.empty(capacity, dtype=np.int64)
        self.by = np.full(total, -1, dtype=np.int64)
        self.cosine = np.full(total, np.nan)

    def process(self, block: Matrix) -> None:
        """Process a block of row numbers: compare it with all kept rows, then sub-block by sub-block with itself."""
        first, before = int(block[0]), self.reduced.count
        whole = self.rows[first : first + len(block)]
        sizes = lengths(whole, lambda i: f"row {first + i}")
        self.check.set_lengths(block, sizes)
        encoded = self.reduced.encode(self.reduced.pruner.reduce(whole / sizes[:, None]))
        left = np.arange(len(block))
        for start in range(0, before, _TILE):
            left = self._drop_similar(block, encoded, left, start, min(start + _TILE, before))
        for start in range(0, len(left), _SUB_BLOCK):
            part = self._drop_similar(block, encoded, left[start : start + _SUB_BLOCK], before, self.reduced.count)
            part = self._filter_among(block, encoded, part)
            self.kept[self.reduced.count : self.reduced.count + len(part)] = block[part]
            self.reduced.add(encoded[part])
            if self.reduced.count >= self.limit:
                return

    def _drop_similar(self, block: Matrix, encoded: Any, left: Matrix, start: int, stop: int) -> Matrix:
        """The rows of `left` that are similar to none of the kept rows start to stop; the others are recorded as dropped."""
        if start == stop or not len(left):
            return left
        queries, kept = encoded[left] if len(left) < len(block) else encoded, self.kept[start:stop]
        ones, others = self._candidates(queries, self.reduced.rows[start:stop], block[left], kept)
        ones, others, cosine = self._check(block[left], kept, ones, others)
        ones, firsts = np.unique(ones, return_index=True)
        dropped = block[left[ones]]
        self.by[dropped] = kept[others[firsts]]
        self.cosine[dropped] = cosine[firsts]
        return np.delete(left, ones)

    def _filter_among(self, block: Matrix, encoded: Any, part: Matrix) -> Matrix:
        """The rows of a sub-block that stay when each is compared with those kept before it in the sub-block."""
        rows = encoded[part]
        ones, others = self._candidates(rows, rows, block[part], block[part])
        earlier = others < ones
        ones, others, cosine = self._check(block[part], block[part], ones[earlier], others[earlier])
        stays = np.ones(len(part), dtype=bool)
        later, starts = np.unique(ones, return_index=True)
        for row, start, stop in zip(later, starts, np.append(starts, len(ones))[1:], strict=True):
            similar = np.flatnonzero(stays[others[start:stop]])
            if len(similar):
                first = start + similar[0]
                stays[row] = False
                self.by[block[part[row]]] = block[part[others[first]]]
                self.cosine[block[part[row]]] = cosine[first]
        return part[stays]

    def _candidates(self, left: Any, right: Any, ones: Matrix, others: Matrix) -> Pairs:
        """The pairs that may exceed the threshold; if too many pass the pruning, whole rows are multiplied."""
        arithmetic = self.reduced.pruner.arithmetic
        pairs = arithmetic.above(arithmetic.queries(left, self.reduced.product_threshold(self.threshold)), right)
        few = len(pairs[0]) * _MAX_PASS_RATE_INVERSE < len(ones) * len(others)
        if few or self.reduced.pruner.directions is None:
            return pairs
        whole = Numpy()
        limit = self.threshold - whole.rounding(self.rows.shape[1])
        queries = whole.queries(whole.rows(unit(self.rows[ones]))[0], limit)
        return whole.above(queries, whole.rows(unit(self.rows[others]))[0])

    def _check(self, left: Matrix, right: Matrix, ones: Matrix, others: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        """The candidate pairs whose exact cosine exceeds the threshold, and that cosine."""
        positions, cosine = self.check.above(left[ones], right[others], self.threshold)
        return ones[positions], others[positions], cosine

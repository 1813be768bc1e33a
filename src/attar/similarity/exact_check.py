"""Look at pairs of rows themselves: those whose cosine is above a threshold, decided in 64 bits.

A first look in 32 bits sends away what is below by more than 32 bits can err; what is left, few pairs, is worked out in 64.
"""

import numpy as np

from attar.similarity.matrix import Matrix, cosines
from attar.similarity.products import Numpy

_AT_ONCE = 2**20
"""How many values of one side are looked at at once: what fits the nearest caches."""
_TAME = 1e15
"""Rows longer than this, or shorter than one over it, are left to 64 bits."""


def in_line(rows: Matrix) -> Matrix:
    """The rows, one behind the other in memory or on disk as they are; else a copy, for `take` would make one at every call."""
    flags = rows.flags
    return (
        rows
        if flags.c_contiguous and flags.aligned and rows.dtype.isnative
        else np.array(rows, rows.dtype.newbyteorder("="), order="C")
    )


class Looks:
    """Pairs of rows, in memory or a memory map; the first look needs them at length one, or to be told their lengths."""

    def __init__(self, rows: Matrix, units: Matrix | None = None) -> None:
        self.rows, self.units, self.step = in_line(rows), units, max(1, _AT_ONCE // max(1, rows.shape[1]))
        self.slack = 2 * Numpy().rounding(rows.shape[1])
        self.sizes = np.full(len(rows), np.nan)

    def told(self, rows: Matrix, sizes: Matrix) -> None:
        """The lengths of some rows; where they are so odd that 32 bits cannot be trusted, none."""
        self.sizes[rows] = np.where((sizes < _TAME) & (sizes > 1 / _TAME), sizes, np.nan)

    def above(self, ones: Matrix, others: Matrix, threshold: Matrix | float) -> tuple[Matrix, Matrix]:
        """Which of the pairs (by their place) are above the threshold, or each above its own, and their cosines."""
        places, found = [], []
        limits = np.broadcast_to(threshold, len(ones))
        for start in range(0, len(ones), self.step):
            one, other = ones[start : start + self.step], others[start : start + self.step]
            limit = limits[start : start + self.step]
            near = np.flatnonzero(~(self._roughly(one, other) <= limit - self.slack))
            alike = cosines(self.rows[one[near]], self.rows[other[near]])
            sure = alike > limit[near]
            places.append(start + near[sure])
            found.append(alike[sure])
        return (np.concatenate(places), np.concatenate(found)) if places else (np.empty(0, np.int64), np.empty(0))

    def _roughly(self, one: Matrix, other: Matrix) -> Matrix:
        """The cosines in 32 bits; NaN where no lengths are known."""
        if self.units is not None:
            return np.einsum("ij,ij->i", self.units.take(one, axis=0), self.units.take(other, axis=0))
        with np.errstate(over="ignore", invalid="ignore"):
            left, right = (self.rows.take(pair, axis=0).astype(np.float32, copy=False) for pair in (one, other))
            return np.einsum("ij,ij->i", left, right) / (self.sizes[one] * self.sizes[other])

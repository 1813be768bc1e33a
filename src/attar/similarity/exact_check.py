"""Decide candidate pairs exactly: which have a cosine above a threshold, computed in float64 from the original rows.

A float32 cosine first rejects pairs that are below the threshold by more than float32 can err. The few pairs left are computed
in float64.
"""

import numpy as np

from attar.similarity.matrix import Matrix, cosines
from attar.similarity.products import Numpy

_BLOCK_VALUES = 2**20  # numbers of one side checked at once: what fits in the inner caches
_MAX_LENGTH = 1e15  # rows longer than this, or shorter than its inverse, are left to float64


def contiguous(rows: Matrix) -> Matrix:
    """The rows themselves if C-contiguous and native (also as a memory map), else a copy; `take` would copy at every call."""
    flags = rows.flags
    return (
        rows
        if flags.c_contiguous and flags.aligned and rows.dtype.isnative
        else np.array(rows, rows.dtype.newbyteorder("="), order="C")
    )


class ExactCheck:
    """Checks pairs of rows, in memory or in a memory map. The float32 test needs unit rows, or the lengths by `set_lengths`."""

    def __init__(self, rows: Matrix, units: Matrix | None = None) -> None:
        width = rows.shape[1]
        self.rows = contiguous(rows)
        self.units = units
        self.step = max(1, _BLOCK_VALUES // max(1, width))
        self.slack = 2 * Numpy().rounding(width)
        self.sizes = np.full(len(rows), np.nan)

    def set_lengths(self, rows: Matrix, sizes: Matrix) -> None:
        """Set the lengths of some rows; NaN (no float32 test) where a length is too extreme for float32."""
        self.sizes[rows] = np.where((sizes < _MAX_LENGTH) & (sizes > 1 / _MAX_LENGTH), sizes, np.nan)

    def above(self, left: Matrix, right: Matrix, threshold: Matrix | float) -> tuple[Matrix, Matrix]:
        """Positions of the pairs whose cosine exceeds the threshold (one for all, or one for each), and their cosines."""
        positions, values = [], []
        thresholds = np.broadcast_to(threshold, len(left))
        for start in range(0, len(left), self.step):
            one, other = left[start : start + self.step], right[start : start + self.step]
            limit = thresholds[start : start + self.step]
            near = np.flatnonzero(~(self._float32_cosines(one, other) <= limit - self.slack))  # NaN stays in
            exact = cosines(self.rows[one[near]], self.rows[other[near]])
            passed = exact > limit[near]
            positions.append(start + near[passed])
            values.append(exact[passed])
        return (np.concatenate(positions), np.concatenate(values)) if positions else (np.empty(0, np.int64), np.empty(0))

    def _float32_cosines(self, one: Matrix, other: Matrix) -> Matrix:
        """The cosines in float32; NaN where a length is not set."""
        if self.units is not None:
            return np.einsum("ij,ij->i", self.units.take(one, axis=0), self.units.take(other, axis=0))
        with np.errstate(over="ignore", invalid="ignore"):
            left, right = (self.rows.take(pair, axis=0).astype(np.float32, copy=False) for pair in (one, other))
            return np.einsum("ij,ij->i", left, right) / (self.sizes[one] * self.sizes[other])

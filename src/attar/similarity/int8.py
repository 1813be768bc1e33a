"""Products of short unit rows in int8 with int32 sums: the sums are exact, so only quantising the rows loses anything.

All rows are first rotated by one random orthogonal matrix. A rotation leaves every product as it is, and makes the numbers of
any row similar in size, so that one scale serves all rows. Numbers beyond the int8 range are clipped. Clipping costs speed
(more candidate pairs), never a pair.
"""

from functools import cache
from typing import Any

import numpy as np

from attar.similarity.matrix import Matrix
from attar.similarity.products import Arithmetic, Numpy, Pairs, RoundingLoss, nonzero_pairs, rounding_loss

_INT8_MAX = 127
_CLIP_AT = 5.5  # in units of 1 / sqrt(width), the size of each number of a unit row with equal numbers
_SHORTFALL_UNIT = 16  # the two augmented columns multiply to (shortfall / unit) * unit


class Int8Products:
    """torch's int8 products, on CPUs; for unit rows short enough to be rotated."""

    term = 0.0047

    def __init__(self) -> None:
        import torch

        self._torch = torch
        self._products = torch.ops.aten._int_mm

    @property
    def short(self) -> Arithmetic:
        """The same arithmetic."""
        return self

    def rows(self, block: Matrix) -> tuple[Any, RoundingLoss]:
        """The rows rotated and quantised to int8; the loss is measured, plus a bound on a float32 rotation's own error.

        A quantised row r is shorter than scale. Half its shortfall, (scale^2 - |r|^2) / 2, is kept in two augmented columns, so
        that q.r + both halves = scale^2 - |q - r|^2 / 2 depends on the distance |q - r| alone.
        """
        width = block.shape[1]
        rotated = block @ _rotation(width)
        scale = _scale(width)
        rows = rotated * scale
        np.clip(np.rint(rows, out=rows), -_INT8_MAX, _INT8_MAX, out=rows)
        shortfall = (scale**2 - np.einsum("ij,ij->i", rows, rows)) / 2
        units = np.clip(np.ceil(shortfall / _SHORTFALL_UNIT), -_INT8_MAX, _INT8_MAX)
        extra = np.stack([units, np.full(len(units), _SHORTFALL_UNIT)], axis=1)
        uncovered = float((shortfall - units * _SHORTFALL_UNIT).max(initial=0))
        quantised = self._torch.from_numpy(np.concatenate([rows, extra], axis=1).astype(np.int8))
        error = rounding_loss(rotated, rows / scale).error + width**1.5 * 2.0**-23
        return quantised, RoundingLoss(error, 1 - 2 * uncovered / scale**2)

    def rounding(self, width: int) -> float:
        """Integer products have no error of their own; the rows came in float32."""
        return Numpy().rounding(width)

    def empty(self, count: int, width: int) -> Any:
        """An uninitialised int8 buffer."""
        return self._torch.empty((count, width + 2), dtype=self._torch.int8)

    def queries(self, rows: Any, threshold: Matrix | float) -> Any:
        """The rows with their augmented columns swapped, and each threshold (or the one of all) times scale^2."""
        queries = rows.clone()
        queries[:, -2:] = rows[:, -2:].flip(1)
        scaled = np.floor(np.asarray(threshold) * _scale(rows.shape[1] - 2) ** 2)
        return queries, self._torch.as_tensor(scaled.astype(np.int32))

    def above(self, queries: Any, rows: Any) -> Pairs:
        """The pairs whose product exceeds the query's threshold."""
        vectors, thresholds = queries
        transposed = rows.T
        count = len(vectors)
        if not thresholds.ndim:
            limit = int(thresholds)
            return nonzero_pairs(count, len(rows), lambda span: self._products(vectors[span], transposed).numpy() > limit)
        limits = thresholds[:, None]
        return nonzero_pairs(
            count, len(rows), lambda span: self._products(vectors[span], transposed).sub_(limits[span]).numpy() > 0
        )


def is_supported() -> bool:
    """True if this processor has exact int8 products (VNNI); others may saturate sums, and are no faster."""
    import torch

    if not torch.cpu._is_vnni_supported():
        return False
    largest = torch.full((32, 64), _INT8_MAX, dtype=torch.int8)
    return bool((torch.ops.aten._int_mm(largest, largest.T) == 64 * _INT8_MAX**2).all())


def _scale(width: int) -> float:
    """The int8 steps per 1.0 in a row of this width."""
    return _INT8_MAX / _CLIP_AT * width**0.5


@cache
def _rotation(width: int) -> Matrix:
    """A random orthogonal matrix (width, width), always the same one."""
    return np.linalg.qr(np.random.default_rng(width).standard_normal((width, width)))[0].astype(np.float32)

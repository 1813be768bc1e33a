"""Matrix products that find candidate pairs, with a bound on their rounding error, for numpy and torch.

Rows are augmented with [1, 1] and queries with [-threshold, 0], so that q @ r.T > 0 iff the dot product exceeds the threshold,
in any precision. Three implementations: numpy in float32; torch in float32, on a CPU or a GPU; torch in bfloat16, on CPUs that
support it, twice as fast. Short rows use int8 products (int8.py) on CPUs that support them, four times as fast.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from attar.similarity.matrix import Matrix

Backend = Literal["auto", "numpy", "torch", "bfloat16", "int8", "cuda"]
Pairs = tuple[Matrix, Matrix]
_BLOCK_PRODUCTS = 2**19  # products searched for hits at once: what fits in the inner caches
_HALF_ULP = 2.0**-24  # relative error of one float32 rounding
_BF16_PAIR_ERROR = 2.0**-16  # error of a number in [-1, 1] split into two bfloat16
_GPU_MATMUL_ERROR = {"highest": 0.0, "high": 2.0**-8, "medium": 2.0**-6}
"""Error of a GPU product by `torch.get_float32_matmul_precision()`: lower settings multiply with fewer bits."""


class RoundingLoss(NamedTuple):
    """How far rounding has moved a set of unit rows."""

    error: float = 0.0
    """max ||row - rounded row||."""
    square: float = 1.0
    """min ||rounded row||^2."""


class Arithmetic(Protocol):
    """Products of unit rows in one precision, on one device."""

    @property
    def short(self) -> "Arithmetic":
        """The arithmetic to use for short rows."""
        ...

    @property
    def term(self) -> float:
        """Measured cost of one multiply-add on one core, in nanoseconds; `pruning` chooses row widths by it."""
        ...

    def rows(self, block: Matrix) -> tuple[Any, RoundingLoss]:
        """A block of rows, augmented, in this precision: (rows, width) -> (rows, width + 2)."""
        ...

    def rounding(self, width: int) -> float:
        """Bound on the rounding error of one product of two rows of this width."""
        ...

    def empty(self, count: int, width: int) -> Any:
        """An uninitialised buffer for `count` augmented rows."""
        ...

    def queries(self, rows: Any, threshold: Matrix | float) -> Any:
        """The rows as queries, with one threshold for each or one for all."""
        ...

    def above(self, queries: Any, rows: Any) -> Pairs:
        """The pairs (query, row) whose product exceeds the query's threshold, in order."""
        ...


class Numpy:
    """numpy, in float32."""

    term = 0.023

    @property
    def short(self) -> Arithmetic:
        """The same arithmetic."""
        return self

    def rows(self, block: Matrix) -> tuple[Matrix, RoundingLoss]:
        """The rows, augmented with [1, 1]."""
        return np.pad(block.astype(np.float32, copy=False), ((0, 0), (0, 2)), constant_values=1), RoundingLoss()

    def rounding(self, width: int) -> float:
        """The worst case: one rounding for each term, of partial sums up to 2."""
        return 2 * (width + 8) * _HALF_ULP

    def empty(self, count: int, width: int) -> Matrix:
        """An uninitialised float32 buffer."""
        return np.empty((count, width + 2), dtype=np.float32)

    def queries(self, rows: Matrix, threshold: Matrix | float) -> Matrix:
        """A copy whose last two columns are [-threshold, 0]."""
        queries = rows.copy()
        queries[:, -2] = -np.asarray(threshold)
        queries[:, -1] = 0
        return queries

    def above(self, queries: Matrix, rows: Matrix) -> Pairs:
        """The pairs whose augmented product is positive."""
        return nonzero_pairs(len(queries), len(rows), lambda span: queries[span] @ rows.T > 0)


class Torch:
    """torch, in float32 or in bfloat16 (with sums in float32)."""

    def __init__(self, device: str = "cpu", *, bfloat16: bool = False, short: Arithmetic | None = None) -> None:
        import torch

        self._torch = torch
        self._device = device
        self._bfloat16 = bfloat16
        self._dtype = torch.bfloat16 if bfloat16 else torch.float32
        self.short: Arithmetic = short or self
        self.term = 0.009 if bfloat16 or device != "cpu" else 0.018

    def rows(self, block: Matrix) -> tuple[Any, RoundingLoss]:
        """The augmented rows on the device; the loss of rounding to bfloat16 is measured."""
        rows = self._torch.from_numpy(Numpy().rows(block)[0]).to(self._device, self._dtype)
        return rows, rounding_loss(block, rows[:, :-2].float().numpy()) if self._bfloat16 else RoundingLoss()

    def rounding(self, width: int) -> float:
        """As in numpy, plus the error of a threshold split into two bfloat16, or of the GPU's matmul setting."""
        gpu_error = _GPU_MATMUL_ERROR[self._torch.get_float32_matmul_precision()] if self._device != "cpu" else 0.0
        return Numpy().rounding(width) + (_BF16_PAIR_ERROR if self._bfloat16 else gpu_error)

    def empty(self, count: int, width: int) -> Any:
        """An uninitialised buffer on the device."""
        return self._torch.empty((count, width + 2), dtype=self._dtype, device=self._device)

    def queries(self, rows: Any, threshold: Matrix | float) -> Any:
        """A copy whose last two columns sum to -threshold: one bfloat16 alone is too coarse."""
        queries = rows.clone()
        negated = -self._torch.as_tensor(threshold, dtype=self._torch.float32, device=self._device)
        queries[:, -2] = negated
        queries[:, -1] = negated - negated.to(self._dtype).float()
        return queries

    def above(self, queries: Any, rows: Any) -> Pairs:
        """The pairs whose augmented product is positive; on a CPU numpy finds them, several times faster than torch."""
        if self._device != "cpu":
            hits, columns = self._torch.nonzero(queries @ rows.T > 0, as_tuple=True)
            return hits.cpu().numpy(), columns.cpu().numpy()
        # A float of either format is positive iff its bits are positive as an integer.
        bits = self._torch.int16 if self._bfloat16 else self._torch.int32
        return nonzero_pairs(len(queries), len(rows), lambda span: (queries[span] @ rows.T).view(bits).numpy() > 0)


def rounding_loss(block: Matrix, rounded: Matrix) -> RoundingLoss:
    """The loss of using `rounded` in place of `block`."""
    difference = block - rounded
    error = float(np.sqrt(np.einsum("ij,ij->i", difference, difference).max(initial=0)))
    return RoundingLoss(error, float(np.einsum("ij,ij->i", rounded, rounded).min(initial=1)))


def nonzero_pairs(rows: int, columns: int, hits: Callable[[slice], Matrix]) -> Pairs:
    """Row and column of every hit, in order; `flatnonzero` is far faster than `nonzero` of a matrix."""
    step = max(1, _BLOCK_PRODUCTS // max(1, columns))
    flat = [np.flatnonzero(hits(slice(start, start + step))) + start * columns for start in range(0, rows, step)]
    return np.divmod(np.concatenate([*flat, np.empty(0, dtype=np.int64)]), max(1, columns))

"""Where matrix products are made, and by how much their rounding may be off.

Rows are kept in the precision in which they are multiplied; `above` finds the pairs whose product exceeds a limit. Three kinds:
numpy in 32 bits; torch in 32 bits, on a CPU or a GPU; torch in bfloat16, on CPUs that have it, at twice the speed.
"""

from typing import Any, Literal, Protocol

import numpy as np

from attar.errors import EngineError, MissingExtraError
from attar.vectors.rows import Matrix

Backend = Literal["auto", "numpy", "torch", "bfloat16", "cuda"]
Pairs = tuple[Matrix, Matrix]
_HALF_ULP = 2.0**-24
_HALF_BRAIN_ULP = 2.0**-8


class Arithmetic(Protocol):
    """Products of rows that are no longer than a little over one."""

    def rows(self, block: Matrix) -> Any:
        """A block of rows as it is multiplied."""
        ...

    def error(self, block: Matrix, rows: Any) -> float:
        """By how much the longest of the differences between a row and what stands for it goes."""
        ...

    def rounding(self, width: int) -> float:
        """By how much the product of two such rows may be off in itself."""
        ...

    def empty(self, count: int, width: int) -> Any:
        """Room for rows."""
        ...

    def above(self, left: Any, right: Any, limit: float) -> Pairs:
        """The pairs (row of `left`, row of `right`) whose product is above the limit, in order."""
        ...


class Numpy:
    """numpy, in 32 bits."""

    def rows(self, block: Matrix) -> Matrix:
        """As it is."""
        return block

    def error(self, block: Matrix, rows: Matrix) -> float:
        """None."""
        return 0.0

    def rounding(self, width: int) -> float:
        """As many roundings as there are terms, in the worst case."""
        return (width + 4) * _HALF_ULP

    def empty(self, count: int, width: int) -> Matrix:
        """Room for rows."""
        return np.empty((count, width), dtype=np.float32)

    def above(self, left: Matrix, right: Matrix, limit: float) -> Pairs:
        """The pairs above the limit."""
        return _places(left @ right.T > np.float32(limit))


class Torch:
    """torch, in 32 bits or in bfloat16 (products are summed in 32 bits, and rounded once more at the end)."""

    def __init__(self, device: str = "cpu", *, brain: bool = False) -> None:
        import torch

        self._torch, self._device, self._brain = torch, device, brain
        self._dtype = torch.bfloat16 if brain else torch.float32

    def rows(self, block: Matrix) -> Any:
        """On the device, in its precision."""
        return self._torch.from_numpy(block).to(self._device, self._dtype)

    def error(self, block: Matrix, rows: Any) -> float:
        """What rounding to bfloat16 has taken, measured."""
        return float(np.linalg.norm(block - rows.float().numpy(), axis=1).max()) if self._brain and len(block) else 0.0

    def rounding(self, width: int) -> float:
        """As many roundings as there are terms, and in bfloat16 the last one."""
        return (width + 4) * _HALF_ULP + (1.01 * _HALF_BRAIN_ULP if self._brain else 0.0)

    def empty(self, count: int, width: int) -> Any:
        """Room for rows."""
        return self._torch.empty((count, width), dtype=self._dtype, device=self._device)

    def above(self, left: Any, right: Any, limit: float) -> Pairs:
        """The pairs above the limit; on a CPU numpy looks for them, for it is several times as quick at that."""
        products = left @ right.T
        if self._device != "cpu":
            rows, columns = self._torch.nonzero(products > limit, as_tuple=True)
            return rows.cpu().numpy(), columns.cpu().numpy()
        if not self._brain:
            return _places(products.numpy() > np.float32(limit))
        if limit <= 0:
            return _places(products.float().numpy() > np.float32(limit))
        # Positive numbers of one format lie in the order of their bits; the limit is rounded down, so none is missed.
        cut = np.float32(limit).view(np.uint32) >> np.uint32(16)
        return _places(products.view(self._torch.int16).numpy() > np.int16(cut))


def _places(hits: Matrix) -> Pairs:
    """Row and column of every hit, in order: `nonzero` of one line, which is far quicker than of two dimensions."""
    return np.divmod(np.flatnonzero(hits), max(1, hits.shape[1]))


def arithmetic(backend: Backend = "auto") -> Arithmetic:
    """The fastest there is, or the one that is asked for."""
    if backend == "numpy":
        return Numpy()
    try:
        import torch
    except ModuleNotFoundError as error:
        if backend == "auto":
            return Numpy()
        raise MissingExtraError("torch", "local") from error
    if backend == "cuda" or (backend == "auto" and torch.cuda.is_available()):
        if not torch.cuda.is_available():
            raise EngineError("backend 'cuda': torch sees no such device here; leave `backend` out to take what there is")
        return Torch("cuda")
    brain = backend == "bfloat16" or (backend == "auto" and torch.cpu._is_avx512_bf16_supported())
    return Torch(brain=brain)

"""Where matrix products are made, and by how much their rounding may be off.

Rows are kept in the precision in which they are multiplied, two ones behind each; a row that asks has, in their place, the
least product that it wants, below nought. So the products above it are those above nought, in any precision. Three kinds: numpy
in 32 bits; torch in 32 bits, on a CPU or a GPU; torch in bfloat16, on CPUs that have it, at twice the speed.
"""

from typing import Any, Literal, Protocol

import numpy as np

from attar.errors import EngineError, MissingExtraError
from attar.vectors.rows import Matrix

Backend = Literal["auto", "numpy", "torch", "bfloat16", "cuda"]
Pairs = tuple[Matrix, Matrix]
_HALF_ULP = 2.0**-24
_TWO_BRAINS = 2.0**-16
"""How near two bfloat16 numbers together come to any between -1 and 1."""


class Arithmetic(Protocol):
    """Products of rows that are no longer than a little over one."""

    def rows(self, block: Matrix) -> Any:
        """A block of rows as they are multiplied."""
        ...

    def error(self, block: Matrix, rows: Any) -> float:
        """By how much the longest of the differences between a row and what stands for it goes."""
        ...

    def rounding(self, width: int) -> float:
        """By how much the product of two such rows may be off in itself."""
        ...

    def empty(self, count: int, width: int) -> Any:
        """Room for rows of this width."""
        ...

    def asking(self, rows: Any, least: Matrix | float) -> Any:
        """The rows, each asking for products above its least."""
        ...

    def above(self, asking: Any, rows: Any) -> Pairs:
        """The pairs (asking row, other row) whose product is above what is asked for, in order."""
        ...


class Numpy:
    """numpy, in 32 bits."""

    def rows(self, block: Matrix) -> Matrix:
        """The rows and two ones behind each."""
        return np.pad(block.astype(np.float32, copy=False), ((0, 0), (0, 2)), constant_values=1)

    def error(self, block: Matrix, rows: Matrix) -> float:
        """None."""
        return 0.0

    def rounding(self, width: int) -> float:
        """In the worst case as many roundings as there are terms, of sums of up to two."""
        return 2 * (width + 8) * _HALF_ULP

    def empty(self, count: int, width: int) -> Matrix:
        """Room for rows."""
        return np.empty((count, width + 2), dtype=np.float32)

    def asking(self, rows: Matrix, least: Matrix | float) -> Matrix:
        """A copy that asks."""
        asking = rows.copy()
        asking[:, -2], asking[:, -1] = -np.asarray(least), 0
        return asking

    def above(self, asking: Matrix, rows: Matrix) -> Pairs:
        """The pairs above nought."""
        return _places(asking @ rows.T > 0)


class Torch:
    """torch, in 32 bits or in bfloat16 (whose products are summed in 32 bits)."""

    def __init__(self, device: str = "cpu", *, brain: bool = False) -> None:
        import torch

        self._torch, self._device, self._brain = torch, device, brain
        self._dtype = torch.bfloat16 if brain else torch.float32

    def rows(self, block: Matrix) -> Any:
        """The rows and two ones behind each, on the device."""
        return self._torch.from_numpy(Numpy().rows(block)).to(self._device, self._dtype)

    def error(self, block: Matrix, rows: Any) -> float:
        """What rounding to bfloat16 has taken, measured."""
        if not self._brain:
            return 0.0
        lost = block - rows[:, :-2].float().numpy()
        return float(np.sqrt(np.einsum("ij,ij->i", lost, lost).max(initial=0)))

    def rounding(self, width: int) -> float:
        """As in numpy; in bfloat16 also what two of its numbers leave of the least that is asked for."""
        rough = _ROUGH[self._torch.get_float32_matmul_precision()] if self._device != "cpu" else 0.0
        return Numpy().rounding(width) + (_TWO_BRAINS if self._brain else rough)

    def empty(self, count: int, width: int) -> Any:
        """Room for rows."""
        return self._torch.empty((count, width + 2), dtype=self._dtype, device=self._device)

    def asking(self, rows: Any, least: Matrix | float) -> Any:
        """A copy that asks; the least is two numbers, for one bfloat16 says too little."""
        asking = rows.clone()
        wanted = -self._torch.as_tensor(least, dtype=self._torch.float32, device=self._device)
        asking[:, -2] = wanted
        asking[:, -1] = wanted - wanted.to(self._dtype).float()
        return asking

    def above(self, asking: Any, rows: Any) -> Pairs:
        """The pairs above nought; on a CPU numpy looks for them, for it is several times as quick at that."""
        products = asking @ rows.T
        if self._device != "cpu":
            found, columns = self._torch.nonzero(products > 0, as_tuple=True)
            return found.cpu().numpy(), columns.cpu().numpy()
        # A number of either format is above nought if its bits are, taken for a whole number.
        return _places((products.view(self._torch.int16) if self._brain else products).numpy() > 0)


_ROUGH = {"highest": 0.0, "high": 2.0**-8, "medium": 2.0**-6}
"""What GPUs may take from a product where they are let multiply with fewer bits."""


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

"""Where matrix products are made, and by how much their rounding may be off.

Rows are kept in the precision in which they are multiplied, two ones behind each; a row that asks has, in their place, the
least product that it wants, below nought. So the products above it are those above nought, in any precision. Three kinds: numpy
in 32 bits; torch in 32 bits, on a CPU or a GPU; torch in bfloat16, on CPUs that have it, at twice the speed. Short rows are
multiplied in 8 bits (int8.py) on CPUs that have that, at four times the speed.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from attar.similarity.matrix import Matrix

Backend = Literal["auto", "numpy", "torch", "bfloat16", "int8", "cuda"]
Pairs = tuple[Matrix, Matrix]
_AT_ONCE = 2**19
"""How many products are looked through at once: what fits the nearer caches."""
_HALF_ULP = 2.0**-24
_TWO_BRAINS = 2.0**-16
"""How near two bfloat16 numbers together come to any between -1 and 1."""


class Lost(NamedTuple):
    """What rounding has made of rows of length one."""

    error: float = 0.0
    """The longest difference between a row and what stands for it."""
    square: float = 1.0
    """The least square of a length."""


class Arithmetic(Protocol):
    """Products of rows of length one."""

    @property
    def short(self) -> "Arithmetic":
        """What short rows are multiplied in."""
        ...

    @property
    def term(self) -> float:
        """About how many nanoseconds each number of two rows takes to multiply on one core: widths are chosen by it."""
        ...

    def rows(self, block: Matrix) -> tuple[Any, Lost]:
        """A block of rows as they are multiplied."""
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

    term = 0.023

    @property
    def short(self) -> Arithmetic:
        """The same."""
        return self

    def rows(self, block: Matrix) -> tuple[Matrix, Lost]:
        """The rows and two ones behind each."""
        return np.pad(block.astype(np.float32, copy=False), ((0, 0), (0, 2)), constant_values=1), Lost()

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
        return places(len(asking), len(rows), lambda few: asking[few] @ rows.T > 0)


class Torch:
    """torch, in 32 bits or in bfloat16 (whose products are summed in 32 bits)."""

    def __init__(self, device: str = "cpu", *, brain: bool = False, short: Arithmetic | None = None) -> None:
        import torch

        self._torch, self._device, self._brain = torch, device, brain
        self._dtype = torch.bfloat16 if brain else torch.float32
        self.short: Arithmetic = short or self
        self.term = 0.009 if brain or device != "cpu" else 0.018

    def rows(self, block: Matrix) -> tuple[Any, Lost]:
        """The rows and two ones behind each, on the device; what rounding to bfloat16 has taken is measured."""
        rows = self._torch.from_numpy(Numpy().rows(block)[0]).to(self._device, self._dtype)
        return rows, lost(block, rows[:, :-2].float().numpy()) if self._brain else Lost()

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
        if self._device != "cpu":
            found, columns = self._torch.nonzero(asking @ rows.T > 0, as_tuple=True)
            return found.cpu().numpy(), columns.cpu().numpy()
        # A number of either format is above nought if its bits are, taken for a whole number.
        bits = self._torch.int16 if self._brain else self._torch.int32
        return places(len(asking), len(rows), lambda few: (asking[few] @ rows.T).view(bits).numpy() > 0)


_ROUGH = {"highest": 0.0, "high": 2.0**-8, "medium": 2.0**-6}
"""What GPUs may take from a product where they are let multiply with fewer bits."""


def lost(block: Matrix, rows: Matrix) -> Lost:
    """What is lost where these rows stand for that block."""
    off = block - rows
    return Lost(
        float(np.sqrt(np.einsum("ij,ij->i", off, off).max(initial=0))), float(np.einsum("ij,ij->i", rows, rows).min(initial=1))
    )


def places(rows: int, columns: int, hits: Callable[[slice], Matrix]) -> Pairs:
    """Row and column of every hit, in order: `nonzero` of one line, which is far quicker than of two dimensions."""
    step = max(1, _AT_ONCE // max(1, columns))
    found = [np.flatnonzero(hits(slice(start, start + step))) + start * columns for start in range(0, rows, step)]
    return np.divmod(np.concatenate([*found, np.empty(0, dtype=np.int64)]), max(1, columns))

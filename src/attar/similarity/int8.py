"""Short rows in whole numbers of 8 bits, whose products are summed in 32: exact sums, so only rounding the rows takes anything.

Rows are turned first, all by the same: a turn leaves every product as it is, and makes the numbers of any row much of a size,
so that one step serves them all. What is beyond the last step is cut off; that costs speed where it is much, never a pair.
"""

from functools import cache
from typing import Any

import numpy as np

from attar.similarity.matrix import Matrix
from attar.similarity.products import Arithmetic, Lost, Numpy, Pairs, lost, places

_LAST = 127
_REACH = 5.5
"""How far the steps go, where one is the size of each number of a row whose numbers are all of a size."""
_STRIDE = 16
"""In so many steps times steps it is told how much shorter than one a row has become."""


class Steps:
    """torch, in 8 bits, on CPUs; for rows of length one, short enough to be turned."""

    term = 0.0047

    def __init__(self) -> None:
        import torch

        self._torch, self._products = torch, torch.ops.aten._int_mm

    @property
    def short(self) -> Arithmetic:
        """The same."""
        return self

    def rows(self, block: Matrix) -> tuple[Any, Lost]:
        """The rows in steps; what this takes from them is measured, and the most that a turn in 32 bits can take is added.

        Behind each is by how much half its square falls short of a row's of length one, so that the sum is the same as if
        none did, and told by their distance alone.
        """
        width = block.shape[1]
        turned, steps = block @ _turn(width), _steps(width)
        rows = turned * steps
        np.clip(np.rint(rows, out=rows), -_LAST, _LAST, out=rows)
        short = (steps**2 - np.einsum("ij,ij->i", rows, rows)) / 2
        told = np.clip(np.ceil(short / _STRIDE), -_LAST, _LAST)
        behind = np.stack([told, np.full(len(told), _STRIDE)], axis=1)
        untold = float((short - told * _STRIDE).max(initial=0))
        kept = self._torch.from_numpy(np.concatenate([rows, behind], axis=1).astype(np.int8))
        return kept, Lost(lost(turned, rows / steps).error + width**1.5 * 2.0**-23, 1 - 2 * untold / steps**2)

    def rounding(self, width: int) -> float:
        """Products have none; the rows came in 32 bits."""
        return Numpy().rounding(width)

    def empty(self, count: int, width: int) -> Any:
        """Room for rows."""
        return self._torch.empty((count, width + 2), dtype=self._torch.int8)

    def asking(self, rows: Any, least: Matrix | float) -> Any:
        """The rows, and the least product of each (or of all), in steps times steps."""
        asking = rows.clone()
        asking[:, -2:] = rows[:, -2:].flip(1)
        return asking, self._torch.as_tensor(np.floor(np.asarray(least) * _steps(rows.shape[1] - 2) ** 2).astype(np.int32))

    def above(self, asking: Any, rows: Any) -> Pairs:
        """The pairs above what is asked for."""
        ones, least = asking
        others = rows.T
        if not least.ndim:
            return places(len(ones), len(rows), lambda few: self._products(ones[few], others).numpy() > int(least))
        below = least[:, None]
        return places(len(ones), len(rows), lambda few: self._products(ones[few], others).sub_(below[few]).numpy() > 0)


def exact() -> bool:
    """Whether this processor has such products; those without may cut sums off, and are no quicker."""
    import torch

    if not torch.cpu._is_vnni_supported():
        return False
    most = torch.full((32, 64), _LAST, dtype=torch.int8)
    return bool((torch.ops.aten._int_mm(most, most.T) == 64 * _LAST**2).all())


def _steps(width: int) -> float:
    return _LAST / _REACH * width**0.5


@cache
def _turn(width: int) -> Matrix:
    """A turn, the same each time."""
    return np.linalg.qr(np.random.default_rng(width).standard_normal((width, width)))[0].astype(np.float32)

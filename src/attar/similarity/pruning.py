"""What is multiplied in place of whole rows, so that most pairs need no look, and none that is alike is missed.

Of a row of length one a few numbers stand for the whole: its coordinates in the directions in which the rows differ most, and
the length of all the rest. By Cauchy and Schwarz the product of two such short rows is never less than the cosine of the whole
ones. Where rows differ in all directions alike, the short ones let too many pairs through, and the whole ones are multiplied.

Whatever passes is then looked at in 64 bits, so neither the width nor the arithmetic ever decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attar.similarity.matrix import Matrix, unit
from attar.similarity.products import Arithmetic, Lost, Pairs

_SAMPLE = 1536
_WIDTHS = (32, 48, 64, 80, 96, 128, 192)
_TO_CHOOSE = (128, 192, 256)
_SCAN, _LOOK = 0.1, 200.0
"""Nanoseconds that it takes to read a product, and to look at one pair in 64 bits."""
_FEW = 256
"""Rows of a sample that say too little."""
_TURNED = 16
"""How many rows to each of their numbers make it worth while to turn whole ones, for products in 8 bits."""
_WORTH_IT = 1e7
"""Pairs below which finding directions costs more than it saves."""


@dataclass(frozen=True, slots=True)
class Sieve:
    """How rows are shortened (without directions: not at all), and in which arithmetic they are multiplied."""

    arithmetic: Arithmetic
    directions: Matrix | None

    def short(self, block: Matrix) -> Matrix:
        """Rows of length one, in 64 bits, as they are before rounding."""
        if self.directions is None:
            return block.astype(np.float32)
        return self.shortened(block @ self.directions)

    def shortened(self, along: Matrix) -> Matrix:
        """From coordinates in these directions (or in more, the same first) to short rows."""
        along = along[:, : self.width(0) - 1]
        rest = np.sqrt(np.maximum(0.0, 1 - np.einsum("ij,ij->i", along, along)))
        return np.concatenate([along, rest[:, None]], axis=1).astype(np.float32)

    def width(self, whole: int) -> int:
        """How many numbers stand for a row of so many."""
        return whole if self.directions is None else self.directions.shape[1] + 1


def sieve(rows: Matrix, room: int, least: float, arithmetic: Arithmetic) -> Sieve:
    """The sieve that will be quickest where rows are held against `room` of them, and cosines above `least` are wanted."""
    total, whole = rows.shape
    widths = _widths(_WIDTHS, whole)
    plain = _plain(arithmetic, room, whole)
    if total * room / 2 < _WORTH_IT or total < _FEW or not widths:
        return plain
    sample = _some(rows)
    made_of, unseen = sample[::2], sample[1::2]  # directions serve the rows that they were made of too well
    directions = _leading(made_of, min(widths[-1], len(made_of)))
    half = len(unseen) // 2
    along = unseen @ directions
    costs = {whole: cost(plain.arithmetic, whole, 0.0)}
    for width in widths:
        shelf = Shelf(Sieve(arithmetic.short, directions[:, : width - 1]), len(unseen), whole)
        shelf.put(shelf.sieve.shortened(along))
        through = shelf.above(slice(half), slice(half, None), least)[0]
        costs[width] = cost(arithmetic.short, width, len(through) / half / (len(unseen) - half))
    best = min(costs, key=costs.__getitem__)
    return Sieve(arithmetic.short, directions[:, : best - 1]) if best < whole else plain


def cost(arithmetic: Arithmetic, width: int, through: float) -> float:
    """What a product of this width costs, if such a share of pairs is let through to be looked at."""
    return arithmetic.term * width + _SCAN + _LOOK * through


def sieves(rows: Matrix, arithmetic: Arithmetic) -> list[Sieve]:
    """A few sieves for rows of length one, to choose from as the case is; whole rows are always among them."""
    total, whole = rows.shape
    widths = _widths(_TO_CHOOSE, whole)
    if total * total / 2 < _WORTH_IT or not widths:
        return [_plain(arithmetic, total, whole)]
    directions = _leading(rows[_chosen(total)], widths[-1])
    return [*(Sieve(arithmetic.short, directions[:, : width - 1]) for width in widths), _plain(arithmetic, total, whole)]


def _plain(arithmetic: Arithmetic, room: int, whole: int) -> Sieve:
    """Whole rows, multiplied as short ones are where there are enough to be worth what that takes to set up."""
    return Sieve(arithmetic.short if room >= _TURNED * whole else arithmetic, None)


def _widths(widths: Sequence[int], whole: int) -> list[int]:
    return [width for width in widths if width * 3 <= whole * 2]


def _leading(sample: Matrix, count: int) -> Matrix:
    """Orthonormal directions, those first in which the rows are longest; a few turns of subspace iteration are near enough."""
    found = np.random.default_rng(0).standard_normal((sample.shape[1], count), dtype=np.float32)
    for _ in range(2):
        found = np.linalg.qr(sample.T @ (sample @ found))[0]
    along = sample @ found
    turn = np.linalg.eigh(np.asarray(along.T @ along, dtype=np.float64))[1]
    return np.linalg.qr(found.astype(np.float64) @ turn[:, ::-1])[0]


def _some(rows: Matrix) -> Matrix:
    """Some of the rows at length one, the same each time."""
    chosen = _chosen(len(rows))
    return unit(rows[chosen], lambda i: f"row {chosen[i]}")


def _chosen(total: int) -> Matrix:
    return np.sort(np.random.default_rng(0).choice(total, min(total, _SAMPLE), replace=False))


class Shelf:
    """Rows as they are multiplied, in the order of their coming, and the worst that rounding has done to any."""

    def __init__(self, sieve: Sieve, count: int, whole: int) -> None:
        self.sieve, self.whole, self.count, self.lost = sieve, whole, 0, Lost()
        self.rows: Any = sieve.arithmetic.empty(count, sieve.width(whole))

    def rounded(self, short: Matrix) -> Any:
        """Rows as they will be multiplied, with these or as these; what that takes from them is noted."""
        rows, lost = self.sieve.arithmetic.rows(short)
        self.lost = Lost(max(self.lost.error, lost.error), min(self.lost.square, lost.square))
        return rows

    def least(self, cosine: Matrix | float) -> Matrix | float:
        """The product that no pair above this cosine is below: such rows are so near, and rounding can part them by so much.

        As a distance is what rounding adds to, it lets few more through where rows must be near.
        """
        apart = np.sqrt(np.maximum(0, 2 - 2 * np.asarray(cosine, dtype=np.float64))) + 2 * self.lost.error
        rounding = 2 * self.sieve.arithmetic.rounding(self.sieve.width(self.whole))  # of products, and of what was lost
        return self.lost.square - apart**2 / 2 - rounding

    def put(self, short: Matrix) -> None:
        """Further rows as they are before rounding."""
        self.add(self.rounded(short))

    def above(self, asking: slice, answering: slice, cosine: Matrix | float) -> Pairs:
        """The pairs of these rows (by their place among them) that may be above a cosine."""
        arithmetic = self.sieve.arithmetic
        return arithmetic.above(arithmetic.asking(self.rows[asking], self.least(cosine)), self.rows[answering])

    def add(self, rows: Any) -> None:
        """Further rows, behind the others."""
        self.rows[self.count : self.count + len(rows)] = rows
        self.count += len(rows)

"""What is multiplied in place of whole rows, so that most pairs need no look, and none that is alike is missed.

Of a row of length one a few numbers stand for the whole: its coordinates in the directions in which the rows differ most, and
the length of all the rest. By Cauchy and Schwarz the product of two such short rows is never less than the cosine of the whole
ones. Where rows differ in all directions alike, the short ones let too many pairs through, and the whole ones are multiplied.

Whatever passes is then looked at in 64 bits, so neither the width nor the arithmetic ever decides.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from attar.vectors.arithmetic import Arithmetic, Pairs
from attar.vectors.rows import Matrix, unit

_SAMPLE = 1536
_WIDTHS = (32, 48, 64, 96, 128, 192)
_TO_CHOOSE = (64, 128, 192)
_SCAN = 16
"""What reading a product costs, in terms of it."""
_LOOK = 30_000
"""What a look at one pair in 64 bits costs, in terms of a product."""
_FEW = 256
"""Rows of a sample that say too little."""
_WORTH_IT = 1e7
"""Pairs below which finding directions costs more than it saves."""


@dataclass(frozen=True, slots=True)
class Sieve:
    """How rows are shortened (without directions: not at all), and in which arithmetic they are multiplied."""

    arithmetic: Arithmetic
    directions: Matrix | None

    def rows(self, block: Matrix) -> tuple[Any, float]:
        """Rows of length one, in 64 bits, as they are multiplied, and what rounding has taken from the worst of them."""
        short = self.short(block)
        rows = self.arithmetic.rows(short)
        return rows, self.arithmetic.error(short, rows)

    def short(self, block: Matrix) -> Matrix:
        """The same before rounding."""
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


def sieve(sample: Matrix, pairs: float, least: float, arithmetic: Arithmetic) -> Sieve:
    """The sieve that will be quickest for so many pairs of which those of a cosine above `least` are wanted."""
    whole = sample.shape[1]
    widths = [width for width in _WIDTHS if width * 2 <= whole]
    if pairs < _WORTH_IT or len(sample) < _FEW or not widths:
        return Sieve(arithmetic, None)
    made_of, unseen = sample[::2], sample[1::2]  # directions serve the rows that they were made of too well
    directions = _leading(made_of, min(widths[-1], len(made_of)))
    half = len(unseen) // 2
    along = unseen @ directions.astype(np.float32)
    costs = {whole: cost(whole, 0.0)}
    for width in widths:
        part = along[:, : width - 1]
        rest = np.sqrt(np.maximum(0.0, 1 - np.einsum("ij,ij->i", part, part)))
        bounds = part[:half] @ part[half:].T + np.outer(rest[:half], rest[half:])
        costs[width] = cost(width, float(np.mean(bounds > least - arithmetic.rounding(width))))
    best = min(costs, key=costs.__getitem__)
    return Sieve(arithmetic, directions[:, : best - 1].astype(np.float64) if best < whole else None)


def cost(width: int, through: float) -> float:
    """What a product of this width costs, if such a share of pairs is let through to be looked at."""
    return width + _SCAN + _LOOK * through


def sieves(rows: Matrix, arithmetic: Arithmetic) -> list[Sieve]:
    """A few sieves for rows of length one, to choose from as the case is; whole rows are always among them."""
    total, whole = rows.shape
    widths = [width for width in _TO_CHOOSE if width * 2 <= whole]
    if total * total / 2 < _WORTH_IT or not widths:
        return [Sieve(arithmetic, None)]
    directions = _leading(rows[_chosen(total)], widths[-1])
    return [*(Sieve(arithmetic, directions[:, : width - 1]) for width in widths), Sieve(arithmetic, None)]


def _leading(sample: Matrix, count: int) -> Matrix:
    """Orthonormal directions, those first in which the rows are longest; a few turns of subspace iteration are near enough."""
    found = np.random.default_rng(0).standard_normal((sample.shape[1], count), dtype=np.float32)
    for _ in range(2):
        found = np.linalg.qr(sample.T @ (sample @ found))[0]
    along = sample @ found
    turn = np.linalg.eigh(np.asarray(along.T @ along, dtype=np.float64))[1]
    return np.linalg.qr(found.astype(np.float64) @ turn[:, ::-1])[0]


def some(rows: Matrix) -> Matrix:
    """Some of the rows at length one, the same each time."""
    chosen = _chosen(len(rows))
    return unit(rows[chosen], lambda i: f"row {chosen[i]}")


def _chosen(total: int) -> Matrix:
    return np.sort(np.random.default_rng(0).choice(total, min(total, _SAMPLE), replace=False))


class Shelf:
    """Rows as they are multiplied, in the order of their coming; `error` is what their rounding may have taken from any."""

    def __init__(self, sieve: Sieve, count: int, whole: int) -> None:
        self.sieve, self.whole, self.count, self.error = sieve, whole, 0, 0.0
        self.rows: Any = sieve.arithmetic.empty(count, sieve.width(whole))

    def least(self, cosine: Matrix | float) -> Matrix | float:
        """The product that no pair above this cosine is below."""
        width = self.sieve.width(self.whole)
        return cosine - 2.02 * self.error - self.sieve.arithmetic.rounding(width)

    def put(self, short: Matrix) -> None:
        """Further rows as they are before rounding."""
        rows = self.sieve.arithmetic.rows(short)
        self.error = max(self.error, self.sieve.arithmetic.error(short, rows))
        self.add(rows)

    def above(self, asking: slice, answering: slice, cosine: Matrix | float) -> Pairs:
        """The pairs of these rows (by their place among them) that may be above a cosine."""
        arithmetic = self.sieve.arithmetic
        return arithmetic.above(arithmetic.asking(self.rows[asking], self.least(cosine)), self.rows[answering])

    def add(self, rows: Any) -> None:
        """Further rows, behind the others."""
        self.rows[self.count : self.count + len(rows)] = rows
        self.count += len(rows)

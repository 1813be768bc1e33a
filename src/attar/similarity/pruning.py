"""Prune pairs with short rows: only pairs that may reach the threshold get the exact check, and no such pair is missed.

A unit row x is reduced to (P x, |x - P'P x|): its coordinates along the directions of largest variance, and the length of the
rest. By the Cauchy-Schwarz inequality the dot product of two reduced rows is an upper bound of the cosine. Where rows vary
in all directions alike the bound is loose, and whole rows are multiplied instead.

All pairs that pass are checked in float64, so neither the width nor the arithmetic changes a result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attar.similarity.matrix import Matrix, unit
from attar.similarity.products import Arithmetic, Pairs, RoundingLoss

_SAMPLE_ROWS = 1536
_WIDTHS = (32, 48, 64, 80, 96, 128, 192)  # tried by `choose_pruner`
_CANDIDATE_WIDTHS = (128, 192, 256)  # returned by `candidate_pruners`
_READ_NS, _CHECK_NS = 0.1, 200.0  # measured cost of reading one product, and of one exact check, in nanoseconds
_MIN_SAMPLE = 256  # fewer rows than this are too small a sample
_MIN_ROWS_PER_NUMBER = 16  # whole rows use the short arithmetic (int8 rotates them) if rows >= this x width
_MIN_PAIRS = 1e7  # below this many pairs, finding directions costs more than it saves


@dataclass(frozen=True, slots=True)
class Pruner:
    """How rows are reduced (`directions` of None: not at all), and the arithmetic that multiplies them."""

    arithmetic: Arithmetic
    directions: Matrix | None

    def reduce(self, block: Matrix) -> Matrix:
        """Unit rows in float64, (rows, whole) -> (rows, width), before rounding to the arithmetic."""
        if self.directions is None:
            return block.astype(np.float32)
        return self.reduce_coordinates(block @ self.directions)

    def reduce_coordinates(self, along: Matrix) -> Matrix:
        """The same from coordinates along these directions, or along more directions that start with these."""
        along = along[:, : self.width(0) - 1]
        rest = np.sqrt(np.maximum(0.0, 1 - np.einsum("ij,ij->i", along, along)))
        return np.concatenate([along, rest[:, None]], axis=1).astype(np.float32)

    def width(self, whole: int) -> int:
        """The width of a reduced row, for rows of width `whole`."""
        return whole if self.directions is None else self.directions.shape[1] + 1


def choose_pruner(rows: Matrix, room: int, threshold: float, arithmetic: Arithmetic) -> Pruner:
    """The pruner with the lowest estimated cost to compare `rows` with `room` of them at a cosine threshold."""
    total, whole = rows.shape
    widths = _worthwhile(_WIDTHS, whole)
    unpruned = _whole_rows(arithmetic, room, whole)
    if total * room / 2 < _MIN_PAIRS or total < _MIN_SAMPLE or not widths:
        return unpruned
    sample = _sample_rows(rows)
    training, unseen = sample[::2], sample[1::2]  # directions fit the rows that they were computed from too well
    directions = _principal_directions(training, min(widths[-1], len(training)))
    half = len(unseen) // 2
    along = unseen @ directions
    costs = {whole: cost(unpruned.arithmetic, whole, 0.0)}
    for width in widths:
        reduced = ReducedRows(Pruner(arithmetic.short, directions[:, : width - 1]), len(unseen), whole)
        reduced.append(reduced.pruner.reduce_coordinates(along))
        passed = reduced.above(slice(half), slice(half, None), threshold)[0]
        costs[width] = cost(arithmetic.short, width, len(passed) / half / (len(unseen) - half))
    best = min(costs, key=costs.__getitem__)
    return Pruner(arithmetic.short, directions[:, : best - 1]) if best < whole else unpruned


def cost(arithmetic: Arithmetic, width: int, pass_rate: float) -> float:
    """Nanoseconds for one pair: a product of this width, plus the exact check of the share of pairs that pass."""
    return arithmetic.term * width + _READ_NS + _CHECK_NS * pass_rate


def candidate_pruners(rows: Matrix, arithmetic: Arithmetic) -> list[Pruner]:
    """Pruners of several widths for unit rows, narrowest first; the last one uses whole rows."""
    total, whole = rows.shape
    widths = _worthwhile(_CANDIDATE_WIDTHS, whole)
    if total * total / 2 < _MIN_PAIRS or not widths:
        return [_whole_rows(arithmetic, total, whole)]
    directions = _principal_directions(rows[_sample_places(total)], widths[-1])
    reduced = [Pruner(arithmetic.short, directions[:, : width - 1]) for width in widths]
    return [*reduced, _whole_rows(arithmetic, total, whole)]


def _whole_rows(arithmetic: Arithmetic, room: int, whole: int) -> Pruner:
    """Whole rows, in the short arithmetic if there are enough rows to pay for its setup."""
    return Pruner(arithmetic.short if room >= _MIN_ROWS_PER_NUMBER * whole else arithmetic, None)


def _worthwhile(widths: Sequence[int], whole: int) -> list[int]:
    """The widths of at most two thirds of a whole row."""
    return [width for width in widths if width * 3 <= whole * 2]


def _principal_directions(sample: Matrix, count: int) -> Matrix:
    """Orthonormal directions of largest variance, (width, count), by two rounds of randomised subspace iteration."""
    basis = np.random.default_rng(0).standard_normal((sample.shape[1], count), dtype=np.float32)
    for _ in range(2):
        basis = np.linalg.qr(sample.T @ (sample @ basis))[0]
    along = sample @ basis
    rotation = np.linalg.eigh(np.asarray(along.T @ along, dtype=np.float64))[1]
    return np.linalg.qr(basis.astype(np.float64) @ rotation[:, ::-1])[0]


def _sample_rows(rows: Matrix) -> Matrix:
    """A fixed sample of the rows, as unit rows."""
    places = _sample_places(len(rows))
    return unit(rows[places], lambda i: f"row {places[i]}")


def _sample_places(total: int) -> Matrix:
    return np.sort(np.random.default_rng(0).choice(total, min(total, _SAMPLE_ROWS), replace=False))


class ReducedRows:
    """Reduced rows in the form that is multiplied, in insertion order, and the largest rounding loss of any."""

    def __init__(self, pruner: Pruner, capacity: int, whole: int) -> None:
        self.pruner = pruner
        self.whole = whole
        self.count = 0
        self.loss = RoundingLoss()
        self.rows: Any = pruner.arithmetic.empty(capacity, pruner.width(whole))

    def encode(self, reduced: Matrix) -> Any:
        """Round reduced rows to the arithmetic, for `add` or as queries; the largest loss is recorded."""
        rows, loss = self.pruner.arithmetic.rows(reduced)
        self.loss = RoundingLoss(max(self.loss.error, loss.error), min(self.loss.square, loss.square))
        return rows

    def product_threshold(self, cosine: Matrix | float) -> Matrix | float:
        """A product that no pair whose cosine exceeds `cosine` is below, in spite of rounding.

        Unit rows with cosine c are d = sqrt(2 - 2c) apart, and rounded rows at most d + 2 error. With |r|^2 >= square, their
        product is at least square - (d + 2 error)^2 / 2.
        """
        distance = np.sqrt(np.maximum(0, 2 - 2 * np.asarray(cosine, dtype=np.float64))) + 2 * self.loss.error
        rounding = 2 * self.pruner.arithmetic.rounding(self.pruner.width(self.whole))  # of the products, and of the loss
        return self.loss.square - distance**2 / 2 - rounding

    def append(self, reduced: Matrix) -> None:
        """Encode reduced rows and add them."""
        self.add(self.encode(reduced))

    def above(self, queries: slice, rows: slice, cosine: Matrix | float) -> Pairs:
        """The pairs (positions within the two slices) whose cosine may exceed `cosine`."""
        arithmetic = self.pruner.arithmetic
        return arithmetic.above(arithmetic.queries(self.rows[queries], self.product_threshold(cosine)), self.rows[rows])

    def add(self, encoded: Any) -> None:
        """Add encoded rows at the end."""
        self.rows[self.count : self.count + len(encoded)] = encoded
        self.count += len(encoded)

"""The nearest others of each row, exactly, and how many others are near: every pair is passed once, in blocks of products.

First each row is held against a few that are likely near it, so that something is known of how near its nearest is. Then the
rows go through in the order of that, those far from all others first. Only pairs that may be nearer than what is known of them
are looked at, in 64 bits; what stands for rows in the products is as short as pays for the rows that ask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attar.similarity.exact_check import Looks
from attar.similarity.matrix import Matrix, unit, units
from attar.similarity.products import Arithmetic, Numpy
from attar.similarity.pruning import Shelf, cost, sieves

_BLOCK, _TILE = 1024, 4096
_TURNS, _PIVOTS, _BAND = 2, 256, 512
_NONE = -2.0
"""Below any cosine."""
_ASKED, _OF = 32, 1024
"""By how many pairs it is tried out what lets through how many."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """Of each row its k nearest others, nearest first, of equals the first; and how many are near."""

    other: Matrix
    """(rows, k): row numbers; -1 where there are not so many."""
    cosine: Matrix
    """(rows, k): -2 where there are not so many."""
    count: Matrix
    first: Matrix
    """The first row that is near, or -1."""


def nearest(rows: Matrix, k: int, near: float, arithmetic: Arithmetic) -> Nearest:
    """The k nearest others of each row by cosine; near are those whose cosine is at least `near`."""
    whole = units(rows)
    found = _Found(rows, whole, k, near)
    order = np.argsort(found.least, kind="stable")
    shelves = [Shelf(sieve, *rows.shape) for sieve in sieves(whole, arithmetic)]
    for start in range(0, len(rows), _TILE):
        _put(shelves, unit(rows[order[start : start + _TILE]], dtype=np.float64))
    for start in range(0, len(rows), _BLOCK):
        asking = slice(start, min(start + _BLOCK, len(rows)))
        shelf = min(shelves, key=lambda shelf: _cost(shelf, asking, found.known(order[asking])))
        for begin in range(start, len(rows), _TILE):
            answering = slice(begin, begin + _TILE)
            least = np.minimum(found.known(order[asking]), found.known(order[answering]).min())
            ones, others = shelf.above(asking, answering, least)
            once = start + ones < begin + others
            found.look(order[start + ones[once]], order[begin + others[once]])
    return found.told()


def _put(shelves: Sequence[Shelf], block: Matrix) -> None:
    """Further rows on all shelves; the directions of the shorter are the first of the longest."""
    *shorter, whole = shelves
    whole.put(block.astype(np.float32))
    if shorter:
        along = block @ shorter[-1].sieve.directions
        for shelf in shorter:
            shelf.put(shelf.sieve.shortened(along))


def _at_least(whole: Matrix, k: int) -> Matrix:
    """Of each row a cosine that at least k others reach: the k-th best of those beside it, when rows are sorted by pivots."""
    least = np.full(len(whole), _NONE)
    band = max(_BAND, 2 * k)
    for turn in range(_TURNS if len(whole) > k else 0):
        order = _by_pivots(whole, np.random.default_rng(turn))
        for start in range(0, len(whole), band):
            beside = order[max(0, min(start, len(whole) - band)) : start + band]
            alike = whole[beside] @ whole[beside].T
            np.fill_diagonal(alike, -np.inf)
            best = alike.max(axis=1) if k == 1 else np.partition(alike, -k, axis=1)[:, -k]
            least[beside] = np.maximum(least[beside], best)
    return least - Numpy().rounding(whole.shape[1])


def _by_pivots(whole: Matrix, random: np.random.Generator) -> Matrix:
    """The rows in an order in which those that are nearest to one pivot, a row drawn at random, stand together."""
    total, width = whole.shape
    pivots = whole[random.choice(total, min(_PIVOTS, total), replace=False)]
    pivots = pivots[np.argsort(pivots @ random.standard_normal(width).astype(np.float32))]
    pivot, closeness = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.float32)
    for start in range(0, total, _TILE):
        alike = whole[start : start + _TILE] @ pivots.T
        pivot[start : start + _TILE], closeness[start : start + _TILE] = alike.argmax(axis=1), alike.max(axis=1)
    return np.lexsort((-closeness, pivot))


def _cost(shelf: Shelf, asking: slice, known: Matrix) -> float:
    """What a product costs with this shelf for these rows, with the looks that it leads to; tried out on a few pairs."""
    step = max(1, len(known) // _ASKED)
    few, some = known[::step], slice(0, shelf.count, max(1, shelf.count // _OF))
    through = shelf.above(slice(asking.start, asking.stop, step), some, few)[0]
    return cost(shelf.sieve.arithmetic, shelf.sieve.width(shelf.whole), len(through) / len(few) / len(shelf.rows[some]))


class _Found:
    """What has been found so far."""

    def __init__(self, rows: Matrix, units: Matrix, k: int, near: float) -> None:
        total, least = len(rows), _at_least(units, k)
        self.looks, self.k, self.near, self.least = Looks(rows, units), k, near, least
        self.other = np.full((total, k), -1, dtype=np.int64)
        self.cosine = np.full((total, k), _NONE)
        self.count, self.first = np.zeros(total, dtype=np.int64), np.full(total, total, dtype=np.int64)

    def known(self, rows: Matrix) -> Matrix:
        """The cosine that another must reach to matter to each of these rows."""
        return np.minimum(np.maximum(self.least[rows], self.cosine[rows, -1]), self.near)

    def look(self, ones: Matrix, others: Matrix) -> None:
        """Look at pairs, each for the first time."""
        wanted = np.nextafter(np.minimum(self.known(ones), self.known(others)), -np.inf)
        places, cosine = self.looks.above(ones, others, wanted)
        ones, others = ones[places], others[places]
        close = cosine >= self.near
        for one, other in ((ones, others), (others, ones)):
            self.count += np.bincount(one[close], minlength=len(self.count))
            np.minimum.at(self.first, one[close], other[close])
            self._offer(one, other, cosine)

    def _offer(self, rows: Matrix, others: Matrix, cosine: Matrix) -> None:
        """Further others for some rows: the best k of the old and the new stay."""
        better = cosine >= self.cosine[rows, -1]
        rows, others, cosine = rows[better], others[better], cosine[better]
        touched = np.unique(rows)
        rows = np.concatenate([np.repeat(touched, self.k), rows])
        others = np.concatenate([self.other[touched].ravel(), others])
        cosine = np.concatenate([self.cosine[touched].ravel(), cosine])
        order = np.lexsort((others, -cosine, rows))
        rows, others, cosine = rows[order], others[order], cosine[order]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        best = rank < self.k
        self.other[rows[best], rank[best]], self.cosine[rows[best], rank[best]] = others[best], cosine[best]

    def told(self) -> Nearest:
        """What was found."""
        return Nearest(self.other, self.cosine, self.count, np.where(self.first < len(self.first), self.first, -1))

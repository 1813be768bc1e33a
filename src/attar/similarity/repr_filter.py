"""Walk rows best first and keep each that is alike to none kept before it: exactly, in blocks of matrix products.

A row is crowded out by the first kept row whose cosine with it is above the threshold. Products only find the pairs that may
be; each of those is decided in 64 bits on the rows as they came. So the answer hangs on neither block nor arithmetic.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from attar.similarity.exact_check import Looks
from attar.similarity.matrix import Matrix, lengths, unit
from attar.similarity.products import Arithmetic, Numpy, Pairs
from attar.similarity.pruning import Shelf, sieve

_BLOCK, _TILE = 2048, 4096
_VALUES = 2**20
"""How many values of a block are in hand at once: of wide rows, fewer rows."""
_WITHIN = 256
_TOO_MANY = 64
"""Of so many pairs one may be let through, before whole rows are cheaper."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """Which rows are kept; of each other that was looked at, the kept row that crowded it out, and their cosine."""

    kept: Matrix
    """Row numbers, in order."""
    by: Matrix
    """Of each row the number of the kept row that crowded it out; -1 where none did."""
    cosine: Matrix
    """Of each row its cosine with that one; NaN where there is none."""
    seen: int
    """So many rows were looked at before there were enough."""


def filtered(rows: Matrix, threshold: float, keep: int | None, arithmetic: Arithmetic, block: int | None = None) -> Filtered:
    """Keep each row whose cosine with every row kept before it is at most the threshold, until `keep` are kept."""
    total, whole = rows.shape
    block = block or max(_WITHIN, min(_BLOCK, _VALUES // max(1, whole)))
    most = total if keep is None else min(keep, total)
    walk = _Walk(rows, threshold, most, arithmetic)
    start = 0
    while start < total and walk.shelf.count < most:
        stop = min(start + block, total)
        walk.on(np.arange(start, stop))
        start = stop
    kept = walk.kept[: walk.shelf.count][:most].copy()
    seen = total if walk.shelf.count < most or not most else int(kept[-1]) + 1
    walk.by[seen:], walk.cosine[seen:] = -1, np.nan
    return Filtered(kept, walk.by, walk.cosine, seen if most else 0)


class _Walk:
    """How far the walk has come: what is kept, and what crowded out the rest."""

    def __init__(self, rows: Matrix, threshold: float, most: int, arithmetic: Arithmetic) -> None:
        total, whole = rows.shape
        self.looks = Looks(rows)
        self.rows, self.threshold = self.looks.rows, threshold
        room = min(total, most + _WITHIN)
        self.shelf = Shelf(sieve(rows, room, threshold, arithmetic), room, whole)
        self.kept = np.empty(room, dtype=np.int64)
        self.most = most
        self.by = np.full(total, -1, dtype=np.int64)
        self.cosine = np.full(total, np.nan)

    def on(self, block: Matrix) -> None:
        """A further block of rows: first against all that is kept, then a few at a time against what of the block is kept."""
        first, before = int(block[0]), self.shelf.count
        whole = self.rows[first : first + len(block)]
        sizes = lengths(whole, lambda i: f"row {first + i}")
        self.looks.told(block, sizes)
        rows = self.shelf.rounded(self.shelf.sieve.short(whole / sizes[:, None]))
        left = np.arange(len(block))
        for start in range(0, before, _TILE):
            left = self._crowded(block, rows, left, start, min(start + _TILE, before))
        for start in range(0, len(left), _WITHIN):
            few = self._crowded(block, rows, left[start : start + _WITHIN], before, self.shelf.count)
            few = self._among(block, rows, few)
            self.kept[self.shelf.count : self.shelf.count + len(few)] = block[few]
            self.shelf.add(rows[few])
            if self.shelf.count >= self.most:
                return

    def _crowded(self, block: Matrix, rows: Any, left: Matrix, start: int, stop: int) -> Matrix:
        """Which of the rows are still left once they have been held against the kept ones from start to stop."""
        if start == stop or not len(left):
            return left
        some, kept = rows[left] if len(left) < len(block) else rows, self.kept[start:stop]
        ones, others = self._above(some, self.shelf.rows[start:stop], block[left], kept)
        ones, others, alike = self._sure(block[left], kept, ones, others)
        ones, firsts = np.unique(ones, return_index=True)
        crowded = block[left[ones]]
        self.by[crowded], self.cosine[crowded] = kept[others[firsts]], alike[firsts]
        return np.delete(left, ones)

    def _among(self, block: Matrix, rows: Any, few: Matrix) -> Matrix:
        """Which of a few rows are kept, when each is held against those before it that are."""
        own = rows[few]
        ones, others = self._above(own, own, block[few], block[few])
        earlier = others < ones
        ones, others, alike = self._sure(block[few], block[few], ones[earlier], others[earlier])
        stays = np.ones(len(few), dtype=bool)
        later, starts = np.unique(ones, return_index=True)
        for row, start, stop in zip(later, starts, np.append(starts, len(ones))[1:], strict=True):
            crowding = np.flatnonzero(stays[others[start:stop]])
            if len(crowding):
                stays[row], first = False, start + crowding[0]
                self.by[block[few[row]]], self.cosine[block[few[row]]] = block[few[others[first]]], alike[first]
        return few[stays]

    def _above(self, left: Any, right: Any, ones: Matrix, others: Matrix) -> Pairs:
        """The pairs that may be alike. Should the short rows let too many through, the whole ones are multiplied."""
        arithmetic = self.shelf.sieve.arithmetic
        pairs = arithmetic.above(arithmetic.asking(left, self.shelf.least(self.threshold)), right)
        if len(pairs[0]) * _TOO_MANY < len(ones) * len(others) or self.shelf.sieve.directions is None:
            return pairs
        whole = Numpy()
        asking = whole.asking(whole.rows(unit(self.rows[ones]))[0], self.threshold - whole.rounding(self.rows.shape[1]))
        return whole.above(asking, whole.rows(unit(self.rows[others]))[0])

    def _sure(self, left: Matrix, right: Matrix, ones: Matrix, others: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        """Of these pairs those that are alike, and how much."""
        places, alike = self.looks.above(left[ones], right[others], self.threshold)
        return ones[places], others[places], alike

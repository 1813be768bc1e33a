"""Which rows repeat an earlier one by Jaccard: the share of all shingles of two texts that both have. Exact, no sketches.

Two sets with a Jaccard of t share one of the first |x| - ceil(t |x|) + 1 shingles of either, whatever order shingles are put in
(prefix filtering); with the rarest first, hardly any other pair does. Texts most of whose shingles no other text has are out
before that. Every pair that is left is decided by counting. Memory is linear in the shingles; candidates are taken in pieces.
"""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from attar.similarity.shingles import BITS, MASK, Shingles, offsets, run_starts, span_indices

_BLOCK_ROWS = 256  # rows that are settled at once; their numbers fit into 8 bits
_BLOCK_PAIRS = 1 << 20  # candidate pairs looked at at once
_BLOCK_VALUES = 1 << 20  # shingles counted at once
_LOW_32_BITS = (1 << 32) - 1
_NONE = -1


def find_repeats(found: Shingles, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Of each row the first kept row before it that it is alike to, and their Jaccard; -1 where there is none: it is kept."""
    limit = Fraction(str(threshold)).limit_denominator(1_000_000)
    leaders, group = _group_equal_sets(found)
    by = np.full(len(leaders), _NONE)
    able = _prune_unshared(found, leaders, limit)
    if len(able):
        some = _PrefixIndex(found.of(leaders[able]), limit)
        settled = some.settle()
        by[able] = np.where(settled >= 0, able[settled], _NONE)
    crowded = np.where(by >= 0, leaders[by], _NONE)[group]
    same = np.where(leaders[group] == np.arange(len(group)), _NONE, leaders[group])
    by = np.where(crowded >= 0, crowded, same)
    jaccard = np.where(by >= 0, 1.0, np.nan)
    alike = np.flatnonzero(crowded >= 0)
    both = _overlaps(found, alike, by[alike])
    jaccard[alike] = both / (found.sizes[alike] + found.sizes[by[alike]] - both)
    return by, jaccard


def _group_equal_sets(found: Shingles) -> tuple[np.ndarray, np.ndarray]:
    """The first row of each different set, in order, and to which of them each row belongs."""
    if not len(found.sizes):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    odd = (found.values ^ (found.values >> 23)) * 0xD6E8FEB86659FD93
    sums = np.add.reduceat(odd ^ (odd >> 32), found.starts[:-1])
    _, first, group = np.unique(sums, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[group]


def _prune_unshared(found: Shingles, leaders: np.ndarray, limit: Fraction) -> np.ndarray:
    """The leaders that share enough shingles with other leaders to be alike to any; places in `leaders`."""
    able = np.arange(len(leaders))
    while len(able):
        some = found.of(leaders[able])
        counts = _hashed_counts(some.values)
        shared = np.add.reduceat(counts[_cell_of(some.values, counts)] > 1, some.starts[:-1], dtype=np.int64)
        left = able[shared >= _min_overlap(some.sizes, limit)]
        if len(left) > 0.9 * len(able):
            return left
        able = left
    return able


def _min_overlap(sizes: np.ndarray, limit: Fraction) -> np.ndarray:
    """How many of its shingles a set of this size must share with any set that it is alike to."""
    return -(-limit.numerator * sizes // limit.denominator)


def _hashed_counts(values: np.ndarray) -> np.ndarray:
    """How many of the values fall into each cell, up to 255: never less than how often a value there occurs."""
    counts = np.zeros(1 << max(10, int(4 * len(values)).bit_length() - 1), np.uint8)
    for start in range(0, len(values), _BLOCK_VALUES):
        cells = np.sort(_cell_of(values[start : start + _BLOCK_VALUES], counts))
        at = np.flatnonzero(run_starts(cells))
        times = np.diff(np.append(at, len(cells)))
        counts[cells[at]] = np.minimum(255, counts[cells[at]] + times)
    return counts


def _cell_of(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return (values & (len(counts) - 1)).astype(np.uint32)


class _PrefixIndex:
    """Sets of which some may be alike: what is known of each, and by which rare shingles they are found."""

    def __init__(self, found: Shingles, limit: Fraction) -> None:
        self.found, self.limit = found, limit
        self.by = np.full(len(found.sizes), _NONE)
        self.sketches = _parity_sketches(found)
        self.entries = np.concatenate(list(self._prefixes()))
        self.of_row = offsets(np.bincount((self.entries & _LOW_32_BITS).astype(np.int64), minlength=len(self.by)))
        self.index = np.sort(self.entries)

    def _prefixes(self) -> Iterator[np.ndarray]:
        """Of each set its rarest shingles, as many as matter, without those that no other has: 32 bits of each, and the row."""
        counts = _hashed_counts(self.found.values)
        wanted = self.found.sizes - _min_overlap(self.found.sizes, self.limit) + 1
        for start in range(0, len(wanted), _BLOCK_ROWS):
            stop = min(start + _BLOCK_ROWS, len(wanted))
            starts = self.found.starts[start : stop + 1]
            values = self.found.values[starts[0] : starts[-1]]
            sizes = np.diff(starts)
            row = np.repeat(np.arange(stop - start, dtype=np.uint64), sizes)
            rarity = counts[_cell_of(values, counts)].astype(np.uint64)
            keys = np.sort((row << (BITS + 8)) | (rarity << BITS) | values)
            first = span_indices(starts[:-1] - starts[0], wanted[start:stop])
            keys = keys[first]
            keys = keys[(keys >> BITS) & 255 > 1]
            yield (keys & MASK & _LOW_32_BITS) << 32 | (keys >> (BITS + 8)) + start

    def settle(self) -> np.ndarray:
        """Walk the rows in order; each is dropped by the first kept one that it is alike to, or kept."""
        total, gone = len(self.by), 0
        for start in range(0, total, _BLOCK_ROWS):
            stop = min(start + _BLOCK_ROWS, total)
            entries = np.sort(self.entries[self.of_row[start] : self.of_row[stop]])
            row, other = self._alike(entries, entries & ~np.uint64(_LOW_32_BITS), (entries & ~np.uint64(_LOW_32_BITS)) | start)
            np.minimum.at(first := np.full(stop - start, total), row - start, other)
            self.by[start:stop] = np.where(first < total, first, _NONE)
            open_ = entries[self.by[(entries & _LOW_32_BITS).astype(np.int64)] < 0]
            for row, other in zip(
                *map(np.ndarray.tolist, self._alike(open_, (open_ & ~np.uint64(_LOW_32_BITS)) | start, open_)), strict=True
            ):
                if self.by[row] < 0 and self.by[other] < 0:
                    self.by[row] = other
            gone += int((self.by[start:stop] >= 0).sum())
            if gone > max(_BLOCK_ROWS, total // 16):
                dropped = self.by[(self.index & _LOW_32_BITS).astype(np.int64)] >= 0
                self.index, gone = self.index[~dropped], 0
        return self.by

    def _alike(self, entries: np.ndarray, after: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of an entry's row and a row between two places of the index that is not dropped, if alike; ordered by both."""
        lo, hi = np.searchsorted(self.index, after), np.searchsorted(self.index, before)
        sizes = hi - lo
        rows, sums = (entries & _LOW_32_BITS).astype(np.int64), np.cumsum(sizes)
        out, start = [np.zeros(0, np.int64)], 0
        while start < len(entries):
            done = sums[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(sums, done + _BLOCK_PAIRS, side="right")))
            other = (self.index[span_indices(lo[start:stop], sizes[start:stop])] & _LOW_32_BITS).astype(np.int64)
            out.append(self._checked(np.repeat(rows[start:stop], sizes[start:stop]), other))
            start = stop
        pairs = np.unique(np.concatenate(out))
        return pairs >> 32, pairs & _LOW_32_BITS

    def _checked(self, row: np.ndarray, other: np.ndarray) -> np.ndarray:
        """The pairs that are alike, each as one number."""
        p, q = self.limit.numerator, self.limit.denominator
        a, b = self.found.sizes[row], self.found.sizes[other]
        fair = (q * np.minimum(a, b) >= p * np.maximum(a, b)) & (self.by[other] < 0)
        pairs = np.unique(row[fair] << 32 | other[fair])
        row, other = pairs >> 32, pairs & _LOW_32_BITS
        a, b = self.found.sizes[row], self.found.sizes[other]
        differ = np.bitwise_count(self.sketches[row] ^ self.sketches[other]).sum(axis=1, dtype=np.int64)
        may = (q + p) * differ <= (q - p) * (a + b)
        pairs, row, other, a, b = pairs[may], row[may], other[may], a[may], b[may]
        both = _overlaps(self.found, row, other)
        return pairs[q * both >= p * (a + b - both)]


def _parity_sketches(found: Shingles) -> np.ndarray:
    """256 bits a set, each shingle turning one: two sets differ in at least as many shingles as their sketches in bits."""
    bits = np.uint64(1) << (found.values & 63)
    part = found.values >> 6 & 3
    return np.stack([np.bitwise_xor.reduceat(bits * (part == i), found.starts[:-1]) for i in range(4)], axis=1)


def _overlaps(found: Shingles, row: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How many shingles the two texts of each pair have in common."""
    sizes = found.sizes[row] + found.sizes[other]
    out, ends, start = np.zeros(len(row), np.int64), np.cumsum(sizes), 0
    while start < len(row):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends[: start + 65536], done + _BLOCK_VALUES, side="right")))
        two = np.stack((row[start:stop], other[start:stop]), axis=1).ravel()
        both = found.of(two)
        pair = np.repeat(np.arange(stop - start, dtype=np.uint64), sizes[start:stop])
        marked = np.sort(pair << BITS | both.values)
        twice = marked[1:][marked[1:] == marked[:-1]]
        out[start:stop] = np.bincount((twice >> BITS).astype(np.int64), minlength=stop - start)
        start = stop
    return out

"""Find rows that repeat an earlier row by Jaccard similarity |x & y| / |x | y| of their shingle sets. Exact, without MinHash.

Prefix filtering: two sets with a Jaccard of at least t share one of the first |x| - ceil(t |x|) + 1 shingles of either, in any
fixed global order. With the rarest shingles first, hardly any other pair does. Sets that share too few shingles with all others
are removed before that. Parity sketches then reject most candidates, and the rest are decided by counting. Memory is linear in
the number of shingles; candidates are processed in blocks.
"""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from attar.similarity.shingles import BITS, MASK, Shingles, offsets, run_starts, span_indices

_BLOCK_ROWS = 256  # rows settled at once; their positions in the block fit in 8 bits
_BLOCK_PAIRS = 1 << 20  # candidate pairs checked at once
_BLOCK_VALUES = 1 << 20  # shingles counted at once
_LOW_32_BITS = (1 << 32) - 1
_NONE = -1


def find_repeats(sets: Shingles, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Each row's first kept earlier row with a Jaccard >= threshold, and that Jaccard; -1 and NaN for kept rows."""
    limit = Fraction(str(threshold)).limit_denominator(1_000_000)
    leaders, group = _group_equal_sets(sets)
    leader_by = np.full(len(leaders), _NONE)
    candidates = _prune_unshared(sets, leaders, limit)
    if len(candidates):
        settled = _PrefixIndex(sets.of(leaders[candidates]), limit).settle()
        leader_by[candidates] = np.where(settled >= 0, candidates[settled], _NONE)
    similar = np.where(leader_by >= 0, leaders[leader_by], _NONE)[group]
    equal = np.where(leaders[group] == np.arange(len(group)), _NONE, leaders[group])
    by = np.where(similar >= 0, similar, equal)
    jaccard = np.where(by >= 0, 1.0, np.nan)
    rows = np.flatnonzero(similar >= 0)
    overlap = _overlaps(sets, rows, by[rows])
    jaccard[rows] = overlap / (sets.sizes[rows] + sets.sizes[by[rows]] - overlap)
    return by, jaccard


def _group_equal_sets(sets: Shingles) -> tuple[np.ndarray, np.ndarray]:
    """The first row of each distinct set ("leader"), in order, and each row's position among the leaders."""
    if not len(sets.sizes):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    mixed = (sets.values ^ (sets.values >> 23)) * 0xD6E8FEB86659FD93
    set_hashes = np.add.reduceat(mixed ^ (mixed >> 32), sets.starts[:-1])
    _, first, group = np.unique(set_hashes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[group]


def _prune_unshared(sets: Shingles, leaders: np.ndarray, limit: Fraction) -> np.ndarray:
    """Positions of the leaders that share enough shingles with other leaders to be similar to any; repeated until stable."""
    able = np.arange(len(leaders))
    while len(able):
        part = sets.of(leaders[able])
        counts = _hashed_counts(part.values)
        shared = np.add.reduceat(counts[_cell_of(part.values, counts)] > 1, part.starts[:-1], dtype=np.int64)
        left = able[shared >= _min_overlap(part.sizes, limit)]
        if len(left) > 0.9 * len(able):
            return left
        able = left
    return able


def _min_overlap(sizes: np.ndarray, limit: Fraction) -> np.ndarray:
    """ceil(t |x|): how many shingles a set must share with any set that it is similar to."""
    return -(-limit.numerator * sizes // limit.denominator)


def _hashed_counts(values: np.ndarray) -> np.ndarray:
    """Counts of the values by hash cell, saturated at 255: an upper bound of how often each value occurs."""
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
    """An inverted index of the rare shingles (prefixes) of sets, for finding candidate pairs.

    An entry is one number: the low 32 bits of a shingle, above 32 bits with the row. The sorted entries are the index.
    """

    def __init__(self, sets: Shingles, limit: Fraction) -> None:
        self.sets = sets
        self.limit = limit
        self.by = np.full(len(sets.sizes), _NONE)
        self.sketches = _parity_sketches(sets)
        self.entries = np.concatenate(list(self._prefixes()))
        self.of_row = offsets(np.bincount((self.entries & _LOW_32_BITS).astype(np.int64), minlength=len(self.by)))
        self.index = np.sort(self.entries)

    def _prefixes(self) -> Iterator[np.ndarray]:
        """Entries of each set's prefix, rarest shingles first, without the shingles that no other set has."""
        counts = _hashed_counts(self.sets.values)
        prefix_sizes = self.sets.sizes - _min_overlap(self.sets.sizes, self.limit) + 1
        for start in range(0, len(prefix_sizes), _BLOCK_ROWS):
            stop = min(start + _BLOCK_ROWS, len(prefix_sizes))
            starts = self.sets.starts[start : stop + 1]
            values = self.sets.values[starts[0] : starts[-1]]
            sizes = np.diff(starts)
            row = np.repeat(np.arange(stop - start, dtype=np.uint64), sizes)
            rarity = counts[_cell_of(values, counts)].astype(np.uint64)
            keys = np.sort((row << (BITS + 8)) | (rarity << BITS) | values)  # by row, then rarity, then shingle
            keys = keys[span_indices(starts[:-1] - starts[0], prefix_sizes[start:stop])]
            keys = keys[(keys >> BITS) & 255 > 1]
            yield (keys & MASK & _LOW_32_BITS) << 32 | (keys >> (BITS + 8)) + start

    def settle(self) -> np.ndarray:
        """Walk the rows in order: each is dropped for the first kept row that it is similar to, or kept (-1)."""
        total, dropped = len(self.by), 0
        for start in range(0, total, _BLOCK_ROWS):
            stop = min(start + _BLOCK_ROWS, total)
            entries = np.sort(self.entries[self.of_row[start] : self.of_row[stop]])
            shingle = entries & ~np.uint64(_LOW_32_BITS)
            row, other = self._similar_pairs(entries, shingle, shingle | start)  # with the rows before this block
            np.minimum.at(first := np.full(stop - start, total), row - start, other)
            self.by[start:stop] = np.where(first < total, first, _NONE)
            undecided = entries[self.by[(entries & _LOW_32_BITS).astype(np.int64)] < 0]
            within = self._similar_pairs(undecided, (undecided & ~np.uint64(_LOW_32_BITS)) | start, undecided)
            for row, other in zip(*map(np.ndarray.tolist, within), strict=True):
                if self.by[row] < 0 and self.by[other] < 0:
                    self.by[row] = other
            dropped += int((self.by[start:stop] >= 0).sum())
            if dropped > max(_BLOCK_ROWS, total // 16):
                stale = self.by[(self.index & _LOW_32_BITS).astype(np.int64)] >= 0
                self.index, dropped = self.index[~stale], 0
        return self.by

    def _similar_pairs(self, entries: np.ndarray, after: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Similar pairs (row, kept row) of each entry's row with the index entries in [after, before), sorted."""
        lo, hi = np.searchsorted(self.index, after), np.searchsorted(self.index, before)
        sizes = hi - lo
        rows, sums = (entries & _LOW_32_BITS).astype(np.int64), np.cumsum(sizes)
        out, start = [np.zeros(0, np.int64)], 0
        while start < len(entries):
            done = sums[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(sums, done + _BLOCK_PAIRS, side="right")))
            other = (self.index[span_indices(lo[start:stop], sizes[start:stop])] & _LOW_32_BITS).astype(np.int64)
            out.append(self._check_pairs(np.repeat(rows[start:stop], sizes[start:stop]), other))
            start = stop
        pairs = np.unique(np.concatenate(out))
        return pairs >> 32, pairs & _LOW_32_BITS

    def _check_pairs(self, row: np.ndarray, other: np.ndarray) -> np.ndarray:
        """The candidate pairs with a Jaccard >= t = p / q, each as one number: row << 32 | other.

        Three tests, the cheapest first: sizes min(a, b) >= t max(a, b); sketches, since the symmetric difference of similar
        sets is at most (1 - t) / (1 + t) (a + b); and the count.
        """
        p, q = self.limit.numerator, self.limit.denominator
        a, b = self.sets.sizes[row], self.sets.sizes[other]
        comparable = (q * np.minimum(a, b) >= p * np.maximum(a, b)) & (self.by[other] < 0)
        pairs = np.unique(row[comparable] << 32 | other[comparable])
        row, other = pairs >> 32, pairs & _LOW_32_BITS
        a, b = self.sets.sizes[row], self.sets.sizes[other]
        differ = np.bitwise_count(self.sketches[row] ^ self.sketches[other]).sum(axis=1, dtype=np.int64)
        possible = (q + p) * differ <= (q - p) * (a + b)
        pairs, row, other, a, b = pairs[possible], row[possible], other[possible], a[possible], b[possible]
        overlap = _overlaps(self.sets, row, other)
        return pairs[q * overlap >= p * (a + b - overlap)]


def _parity_sketches(sets: Shingles) -> np.ndarray:
    """Parity sketches (rows, 4 x 64 bits): each shingle flips one bit, so |x ^ y| >= the number of bits that differ."""
    bits = np.uint64(1) << (sets.values & 63)
    word = sets.values >> 6 & 3
    return np.stack([np.bitwise_xor.reduceat(bits * (word == i), sets.starts[:-1]) for i in range(4)], axis=1)


def _overlaps(sets: Shingles, row: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How many shingles the two sets of each pair share."""
    sizes = sets.sizes[row] + sets.sizes[other]
    out, ends, start = np.zeros(len(row), np.int64), np.cumsum(sizes), 0
    while start < len(row):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends[: start + 65536], done + _BLOCK_VALUES, side="right")))
        both = sets.of(np.stack((row[start:stop], other[start:stop]), axis=1).ravel())
        pair = np.repeat(np.arange(stop - start, dtype=np.uint64), sizes[start:stop])
        marked = np.sort(pair << BITS | both.values)
        shared = marked[1:][marked[1:] == marked[:-1]]
        out[start:stop] = np.bincount((shared >> BITS).astype(np.int64), minlength=stop - start)
        start = stop
    return out

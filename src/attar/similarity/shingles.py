"""Texts as sets of hashed word sequences ("shingles"), a whole column at once: what overlap between texts is counted in.

Case, spacing and punctuation do not matter. A text with fewer words than a shingle has is one shingle of all of them; one
without any word is one shingle of its signs. A Chinese or Japanese character is a word by itself, as is an emoji; other
scripts without spaces (Thai, Khmer) are better cut into characters. The hashes are the same on every machine and for ever.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import polars as pl

from attar.core.errors import RecipeError

Unit = Literal["words", "characters"]
Hashes = np.ndarray

BITS = 48  # of a shingle's hash; the 16 bits above hold the text's number while those of many texts are sorted at once
MASK = (1 << BITS) - 1
_CHUNK_BYTES = 1 << 18  # bytes at a time, so that the arrays stay in the processor's cache
_BASE = 0x9E3779B97F4A7C15
_MIX = 0xD6E8FEB86659FD93


@dataclass(frozen=True, slots=True)
class Shingles:
    """The shingles of many texts, one text's behind the other's: each text's sorted, each once."""

    values: Hashes
    starts: np.ndarray
    """Where each text's shingles start, and at last how many there are in all."""

    @property
    def sizes(self) -> np.ndarray:
        """How many different shingles each text has; never none."""
        return np.diff(self.starts)

    def of(self, rows: np.ndarray) -> "Shingles":
        """Those of some texts, in the order of their row numbers as given."""
        sizes = self.sizes[rows]
        starts = offsets(sizes)
        return Shingles(self.values[span_indices(self.starts[rows], sizes)], starts)


def shingles(texts: pl.Series, *, size: int = 3, unit: Unit = "words") -> Shingles:
    """The shingles of `size` words in a row of each text; no text may be null. Memory: 8 bytes a shingle."""
    pieces = list(shingle_chunks(texts, size=size, unit=unit))
    values = np.concatenate([piece.values for piece in pieces]) if pieces else np.zeros(0, np.uint64)
    sizes = np.concatenate([piece.sizes for piece in pieces]) if pieces else np.zeros(0, np.int64)
    return Shingles(values, offsets(sizes))


def shingle_chunks(texts: pl.Series, *, size: int = 3, unit: Unit = "words") -> Iterator[Shingles]:
    """The same, some texts at a time."""
    if size < 1:
        raise RecipeError(f"a shingle has at least one of the {unit}, not {size}")
    ends = np.cumsum(
        texts.str.len_bytes().to_numpy().astype(np.int64) + 4
    )  # 4 a text: so that never more than 65,536 are one chunk
    start = 0
    while start < len(texts):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _CHUNK_BYTES, side="right")))
        yield _shingle_chunk(texts[start:stop], size, unit)
        start = stop


def _shingle_chunk(texts: pl.Series, size: int, unit: Unit) -> Shingles:
    data, bounds = _to_bytes(texts)
    begins, ends = _word_spans(data, unit)
    first = np.searchsorted(begins, bounds)
    if len(bare := np.flatnonzero(first[1:] == first[:-1])):
        begins = np.insert(begins, first[bare], bounds[bare])
        ends = np.insert(ends, first[bare], bounds[bare + 1] - 1)
        first = np.searchsorted(begins, bounds)
    words = _hash_spans(_BYTE_HASHES[data], begins, ends)
    count = np.diff(first)
    each = np.maximum(count - size + 1, 1)
    at = span_indices(first[:-1], each)
    grams = _hash_spans(words, at, at + np.repeat(np.minimum(count, size), each))
    numbers = np.arange(len(texts) + 1, dtype=np.uint64)
    marked = np.repeat(numbers[:-1] << BITS, each) | (grams >> (64 - BITS))
    marked.sort()
    marked = marked[run_starts(marked)]
    return Shingles(marked & MASK, np.append(np.searchsorted(marked, numbers[:-1] << BITS), len(marked)))


def _to_bytes(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """The texts in lower case behind each other, each closed by a space; and where each starts."""
    closed = (texts.str.to_lowercase() + " ").to_arrow()
    _, bounds, data = closed.buffers()
    at = np.frombuffer(bounds, np.int64)[closed.offset : closed.offset + len(closed) + 1]
    return np.frombuffer(data, np.uint8)[at[0] : at[-1]], at - at[0]


def _word_spans(data: np.ndarray, unit: Unit) -> tuple[np.ndarray, np.ndarray]:
    """Where words begin and end, in bytes."""
    inside = _IS_WORD[data]
    alone = None
    if wide := data.max() >= 0x80:
        inside = inside & ~_punctuation(data)
    if unit == "characters":
        alone = inside & (data & 0xC0 != 0x80)
    elif wide:
        alone = inside & _IS_SINGLE_WORD[data]
    begin = inside.copy()
    begin[1:] &= ~inside[:-1]
    if alone is not None:
        at = np.flatnonzero(alone)
        begin[at] = True
        begin[at + _UTF8_LENGTH[data[at]]] = True  # what stands behind such a character is a new word
        begin &= inside
    return np.flatnonzero(begin), np.flatnonzero(inside[:-1] & (~inside[1:] | begin[1:])) + 1


def _punctuation(data: np.ndarray) -> np.ndarray:
    """Bytes of punctuation beyond ASCII: U+0080 to 00BF, U+2000 to 206F, U+3000 to 303F."""
    at = np.flatnonzero(data >= 0xC2)
    lead, after = data[at], data[at + 1]
    out = np.zeros(len(data), dtype=bool)
    for found, length in ((lead == 0xC2, 2), ((lead == 0xE2) & (after <= 0x81) | (lead == 0xE3) & (after == 0x80), 3)):
        for i in range(length):
            out[at[found] + i] = True
    return out


def _hash_spans(values: Hashes, begins: np.ndarray, ends: np.ndarray) -> Hashes:
    """A hash of each span of a sequence, wherever it lies: a difference of a running polynomial, divided by its first power."""
    up, down = _powers(1 << max(_CHUNK_BYTES, len(values)).bit_length())
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * up[: len(values)], out=sums[1:])
    return _mix_bits((sums[ends] - sums[begins]) * down[begins])


@lru_cache(maxsize=2)
def _powers(size: int) -> tuple[Hashes, Hashes]:
    """The powers of an odd number, and of its inverse, modulo 2^64."""
    both = (_BASE, pow(_BASE, -1, 1 << 64))
    up, down = (np.multiply.accumulate(np.append(np.uint64(1), np.full(size, base, np.uint64))) for base in both)
    return up, down


def _mix_bits(hashes: Hashes) -> Hashes:
    for _ in range(2):
        hashes = (hashes ^ (hashes >> 32)) * _MIX
    return hashes ^ (hashes >> 32)


_IS_WORD = np.array([chr(byte).isalnum() or chr(byte) == "_" or byte >= 0x80 for byte in range(256)])
_IS_SINGLE_WORD = np.array([0xE3 <= byte <= 0xE9 or byte >= 0xF0 for byte in range(256)])
_UTF8_LENGTH = np.array([1 + (byte >= 0xC0) + (byte >= 0xE0) + (byte >= 0xF0) for byte in range(256)])
_BYTE_HASHES = _mix_bits(np.arange(1, 257, dtype=np.uint64) * _BASE)


def run_starts(values: np.ndarray) -> np.ndarray:
    """Of sorted values, which differ from the one before."""
    out = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=out[1:])
    return out


def offsets(sizes: np.ndarray) -> np.ndarray:
    """Where things of these sizes start if they lie behind each other, and at last where they end."""
    return np.append(0, np.cumsum(sizes, dtype=np.int64))


def span_indices(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """start, start + 1, ... of each of many spans, one behind the other."""
    return np.arange(int(sizes.sum())) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)

"""Texts as sets of hashed word n-grams ("shingles"), a whole column at once, for measuring the overlap of texts.

Case, spacing and punctuation are ignored. A text with fewer words than `size` is one shingle of all its words; a text without
words is one shingle of its punctuation. Each Chinese or Japanese character is a word, as is an emoji. For other scripts without
spaces (Thai, Khmer), unit "characters" works better. The hashes are the same on every machine and in every version.
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

BITS = 48  # of a shingle's hash; the upper 16 bits hold the text's number while a chunk of texts is sorted at once
MASK = (1 << BITS) - 1
_CHUNK_BYTES = 1 << 18  # bytes processed at once, so that the arrays stay in the processor's cache
_BASE = 0x9E3779B97F4A7C15
_MIX = 0xD6E8FEB86659FD93


@dataclass(frozen=True, slots=True)
class Shingles:
    """The shingle sets of many texts, concatenated; each set is sorted and without repeats."""

    values: Hashes
    starts: np.ndarray
    """(texts + 1,): where each text's set starts; the last number is the total."""

    @property
    def sizes(self) -> np.ndarray:
        """The number of distinct shingles of each text, at least 1."""
        return np.diff(self.starts)

    def of(self, rows: np.ndarray) -> "Shingles":
        """The sets of these rows, in this order."""
        sizes = self.sizes[rows]
        starts = offsets(sizes)
        return Shingles(self.values[span_indices(self.starts[rows], sizes)], starts)


def shingles(texts: pl.Series, *, size: int = 3, unit: Unit = "words") -> Shingles:
    """The shingles of `size` consecutive words (or characters) of each text; no text may be null. 8 bytes for each shingle."""
    pieces = list(shingle_chunks(texts, size=size, unit=unit))
    values = np.concatenate([piece.values for piece in pieces]) if pieces else np.zeros(0, np.uint64)
    sizes = np.concatenate([piece.sizes for piece in pieces]) if pieces else np.zeros(0, np.int64)
    return Shingles(values, offsets(sizes))


def shingle_chunks(texts: pl.Series, *, size: int = 3, unit: Unit = "words") -> Iterator[Shingles]:
    """The same, in chunks of texts."""
    if size < 1:
        raise RecipeError(f"shingle size must be >= 1 {unit}, got {size}")
    # At least 4 bytes for each text, so that a chunk has at most 65,536 texts: their numbers must fit in 16 bits.
    ends = np.cumsum(texts.str.len_bytes().to_numpy().astype(np.int64) + 4)
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
    if len(empty := np.flatnonzero(first[1:] == first[:-1])):  # texts without words: the whole text is one word
        begins = np.insert(begins, first[empty], bounds[empty])
        ends = np.insert(ends, first[empty], bounds[empty + 1] - 1)
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
    """The lower-cased texts, each followed by a space, concatenated as bytes; and where each text starts."""
    array = (texts.str.to_lowercase() + " ").to_arrow()
    _, bounds, data = array.buffers()
    at = np.frombuffer(bounds, np.int64)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data, np.uint8)[at[0] : at[-1]], at - at[0]


def _word_spans(data: np.ndarray, unit: Unit) -> tuple[np.ndarray, np.ndarray]:
    """Where words begin and end, as byte positions."""
    inside = _IS_WORD[data]
    single = None
    if wide := data.max() >= 0x80:
        inside = inside & ~_punctuation(data)
    if unit == "characters":
        single = inside & (data & 0xC0 != 0x80)
    elif wide:
        single = inside & _IS_SINGLE_WORD[data]
    begin = inside.copy()
    begin[1:] &= ~inside[:-1]
    if single is not None:
        at = np.flatnonzero(single)
        begin[at] = True
        begin[at + _UTF8_LENGTH[data[at]]] = True  # a new word starts after such a character
        begin &= inside
    return np.flatnonzero(begin), np.flatnonzero(inside[:-1] & (~inside[1:] | begin[1:])) + 1


def _punctuation(data: np.ndarray) -> np.ndarray:
    """True for bytes of non-ASCII punctuation: U+0080 to 00BF, U+2000 to 206F, U+3000 to 303F."""
    at = np.flatnonzero(data >= 0xC2)
    lead, after = data[at], data[at + 1]
    out = np.zeros(len(data), dtype=bool)
    for match, length in ((lead == 0xC2, 2), ((lead == 0xE2) & (after <= 0x81) | (lead == 0xE3) & (after == 0x80), 3)):
        for i in range(length):
            out[at[match] + i] = True
    return out


def _hash_spans(values: Hashes, begins: np.ndarray, ends: np.ndarray) -> Hashes:
    """Polynomial hash of each span: (S[end] - S[begin]) / base^begin modulo 2^64, with S the prefix sums of v_i base^i."""
    up, down = _powers(1 << max(_CHUNK_BYTES, len(values)).bit_length())
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * up[: len(values)], out=sums[1:])
    return _mix_bits((sums[ends] - sums[begins]) * down[begins])


@lru_cache(maxsize=2)
def _powers(size: int) -> tuple[Hashes, Hashes]:
    """base^i and base^-i modulo 2^64; the base is odd, so it has an inverse."""
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
    """True where a run of equal values starts, in sorted values."""
    out = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=out[1:])
    return out


def offsets(sizes: np.ndarray) -> np.ndarray:
    """Start of each item in a concatenation of items of these sizes, and the end of the last: (len + 1,)."""
    return np.append(0, np.cumsum(sizes, dtype=np.int64))


def span_indices(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The indices start, start + 1, ... of each span, concatenated."""
    return np.arange(int(sizes.sum())) + np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)

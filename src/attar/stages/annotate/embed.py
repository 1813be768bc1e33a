"""Turn texts into unit vectors: with any embedder (local or a server), or by hashing character n-grams, without a model.

Hashed n-grams see wording and no meaning. A text is lower-cased, with single spaces and one space at each end; every n-gram of
three, four or five characters adds 1 + log(its count) at the index and with the sign that its hash gives (the hashing trick).
So a text's vector depends on nothing but the text.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import role, rowwise
from attar.core.table import Table, need
from attar.core.text import normalise_column
from attar.engines.base import Embedder, Request, in_order
from attar.similarity.shingles import run_starts

_SIZES = (3, 4, 5)
_BATCH_CHARACTERS = 2048
"""Characters hashed at once (or one longer text): few enough for the arrays to stay in a core's cache."""

_ZERO_NORM = 1e-9
"""A norm below this is the rounding error of a row whose signs cancelled out."""


@rowwise
def vectors(table: Table, *, engine: Embedder, column: str = "prompt", into: str = "embedding") -> Table:
    """{column} -> {into}, {into}_cut, {into}_error: unit vectors in float32; `_cut`: was the text truncated?"""
    need(table, column)
    texts = table[column].to_list()
    able = [place for place, text in enumerate(texts) if text]
    replies = in_order(engine.embed(Request(i, text=texts[place]) for i, place in enumerate(able)), len(able))
    errors: list[str | None] = [None if text else f"no {column}" for text in texts]
    truncated: list[bool | None] = [None] * len(texts)
    sizes, vectors = np.zeros(len(texts), dtype=np.int64), [np.zeros(0, dtype=np.float32)]
    for place, reply in zip(able, replies, strict=True):
        errors[place] = reply.error
        if reply.vector is not None:
            truncated[place] = None if reply.finish is None else reply.finish == "length"
            sizes[place] = len(reply.vector)
            vectors.append(np.asarray(reply.vector, dtype=np.float32))
    return table.with_columns(
        _list_column(into, np.concatenate(vectors), sizes),
        pl.Series(f"{into}_cut", truncated, dtype=pl.Boolean),
        pl.Series(f"{into}_error", errors, dtype=pl.String),
    )


@role("letters")
@rowwise
def letters(table: Table, *, column: str = "prompt", into: str = "embedding", width: int = 512) -> Table:
    """{column} -> {into}, {into}_error: its hashed character n-grams (3 to 5): wording, no meaning, and no model."""
    need(table, column)
    if width < 1:
        raise RecipeError(f"width must be >= 1, got {width}")
    flat = normalise_column(table[column]).fill_null("")
    texts = flat.filter(flat != "")
    texts = " " + texts + " "
    lengths = texts.str.len_chars().to_numpy().astype(np.int64)
    rows = np.empty((len(texts), width), dtype=np.float32)
    for start, stop in _batches(lengths):
        rows[start:stop] = _hash_ngrams(texts[start:stop].to_list(), lengths[start:stop], width)
    nonzero = rows.any(axis=1)
    sizes = np.zeros(len(table), dtype=np.int64)
    sizes[np.flatnonzero((flat != "").to_numpy())[nonzero]] = width
    empty = pl.when(pl.lit(flat) == "").then(pl.lit(f"no {column}"))
    errors = empty.when(pl.lit(pl.Series(sizes)) == 0).then(pl.lit(f"the letters of {column} cancel out"))
    return table.with_columns(_list_column(into, rows[nonzero].reshape(-1), sizes), errors.alias(f"{into}_error"))


def _batches(lengths: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges of texts to hash at once, as (start, stop)."""
    ends, start = np.cumsum(lengths), 0
    while start < len(lengths):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _BATCH_CHARACTERS, side="right")))
        yield start, stop
        start = stop


def _hash_ngrams(texts: list[str], lengths: np.ndarray, width: int) -> np.ndarray:
    """Unit vectors of texts, (texts, width). A key is the text's number (upper 32 bits) and an n-gram hash, sorted to count."""
    characters = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
    rolling, keys_by_size = characters, []
    for size in range(2, max(_SIZES) + 1):
        rolling = rolling[:-1] * np.uint32(0x9E3779B1) + characters[size - 1 :]
        if size in _SIZES:
            keys_by_size.append(_mix_bits(rolling))
    if len(texts) > 1:  # for a single text 32-bit keys are enough, and sort in half the time
        owner = np.repeat(np.arange(len(texts), dtype=np.uint64) << np.uint64(32), lengths)
        remaining = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(characters))  # characters up to the text's end
        sized = zip(_SIZES, keys_by_size, strict=True)
        keys_by_size = [(owner[: len(part)] | part)[remaining[: len(part)] >= size] for size, part in sized]
    keys = np.sort(np.concatenate(keys_by_size))
    firsts = np.flatnonzero(run_starts(keys))
    counts = np.diff(firsts, append=len(keys))
    hashes = keys[firsts].astype(np.uint32)
    places = (keys[firsts].astype(np.uint64) >> np.uint64(32)) * np.uint64(width) + hashes % np.uint32(width)
    weights = np.where(hashes >> np.uint32(31), 1.0, -1.0) * (1 + np.log(counts))
    rows = np.bincount(places.astype(np.int64), weights, len(texts) * width).reshape(-1, width)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > _ZERO_NORM, norms, np.inf)


def _mix_bits(hashes: np.ndarray) -> np.ndarray:
    """Make every bit of a hash depend on every bit of the input (the finaliser of MurmurHash3)."""
    hashes = (hashes ^ (hashes >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    hashes = (hashes ^ (hashes >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return hashes ^ (hashes >> np.uint32(16))


def _list_column(name: str, values: np.ndarray, sizes: np.ndarray) -> pl.Series:
    """A column of lists, from all their values in one array and each list's size; size 0 is null."""
    import pyarrow as pa

    ends = np.concatenate([[0], np.cumsum(sizes)])
    lists = pa.LargeListArray.from_arrays(pa.array(ends), pa.array(values), mask=pa.array(sizes == 0))
    return pl.Series(name, lists, dtype=pl.List(pl.Float32))

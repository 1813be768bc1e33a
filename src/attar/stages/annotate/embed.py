"""Turn texts into unit vectors: with any embedder, a model in this process or a server; or by their letters alone.

Letters need no model: texts alike in wording get vectors alike, and what they mean is not seen. A text is taken in lower case
with single spaces, one before and one after it too; every piece of three, four or five characters adds 1 + log(its count) at
the place and with the sign that the piece's hash names. So a text's vector hangs on nothing but the text.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import role, rowwise
from attar.core.table import Table, need
from attar.engines.base import Embedder, Request, in_order
from attar.similarity.shingles import changes

_SIZES = (3, 4, 5)
_AT_ONCE = 2048
"""Characters hashed at once, or one longer text: so few that what is made of them stays in a core's cache."""

_NOUGHT = 1e-9
"""A row shorter than this is what rounding left of one that cancelled out."""


@rowwise
def vectors(table: Table, *, engine: Embedder, column: str = "prompt", into: str = "embedding") -> Table:
    """{column} -> {into}, {into}_cut, {into}_error: 32-bit floats of length one; whether only a text's beginning was read."""
    need(table, column)
    texts = table[column].to_list()
    able = [place for place, text in enumerate(texts) if text]
    replies = in_order(engine.embed(Request(i, text=texts[place]) for i, place in enumerate(able)), len(able))
    errors: list[str | None] = [None if text else f"no {column}" for text in texts]
    short: list[bool | None] = [None] * len(texts)
    sizes, found = np.zeros(len(texts), dtype=np.int64), [np.zeros(0, dtype=np.float32)]
    for place, reply in zip(able, replies, strict=True):
        errors[place] = reply.error
        if reply.vector is not None:
            short[place] = None if reply.finish is None else reply.finish == "length"
            sizes[place] = len(reply.vector)
            found.append(np.asarray(reply.vector, dtype=np.float32))
    return table.with_columns(
        _lists(into, np.concatenate(found), sizes),
        pl.Series(f"{into}_cut", short, dtype=pl.Boolean),
        pl.Series(f"{into}_error", errors, dtype=pl.String),
    )


@role("letters")
@rowwise
def letters(table: Table, *, column: str = "prompt", into: str = "embedding", width: int = 512) -> Table:
    """{column} -> {into}, {into}_error: its pieces of three to five letters, hashed: wording, no meaning, and no model."""
    need(table, column)
    if width < 1:
        raise RecipeError(f"width {width} is no number of places: it is 1 or more")
    flat = table[column].str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars(" ").fill_null("")
    texts = flat.filter(flat != "")
    texts = " " + texts + " "
    lengths = texts.str.len_chars().to_numpy().astype(np.int64)
    rows = np.empty((len(texts), width), dtype=np.float32)
    for start, stop in _spans(lengths):
        rows[start:stop] = _hashed(texts[start:stop].to_list(), lengths[start:stop], width)
    some = rows.any(axis=1)
    sizes = np.zeros(len(table), dtype=np.int64)
    sizes[np.flatnonzero((flat != "").to_numpy())[some]] = width
    empty = pl.when(pl.lit(flat) == "").then(pl.lit(f"no {column}"))
    errors = empty.when(pl.lit(pl.Series(sizes)) == 0).then(pl.lit(f"the letters of {column} cancel out"))
    return table.with_columns(_lists(into, rows[some].reshape(-1), sizes), errors.alias(f"{into}_error"))


def _spans(lengths: np.ndarray) -> Iterator[tuple[int, int]]:
    """Texts that are hashed at once, first to last."""
    ends, start = np.cumsum(lengths), 0
    while start < len(lengths):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
        yield start, stop
        start = stop


def _hashed(texts: list[str], lengths: np.ndarray, width: int) -> np.ndarray:
    """Each text's row. A piece is its hash, among several texts behind its text (upper 32 bits); sorting counts them."""
    characters = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
    rolling, found = characters, []
    for size in range(2, max(_SIZES) + 1):
        rolling = rolling[:-1] * np.uint32(0x9E3779B1) + characters[size - 1 :]
        if size in _SIZES:
            found.append(_stirred(rolling))
    if len(texts) > 1:  # of one text 32 bits do, and are sorted in half the time
        owner = np.repeat(np.arange(len(texts), dtype=np.uint64) << np.uint64(32), lengths)
        left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(characters))
        sized = zip(_SIZES, found, strict=True)
        found = [(owner[: len(some)] | some)[left[: len(some)] >= size] for size, some in sized]
    pieces = np.sort(np.concatenate(found))
    firsts = np.flatnonzero(changes(pieces))
    counts = np.diff(firsts, append=len(pieces))
    hashes = pieces[firsts].astype(np.uint32)
    places = (pieces[firsts].astype(np.uint64) >> np.uint64(32)) * np.uint64(width) + hashes % np.uint32(width)
    weights = np.where(hashes >> np.uint32(31), 1.0, -1.0) * (1 + np.log(counts))
    rows = np.bincount(places.astype(np.int64), weights, len(texts) * width).reshape(-1, width)
    sizes = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(sizes > _NOUGHT, sizes, np.inf)


def _stirred(hashes: np.ndarray) -> np.ndarray:
    """Hashes whose every bit hangs on every bit of the old ones (the end of MurmurHash3)."""
    hashes = (hashes ^ (hashes >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    hashes = (hashes ^ (hashes >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return hashes ^ (hashes >> np.uint32(16))


def _lists(name: str, values: np.ndarray, sizes: np.ndarray) -> pl.Series:
    """A column of lists from all their values in one line; a list of no values is null."""
    import pyarrow as pa

    ends = np.concatenate([[0], np.cumsum(sizes)])
    lists = pa.LargeListArray.from_arrays(pa.array(ends), pa.array(values), mask=pa.array(sizes == 0))
    return pl.Series(name, lists, dtype=pl.List(pl.Float32))

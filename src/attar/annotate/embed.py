"""Turn texts into unit vectors: with any embedder, a model in this process or a server; or by their letters alone."""

from collections import Counter
from math import hypot, log
from zlib import crc32

import polars as pl

from attar.engines.base import Embedder, Request, in_order
from attar.stage import rowwise
from attar.table import Table, need, put


@rowwise
def vectors(table: Table, *, engine: Embedder, column: str = "prompt", into: str = "embedding") -> Table:
    """{column} -> {into}, {into}_error: 32-bit floats of length one."""
    need(table, column)
    texts = table[column].to_list()
    able = [place for place, text in enumerate(texts) if text]
    requests = (Request(i, text=texts[place]) for i, place in enumerate(able))
    values: list[tuple[float, ...] | None] = [None] * len(texts)
    errors: list[str | None] = [None if text else f"no {column}" for text in texts]
    for place, reply in zip(able, in_order(engine.embed(requests), len(able)), strict=True):
        values[place], errors[place] = reply.vector, reply.error
    return put(table, into, values, errors, dtype=pl.List(pl.Float32))


@rowwise
def letters(table: Table, *, column: str = "prompt", into: str = "embedding", width: int = 512) -> Table:
    """{column} -> {into}, {into}_error: its pieces of three to five letters, hashed: wording, no meaning, and no model."""
    need(table, column)
    texts = table[column].to_list()
    values = [_hashed(text, width) if text else None for text in texts]
    return put(table, into, values, [None if text else f"no {column}" for text in texts], dtype=pl.List(pl.Float32))


def _hashed(text: str, width: int) -> list[float]:
    """Counts of pieces, each under a sign and a place that its hash decides, damped and of length one."""
    flat = f" {' '.join(text.lower().split())} "
    counts = Counter(flat[i : i + size] for size in (3, 4, 5) for i in range(max(1, len(flat) - size + 1)))
    vector = [0.0] * width
    for piece, count in counts.items():
        mark = crc32(piece.encode())
        vector[mark % width] += (1 if mark & 0x8000_0000 else -1) * (1 + log(count))
    size = hypot(*vector)
    return [value / size for value in vector] if size else [1.0] + [0.0] * (width - 1)

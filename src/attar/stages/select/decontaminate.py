"""Decontamination: drop rows that ask what a benchmark asks, so that a model trained on the rest can be measured by it.

A row overlaps an item if both have 13 words in a row in common; or if they are the same word for word, however short; or if the
row has at least `share` of the item's word triples and the item has six or more (8 words), so that it is not by chance.
Case, spacing and punctuation do not matter. `reason` names the benchmark and the item, and `because` is null.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl

from attar.core.errors import DataError, RecipeError
from attar.core.stage import reads, role, rowwise
from attar.core.table import Table, need
from attar.similarity.matrix import cosines, matrix, unit
from attar.similarity.products import Numpy
from attar.similarity.shingles import Shingles, run_starts, shingle_chunks, span_indices
from attar.stages.select.benchmark_fingerprints import BENCHMARKS, LOW, RUN, SHORT, content_of, load_benchmark

_ALL_BENCHMARKS = tuple(BENCHMARKS)
_FEWEST_TRIPLES = 6
_BLOCK = 1024
_OVERLAPS = r"^overlaps (.+) item (.+): .*$"


@dataclass(frozen=True, slots=True)
class _Index:
    """An inverted index: sorted hashes with their items, and a bit table that rejects most other hashes (a Bloom filter)."""

    hashes: np.ndarray
    items: np.ndarray
    known: np.ndarray

    def hits(self, texts: Shingles) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row, item and the number of hashes they share, for every pair that shares any; ordered by row and item."""
        near = np.flatnonzero(self.known[texts.values & (len(self.known) - 1)])
        lo = np.searchsorted(self.hashes, texts.values[near])
        count = np.searchsorted(self.hashes, texts.values[near], side="right") - lo
        row = np.searchsorted(texts.starts, near, side="right") - 1
        pairs = np.sort(np.repeat(row, count) << 32 | self.items[span_indices(lo, count)])
        first = np.flatnonzero(run_starts(pairs))
        return pairs[first] >> 32, pairs[first] & LOW, np.diff(np.append(first, len(pairs)))


def _index(column: pl.Series) -> _Index:
    items = np.repeat(np.arange(len(column)), column.list.len().to_numpy())
    hashes = column.explode().to_numpy().astype(np.uint64)
    known = np.zeros(1 << 22, dtype=bool)
    known[hashes & (len(known) - 1)] = True
    order = np.argsort(hashes, kind="stable")
    return _Index(hashes[order], items[order], known)


def pin(against: Sequence[str] = _ALL_BENCHMARKS) -> dict[str, Any]:
    """The knobs `against` and `content`, so that a recipe's step depends on the files' contents, not on their names alone."""
    return {"against": list(against), "content": [content_of(source) for source in against]}


@role("decontamination")
@rowwise
def by_words(
    table: Table,
    *,
    column: str = "prompt",
    against: Sequence[str] = _ALL_BENCHMARKS,
    share: float = 0.6,
    content: Sequence[str | None] | None = None,
) -> Table:
    """{column} -> verdicts: drop rows that overlap an item of a benchmark; of `messages` all user turns are read.

    `against` lists names of benchmarks, files (a prompt per line, or chat data), folders, datasets on the Hub.
    """
    need(table, column)
    if not 0 < share <= 1:
        raise RecipeError(f"share must be > 0 and <= 1, got {share}")
    if content is not None and list(content) != [content_of(source) for source in against]:
        raise DataError("a benchmark file has changed since the run was started: run again")
    texts = _texts(table[column])
    able = np.flatnonzero(texts.is_not_null().to_numpy())
    items = pl.concat([load_benchmark(source) for source in against]) if against else None
    reasons: list[str | None] = [None if has_text else f"no {column}" for has_text in texts.is_not_null()]
    for row, reason in _overlaps(texts.drop_nulls(), items, Fraction(str(share))) if items is not None else ():
        reasons[able[row]] = reason
    return _verdicts(table, reasons)


def _texts(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        return column
    if not isinstance(column.dtype, pl.List):
        raise RecipeError(f"column {column.name!r} must hold texts or conversations, got {column.dtype}")
    user = pl.element().struct.field("content").filter(pl.element().struct.field("role") == "user")
    return column.to_frame().select(pl.col(column.name).list.eval(user).list.join("\n")).to_series()


def _overlaps(texts: pl.Series, items: Table, share: Fraction) -> Iterator[tuple[int, str]]:
    """Row and reason of each overlap: the first item with 13 words in common, else the first with enough triples."""
    prefixes = [f"overlaps {name} item {item}: " for name, item in items.select("benchmark", "item").iter_rows()]
    runs, triples = _index(items["runs"]), _index(items["triples"])
    sizes = items["triples"].list.len().to_numpy().astype(np.int64)
    start = 0
    for long, short in zip(shingle_chunks(texts, size=RUN), shingle_chunks(texts, size=SHORT), strict=True):
        row, item, count = triples.hits(Shingles(short.values & LOW, short.starts))
        enough = (sizes[item] >= _FEWEST_TRIPLES) & (count * share.denominator >= share.numerator * sizes[item])
        reasons = {  # reversed, so that the first item of a row wins
            r: f"{prefixes[i]}{100 * n // sizes[i]}% of its word triples"
            for r, i, n in zip(row[enough][::-1], item[enough][::-1], count[enough][::-1], strict=True)
        }
        row, item, _ = runs.hits(long)
        for r, i in zip(row[::-1], item[::-1], strict=True):
            reasons[r] = prefixes[i] + (f"{RUN} words in a row" if sizes[i] > RUN - SHORT else "the same words")
        yield from ((start + int(r), reason) for r, reason in reasons.items())
        start += len(long.sizes)


def _verdicts(table: Table, reasons: list[str | None]) -> Table:
    reason = pl.Series("reason", reasons, dtype=pl.String)
    return table.select(
        "id", reason.is_null().alias("kept"), reason.alias("reason"), pl.lit(None, dtype=pl.String).alias("because")
    )


@role("decontamination")
@reads(lambda knobs: (knobs["column"],))
def by_meaning(
    table: Table, benchmark: Table, *, column: str = "embedding", threshold: float = 0.9, name: str = "benchmark"
) -> Table:
    """{column} of both tables -> verdicts: drop rows whose cosine with an item of the benchmark is above `threshold`."""
    need(table, column)
    need(benchmark, column)
    if not -1 <= threshold <= 1:
        raise RecipeError(f"threshold must be a cosine from -1 to 1 (0.9 is usual), got {threshold}")
    able = table.with_row_index("_place").filter(pl.col(column).is_not_null())
    rows, items, ids = matrix(able, column), matrix(benchmark, column), benchmark["id"]
    if len(rows) and len(items) and rows.shape[1] != items.shape[1]:
        raise DataError(f"the vectors in {column!r} have {rows.shape[1]} numbers, the benchmark's {items.shape[1]}")
    reasons: list[str | None] = [f"no {column}" if none else None for none in table[column].is_null()]
    unit_items = unit(items)
    least = threshold - Numpy().rounding(rows.shape[1])  # float32 only rejects; the rest is decided in float64
    for start in range(0, len(rows) if len(items) else 0, _BLOCK):
        block = rows[start : start + _BLOCK]
        row, item = np.nonzero(unit(block) @ unit_items.T > least)
        cosine = cosines(block[row], items[item])
        for i in np.lexsort((-item, cosine)):  # the highest cosine comes last and wins, ties by item
            if cosine[i] > threshold:
                place = int(able["_place"][start + int(row[i])])
                reasons[place] = f"overlaps {name} item {ids[int(item[i])]}: cosine {np.floor(cosine[i] * 100) / 100:.2f}"
    return _verdicts(table, reasons)


@reads("reason")
def count_overlaps(verdicts: Table) -> Table:
    """verdicts of this module -> id (the benchmark), rows (that overlap it), items (that they overlap)."""
    overlap = pl.col("reason").str.extract_groups(_OVERLAPS).struct.rename_fields(["id", "item"])
    overlaps = verdicts.select(overlap.alias("overlap")).unnest("overlap").drop_nulls("id")
    return overlaps.group_by("id").agg(pl.len().alias("rows"), pl.col("item").n_unique().alias("items")).sort("id")

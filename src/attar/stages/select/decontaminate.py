"""Drop rows that ask what a benchmark asks, so that a model trained on the rest can be measured by it.

A row overlaps an item if both have 13 words in a row in common; or if one is the other word for word, however short; or if the
row has at least `share` of the item's word triples, where the item has six or more (8 words), so that chance does not do it.
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

_ALL = tuple(BENCHMARKS)
_FEWEST = 6
_BLOCK = 1024
_OVERLAPS = r"^overlaps (.+) item (.+): .*$"


@dataclass(frozen=True, slots=True)
class _Index:
    """Hashes, sorted, and of which item each is; and a table that says of most others at once that they are not among them."""

    hashes: np.ndarray
    items: np.ndarray
    known: np.ndarray

    def hits(self, found: Shingles) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row, item and how many of the item's hashes the row has, for all that have any; ordered by row and item."""
        near = np.flatnonzero(self.known[found.values & (len(self.known) - 1)])
        lo = np.searchsorted(self.hashes, found.values[near])
        count = np.searchsorted(self.hashes, found.values[near], side="right") - lo
        row = np.searchsorted(found.starts, near, side="right") - 1
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


def pin(against: Sequence[str] = _ALL) -> dict[str, Any]:
    """The knobs `against` and `content`, so that a recipe's step follows what files hold, and not their names alone."""
    return {"against": list(against), "content": [content_of(source) for source in against]}


@role("decontamination")
@rowwise
def by_words(
    table: Table,
    *,
    column: str = "prompt",
    against: Sequence[str] = _ALL,
    share: float = 0.6,
    content: Sequence[str | None] | None = None,
) -> Table:
    """{column} -> verdicts: no row is kept that overlaps an item of a benchmark; of `messages` all user turns are read.

    `against` has names of benchmarks, files (a prompt a line, or chat data), folders, datasets on the Hub.
    """
    need(table, column)
    if not 0 < share <= 1:
        raise RecipeError(f"share {share} is no share of an item's words: it lies above 0 and up to 1")
    if content is not None and list(content) != [content_of(source) for source in against]:
        raise DataError("a file of the benchmarks has changed since the run was begun: run again")
    texts = _texts(table[column])
    able = np.flatnonzero(texts.is_not_null().to_numpy())
    items = pl.concat([load_benchmark(source) for source in against]) if against else None
    reasons: list[str | None] = [None if said else f"no {column}" for said in texts.is_not_null()]
    for row, reason in _overlaps(texts.drop_nulls(), items, Fraction(str(share))) if items is not None else ():
        reasons[able[row]] = reason
    return _verdicts(table, reasons)


def _texts(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        return column
    if not isinstance(column.dtype, pl.List):
        raise RecipeError(f"column {column.name!r} is {column.dtype}: give a column of texts or of conversations")
    user = pl.element().struct.field("content").filter(pl.element().struct.field("role") == "user")
    return column.to_frame().select(pl.col(column.name).list.eval(user).list.join("\n")).to_series()


def _overlaps(texts: pl.Series, items: Table, share: Fraction) -> Iterator[tuple[int, str]]:
    """Row and reason of each that overlaps: the first item with a run in common, else the first with triples enough."""
    named = [f"overlaps {name} item {item}: " for name, item in items.select("benchmark", "item").iter_rows()]
    runs, triples = _index(items["runs"]), _index(items["triples"])
    sizes = items["triples"].list.len().to_numpy().astype(np.int64)
    start = 0
    for long, short in zip(shingle_chunks(texts, size=RUN), shingle_chunks(texts, size=SHORT), strict=True):
        row, item, count = triples.hits(Shingles(short.values & LOW, short.starts))
        enough = (sizes[item] >= _FEWEST) & (count * share.denominator >= share.numerator * sizes[item])
        told = {
            r: f"{named[i]}{100 * n // sizes[i]}% of its word triples"
            for r, i, n in zip(row[enough][::-1], item[enough][::-1], count[enough][::-1], strict=True)
        }
        row, item, _ = runs.hits(long)
        for r, i in zip(row[::-1], item[::-1], strict=True):
            told[r] = named[i] + (f"{RUN} words in a row" if sizes[i] > RUN - SHORT else "the same words")
        yield from ((start + int(r), reason) for r, reason in told.items())
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
    """{column}, and the same of a benchmark -> verdicts: dropped are rows whose cosine with one is above the threshold."""
    need(table, column)
    need(benchmark, column)
    if not -1 <= threshold <= 1:
        raise RecipeError(f"threshold {threshold} is no cosine: it lies between -1 and 1, and 0.9 is usual")
    able = table.with_row_index("_place").filter(pl.col(column).is_not_null())
    rows, items, ids = matrix(able, column), matrix(benchmark, column), benchmark["id"]
    if len(rows) and len(items) and rows.shape[1] != items.shape[1]:
        raise DataError(f"the vectors in {column!r} have {rows.shape[1]} numbers, the benchmark's {items.shape[1]}")
    reasons: list[str | None] = [f"no {column}" if none else None for none in table[column].is_null()]
    short, least = unit(items), threshold - Numpy().rounding(rows.shape[1])  # what 32 bits cannot decide is decided in 64
    for start in range(0, len(rows) if len(items) else 0, _BLOCK):
        block = rows[start : start + _BLOCK]
        row, item = np.nonzero(unit(block) @ short.T > least)
        cosine = cosines(block[row], items[item])
        for i in np.lexsort((-item, cosine)):  # the highest comes last and stays, of equal ones the first item
            if cosine[i] > threshold:
                place = int(able["_place"][start + int(row[i])])
                reasons[place] = f"overlaps {name} item {ids[int(item[i])]}: cosine {np.floor(cosine[i] * 100) / 100:.2f}"
    return _verdicts(table, reasons)


@reads("reason")
def count_overlaps(verdicts: Table) -> Table:
    """verdicts of this module -> id (the benchmark), rows and items: how many rows overlapped how many of its items."""
    named = verdicts.select(pl.col("reason").str.extract_groups(_OVERLAPS).struct.rename_fields(["id", "item"]).alias("found"))
    told = named.unnest("found").drop_nulls("id")
    return told.group_by("id").agg(pl.len().alias("rows"), pl.col("item").n_unique().alias("items")).sort("id")

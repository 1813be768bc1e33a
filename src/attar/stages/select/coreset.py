"""Coreset selection, other than `diverse.keep`: rows far apart (k-center), representative rows, or a quota of each cluster.

All are greedy. Cosines are float32: among steps that are equal up to rounding the earlier row wins, best first by `by`, ties
by id; without `by` in the table's order. No copy of a kept row is kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import reads
from attar.core.table import Table, need, verdicts
from attar.similarity.matrix import Matrix, matrix, units
from attar.stages.select.cluster import nearest
from attar.stages.select.rank import check_keep, sort_best_first
from attar.stages.select.where import columns

MOST_ROWS = 100_000
"""The most rows that `facility` compares with each other; its time grows with the square of the rows."""
_ROUNDING = 1e-6
"""Cosines that differ by less are equal; a row whose cosine with a kept row is within this of 1 is its copy."""
_CANDIDATES = 256
_ROWS = 4096
_MOST_COSINES = 2**27
"""Cosines that `facility` holds at once: half a gigabyte."""


@dataclass(frozen=True, slots=True)
class Coreset:
    """The chosen rows' numbers in order; for each row, the chosen row most similar to it (`by`), and their cosine."""

    kept: list[int]
    by: Matrix
    cosine: Matrix


def _reads(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    return (knobs["column"], *(columns(knobs["by"]) if knobs["by"] else ()))


@reads(_reads)
def k_center(table: Table, *, column: str = "embedding", by: str | None = None, keep: int) -> Table:
    """{column}, the columns of `by` -> verdicts: the best row, then always the row farthest from all kept (greedy k-center)."""
    return _verdicts(table, column, by, keep, choose_farthest)


@reads(_reads)
def facility(table: Table, *, column: str = "embedding", by: str | None = None, keep: int) -> Table:
    """{column}, the columns of `by` -> verdicts: rows that represent all rows of the table (greedy facility location).

    Maximises f(S) = sum over rows i of max(0, max over kept j in S of cos(i, j)); each step adds the row with the largest gain.
    """
    return _verdicts(table, column, by, keep, choose_representative)


@reads(_reads)
def quota(table: Table, *, column: str = "cluster", by: str | None = None, keep: int) -> Table:
    """{column}, the columns of `by` -> verdicts: the best row of each cluster, then the second of each, up to `keep`."""
    ranked = _sort_rows(table, column, by)
    able = pl.col("by").is_not_null() & pl.col("what").is_not_null()
    ranked = ranked.with_columns(rank=pl.int_range(1, pl.len() + 1).over("what"), able=able)
    turns = ranked.with_row_index("order").sort(~pl.col("able"), "rank", "order")
    kept = pl.col("able") & (pl.int_range(pl.len()) < check_keep(keep))
    judged = turns.with_columns(kept=kept).sort("order")
    reason = pl.format("rank {} of its {}, {} of it kept", "rank", pl.lit(column), pl.col("kept").sum().over("what"))
    last = pl.col("id").filter(pl.col("kept")).last().over("what")
    return judged.sort("index").select(
        "id",
        "kept",
        _missing(column, by).when(~pl.col("kept")).then(reason).alias("reason"),
        pl.when(pl.col("able") & ~pl.col("kept")).then(last).alias("because"),
    )


def choose_farthest(rows: Matrix, keep: int) -> Coreset:
    """Greedy k-center on unit rows, best first: the first row, then the row whose largest cosine with the chosen is least.

    Several are chosen at once where their order is certain (`_choose_ahead`).
    """
    nearest_cosine = np.full(len(rows), -2, dtype=np.float32)  # with the most similar chosen row
    by = np.zeros(len(rows), dtype=np.int64)
    kept: list[int] = []
    while len(kept) < min(keep, len(rows)) and nearest_cosine.min() < 1 - _ROUNDING:
        new = _choose_ahead(rows, nearest_cosine, keep - len(kept)) if kept else [0]
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            cosine = rows[part] @ rows[new].T  # (part, new)
            best = cosine.argmax(axis=1)
            value = cosine[np.arange(len(cosine)), best]
            by[part] = np.where(value > nearest_cosine[part], np.take(new, best), by[part])
            nearest_cosine[part] = np.maximum(nearest_cosine[part], value)
        kept += new
    return Coreset(kept, by, nearest_cosine)


def _choose_ahead(rows: Matrix, nearest_cosine: Matrix, most: int) -> list[int]:
    """The next rows to choose: from the farthest candidates, as long as no other row can be farther than them."""
    candidates = np.sort(np.argpartition(nearest_cosine, min(_CANDIDATES, len(rows)) - 1)[:_CANDIDATES])
    bound = np.delete(nearest_cosine, candidates).min(initial=np.inf)  # of all other rows; it can only rise
    cosine, mutual = nearest_cosine[candidates], rows[candidates] @ rows[candidates].T
    new: list[int] = []
    while len(new) < most and cosine.min() + _ROUNDING < bound and cosine.min() < 1 - _ROUNDING:
        place = _farthest_row(cosine)
        new.append(int(candidates[place]))
        cosine = np.maximum(cosine, mutual[place])
    return new or [_farthest_row(nearest_cosine)]


def _farthest_row(nearest_cosine: Matrix) -> int:
    """The first of the farthest rows that is not a copy of a chosen row."""
    return int(np.argmax((nearest_cosine <= nearest_cosine.min() + _ROUNDING) & (nearest_cosine < 1 - _ROUNDING)))


def choose_representative(rows: Matrix, keep: int) -> Coreset:
    """Greedy facility location on unit rows, best first: always the row with the largest gain of f (see `facility`).

    f is submodular, so a row's gain only falls as others are chosen. So an old gain is an upper bound, and is computed again
    only when it is the largest (lazy greedy).
    """
    total = len(rows)
    if total > MOST_ROWS:
        raise RecipeError(
            f"coreset.facility compares all pairs of rows, and {total:,} rows are more than the limit of {MOST_ROWS:,}: "
            "keep fewer rows first, with diverse.keep or rank.chance"
        )
    step = max(1, _MOST_COSINES // max(1, total))
    gain = np.concatenate([np.zeros(0), *(_gains(rows[i : i + _CANDIDATES] @ rows.T, 0) for i in range(0, total, _CANDIDATES))])
    cover = np.zeros(total, dtype=np.float32)  # each row's largest cosine with a chosen row
    updated = np.zeros(total, dtype=np.int64)  # how many rows were chosen when the gain was computed
    slot = np.full(total, -1)  # a row's place in `cosines`, or -1
    cosines = np.zeros((0, total), dtype=np.float32)  # (step, rows): those of the likeliest candidates
    kept: list[int] = []
    while len(kept) < min(keep, total) and gain.max() > 0:
        first = int(np.argmax(gain >= gain.max() * (1 - _ROUNDING)))
        if slot[first] < 0:
            candidates = np.argpartition(-gain, min(step, total) - 1)[:step]
            candidates = candidates if first in candidates else np.append(candidates[1:], first)
            del cosines  # free the memory before the next block is allocated
            cosines = rows[candidates] @ rows.T
            slot[:] = -1
            slot[candidates] = np.arange(len(candidates))
        elif updated[first] < len(kept):
            gain[first] = _gains(cosines[slot[first]][None], cover)[0]
            updated[first] = len(kept)
        else:
            cover = np.maximum(cover, cosines[slot[first]])
            gain[cover > 1 - _ROUNDING] = 0.0
            kept.append(first)
    by, score = nearest(rows, rows[kept]) if kept else (np.zeros(total, dtype=np.int64), np.full(total, -2.0))
    return Coreset(kept, np.take(kept, by) if kept else by, score + 0.5)  # score = cosine - 1/2 for unit centres


def _gains(cosines: Matrix, cover: Matrix | int) -> Matrix:
    """What each candidate would add to f: the sum of max(0, cosine - cover) over all rows; cosines are (candidates, rows)."""
    gains = cosines - cover
    return np.maximum(gains, 0, out=gains).sum(axis=1, dtype=np.float64)


def _sort_rows(table: Table, column: str, by: str | None) -> Table:
    """index, id, by (the value to rank by), what ({column}), best first."""
    need(table, *_reads({"column": column, "by": by}))
    return sort_best_first(table, by, what=pl.col(column))


def _missing(column: str, by: str | None) -> Any:
    without = pl.when(pl.col("what").is_null()).then(pl.lit(f"no {column}"))
    return without.when(pl.col("by").is_null()).then(pl.lit(f"no {by}"))


def _verdicts(table: Table, column: str, by: str | None, keep: int, choose: Callable[[Matrix, int], Coreset]) -> Table:
    """Verdicts by `choose` on the rows that have a vector and a value to rank by; the others are dropped with their reason."""
    ranked = _sort_rows(table, column, by)
    able = ranked.drop_nulls(["by", "what"])
    coreset = choose(units(matrix(able.select("id", pl.col("what").alias(column)), column)), check_keep(keep))
    if not len(table):
        return verdicts([], [], [], [])
    kept = np.zeros(len(able), dtype=bool)
    kept[coreset.kept] = True
    template = "cosine {:.3f} with a kept row" if keep else "behind the 0 that are kept"
    reasons = [None if is_kept else template.format(cosine) for is_kept, cosine in zip(kept, coreset.cosine, strict=True)]
    results = able.select(
        "index", kept=pl.Series(kept), why=pl.Series(reasons, dtype=pl.String), other=able["id"].gather(coreset.by)
    )
    judged = ranked.join(results, on="index", how="left").sort("index")
    too_similar = ~pl.col("kept").fill_null(True) & bool(keep)
    return judged.select(
        "id",
        pl.col("kept").fill_null(False),
        _missing(column, by).otherwise(pl.col("why")).alias("reason"),
        pl.when(too_similar).then("other").alias("because"),
    )

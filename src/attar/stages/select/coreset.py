"""Other ways than `diverse.keep` to rows that differ: far apart, standing for all others, or a share of each cluster.

Greedy, each step the best there is. Cosines are in 32 bits: of steps that are equal to within their rounding the earlier row is
taken, best first by `by`, ties by id; without `by` in the table's order. No copy of a kept row is kept.
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
"""So many rows `facility` holds against each other; the time goes with the square of their number."""
_ROUNDING = 1e-6
"""Cosines that differ by less are equal; a row whose cosine with a kept one is as near one is its copy."""
_AHEAD = 256
_ROWS = 4096
_ROOM = 2**27
"""How many cosines `facility` holds at once: half a gigabyte."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Row numbers in the order in which they were chosen; of each row the chosen one that it is most like, and their cosine."""

    kept: list[int]
    by: Matrix
    cosine: Matrix


def _reads(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    return (knobs["column"], *(columns(knobs["by"]) if knobs["by"] else ()))


@reads(_reads)
def k_center(table: Table, *, column: str = "embedding", by: str | None = None, keep: int) -> Table:
    """{column}, the columns of `by` -> verdicts: the best row, then always the one farthest from all kept (greedy k-center)."""
    return _verdicts(table, column, by, keep, farthest)


@reads(_reads)
def facility(table: Table, *, column: str = "embedding", by: str | None = None, keep: int) -> Table:
    """{column}, the columns of `by` -> verdicts: rows such that each row of the table is like a kept one (facility location).

    Each step adds the row that raises most the sum, over all rows, of the cosine with the kept row most like it; of a negative
    cosine nought.
    """
    return _verdicts(table, column, by, keep, representative)


@reads(_reads)
def quota(table: Table, *, column: str = "cluster", by: str | None = None, keep: int) -> Table:
    """{column}, the columns of `by` -> verdicts: the best row of each cluster, then the second of each, up to `keep`."""
    ranked = _sort_rows(table, column, by)
    able = pl.col("by").is_not_null() & pl.col("what").is_not_null()
    ranked = ranked.with_columns(rank=pl.int_range(1, pl.len() + 1).over("what"), able=able)
    turns = ranked.with_row_index("order").sort(~pl.col("able"), "rank", "order")
    kept = pl.col("able") & (pl.int_range(pl.len()) < check_keep(keep))
    told = turns.with_columns(kept=kept).sort("order")
    reason = pl.format("rank {} of its {}, {} of it kept", "rank", pl.lit(column), pl.col("kept").sum().over("what"))
    last = pl.col("id").filter(pl.col("kept")).last().over("what")
    return told.sort("index").select(
        "id",
        "kept",
        _missing(column, by).when(~pl.col("kept")).then(reason).alias("reason"),
        pl.when(pl.col("able") & ~pl.col("kept")).then(last).alias("because"),
    )


def farthest(rows: Matrix, keep: int) -> Chosen:
    """Unit rows, best first: the first one, then always the row whose largest cosine with the chosen ones is least."""
    near, by = np.full(len(rows), -2, dtype=np.float32), np.zeros(len(rows), dtype=np.int64)
    kept: list[int] = []
    while len(kept) < min(keep, len(rows)) and near.min() < 1 - _ROUNDING:
        new = _choose_ahead(rows, near, keep - len(kept)) if kept else [0]
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            alike = rows[part] @ rows[new].T
            best = alike.argmax(axis=1)
            value = alike[np.arange(len(alike)), best]
            by[part] = np.where(value > near[part], np.take(new, best), by[part])
            near[part] = np.maximum(near[part], value)
        kept += new
    return Chosen(kept, by, near)


def _choose_ahead(rows: Matrix, near: Matrix, most: int) -> list[int]:
    """The next rows to choose, as many as are sure: among the farthest alone, while none of the others can be farther."""
    few = np.sort(np.argpartition(near, min(_AHEAD, len(rows)) - 1)[:_AHEAD])
    beyond = np.delete(near, few).min(initial=np.inf)
    left, alike = near[few], rows[few] @ rows[few].T
    new: list[int] = []
    while len(new) < most and left.min() + _ROUNDING < beyond and left.min() < 1 - _ROUNDING:
        next_one = _farthest_row(left)
        new.append(int(few[next_one]))
        left = np.maximum(left, alike[next_one])
    return new or [_farthest_row(near)]


def _farthest_row(near: Matrix) -> int:
    """The first of the farthest rows, where not all are copies of chosen ones."""
    return int(np.argmax((near <= near.min() + _ROUNDING) & (near < 1 - _ROUNDING)))


def representative(rows: Matrix, keep: int) -> Chosen:
    """Unit rows, best first: always the row that raises most the sum of all rows' largest cosines with the chosen ones.

    What a row would add only falls as others are chosen: it is reckoned anew only when what it would once have added is most.
    """
    total = len(rows)
    if total > MOST_ROWS:
        raise RecipeError(
            f"spread.facility holds every row against every other, and {total:,} are more than {MOST_ROWS:,}: "
            "take fewer first, with diverse.keep or rank.chance"
        )
    step = max(1, _ROOM // max(1, total))
    gain = np.concatenate([np.zeros(0), *(_gains(rows[i : i + _AHEAD] @ rows.T, 0) for i in range(0, total, _AHEAD))])
    cover, looked = np.zeros(total, dtype=np.float32), np.zeros(total, dtype=np.int64)
    place, held = np.full(total, -1), np.zeros((0, total), dtype=np.float32)
    kept: list[int] = []
    while len(kept) < min(keep, total) and gain.max() > 0:
        first = int(np.argmax(gain >= gain.max() * (1 - _ROUNDING)))
        if place[first] < 0:
            few = np.argpartition(-gain, min(step, total) - 1)[:step]
            few = few if first in few else np.append(few[1:], first)
            del held  # before as much again is made
            held, place[:] = rows[few] @ rows.T, -1
            place[few] = np.arange(len(few))
        elif looked[first] < len(kept):
            gain[first], looked[first] = _gains(held[place[first]][None], cover)[0], len(kept)
        else:
            cover = np.maximum(cover, held[place[first]])
            gain[cover > 1 - _ROUNDING] = 0.0
            kept.append(first)
    by, near = nearest(rows, rows[kept]) if kept else (np.zeros(total, dtype=np.int64), np.full(total, -2.0))
    return Chosen(kept, np.take(kept, by) if kept else by, near + 0.5)


def _gains(alike: Matrix, cover: Matrix | int) -> Matrix:
    """What each of some rows would add, from its cosines with all rows and what covers these already."""
    more = alike - cover
    return np.maximum(more, 0, out=more).sum(axis=1, dtype=np.float64)


def _sort_rows(table: Table, column: str, by: str | None) -> Table:
    """index, id, by (the worth), what, best first."""
    need(table, *_reads({"column": column, "by": by}))
    return sort_best_first(table, by, what=pl.col(column))


def _missing(column: str, by: str | None) -> Any:
    without = pl.when(pl.col("what").is_null()).then(pl.lit(f"no {column}"))
    return without.when(pl.col("by").is_null()).then(pl.lit(f"no {by}"))


def _verdicts(table: Table, column: str, by: str | None, keep: int, choose: Callable[[Matrix, int], Chosen]) -> Table:
    """Verdicts on the rows that have a vector and a worth, best first; why the others have none."""
    ranked = _sort_rows(table, column, by)
    able = ranked.drop_nulls(["by", "what"])
    found = choose(units(matrix(able.select("id", pl.col("what").alias(column)), column)), check_keep(keep))
    if not len(table):
        return verdicts([], [], [], [])
    kept = np.zeros(len(able), dtype=bool)
    kept[found.kept] = True
    alike = "cosine {:.3f} with a kept row" if keep else "behind the 0 that are kept"
    reason = [None if yes else alike.format(cosine) for yes, cosine in zip(kept, found.cosine, strict=True)]
    told = able.select(
        "index", kept=pl.Series(kept), said=pl.Series(reason, dtype=pl.String), other=able["id"].gather(found.by)
    )
    judged = ranked.join(told, on="index", how="left").sort("index")
    crowded = ~pl.col("kept").fill_null(True) & bool(keep)
    return judged.select(
        "id",
        pl.col("kept").fill_null(False),
        _missing(column, by).otherwise(pl.col("said")).alias("reason"),
        pl.when(crowded).then("other").alias("because"),
    )

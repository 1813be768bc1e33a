"""Out of a great many scored answers the few that matter, so that best-of-n and pairs never hold the rest.

Answers come part by part, from any number of tables (a table a writer), and of each prompt no more is held than what may still
count: its best answer, and some others to set against it.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal

import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import folds, role
from attar.core.table import Table, need
from attar.stages.select.rank import lots
from attar.stages.select.where import expression

_ROWS_AT_ONCE = 50_000
"""Rows that are gathered before all but the few are let go."""

Others = Literal["drawn", "lowest"]


@role("union")
@folds
def of_each(
    *answers: Iterable[Table], by: str, of: str = "parent", others: int = 8, which: Others = "drawn", seed: int = 0
) -> Table:
    """{of}, the columns of `by` -> of each prompt its best answer (ties by id) and `others`, drawn by lot or the lowest.

    Added are `answers`, how many of a prompt's have a score, and `answers_mean`, their mean. An answer without a score is none.
    """
    if others < 0 or which not in ("drawn", "lowest"):
        raise RecipeError(f"others {others}, which {which!r}: a number, nought or more, of 'drawn' or 'lowest' answers")
    held, sums = pl.DataFrame(), pl.DataFrame()
    for some in _merge_parts(chain(*answers)):
        scored = _add_scores(some, by, of, which, seed)
        own = scored.group_by(of, maintain_order=True).agg(answers=pl.len().cast(pl.Int64), answers_sum=pl.col("_by").sum())
        sums = pl.concat([sums, own], how="diagonal").group_by(of, maintain_order=True).agg(pl.all().sum())
        held = _best_and_others(pl.concat([held, scored], how="diagonal"), of, others + 1)
    if held.is_empty():
        return held
    told = sums.with_row_index("_place").with_columns(answers_mean=pl.col("answers_sum") / pl.col("answers"))
    whole = _best_and_others(held, of, others, beside=True).join(told, on=of).sort("_place", "id")
    return whole.drop("_by", "_lot", "_place", "answers_sum")


def _merge_parts(parts: Iterable[Table]) -> Iterator[Table]:
    """Parts, the small ones put together."""
    waiting: list[Table] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= _ROWS_AT_ONCE:
            yield pl.concat(waiting, how="diagonal")
            waiting = []
    if waiting:
        yield pl.concat(waiting, how="diagonal")


def _add_scores(table: Table, by: str, of: str, which: Others, seed: int) -> Table:
    """The answers that have a score, as `_by`; those of the lowest `_lot` may be set against a best one."""
    need(table, "id", of)
    worth = table.with_columns(_by=expression(by).cast(pl.Float64).fill_nan(None)).drop_nulls(["_by", of])
    return worth.with_columns(
        lots(worth, "few.of_each", seed).alias("_lot") if which == "drawn" else pl.col("_by").alias("_lot")
    )


def _best_and_others(rows: Table, of: str, count: int, *, beside: bool = False) -> Table:
    """Of each prompt the best and so many of the lowest lot, the best perhaps among them; or that many `beside` it."""
    known = rows.select("id", of, "_by", "_lot").with_row_index("_row")
    best = known.sort(["_by", "id"], descending=[True, False]).unique(of, keep="first")
    drawn = known.join(best, on="id", how="anti") if beside else known
    lowest = drawn.sort("_lot", "id").filter(pl.int_range(pl.len()).over(of) < count)
    return rows[pl.concat([best["_row"], lowest["_row"]]).unique().sort()]

"""Best of n: each prompt's best answer and a few others, out of many scored answers that are never in memory at once.

Answers come part by part, from any number of tables (one for each writer). For each prompt only the answers that can still be
chosen are held: the best one so far, and some others to pair it with.
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
"""Rows that are collected before they are reduced to the best and the others."""

Others = Literal["drawn", "lowest"]


@role("union")
@folds
def of_each(
    *answers: Iterable[Table], by: str, group_by: str = "parent", others: int = 8, which: Others = "drawn", seed: int = 0
) -> Table:
    """{group_by}, the columns of `by` -> each group's best answer (ties by id) and `others`: random ones, or the lowest.

    Adds `answers`, the number of the group's answers that have a score, and `answers_mean`, their mean score. An answer without
    a score is dropped.
    """
    if others < 0:
        raise RecipeError(f"others must be >= 0, got {others}")
    if which not in ("drawn", "lowest"):
        raise RecipeError(f"which must be 'drawn' or 'lowest', got {which!r}")
    held, totals = pl.DataFrame(), pl.DataFrame()
    for part in _merge_parts(chain(*answers)):
        scored = _add_scores(part, by, group_by, which, seed)
        part_totals = scored.group_by(group_by, maintain_order=True).agg(
            answers=pl.len().cast(pl.Int64), answers_sum=pl.col("_by").sum()
        )
        totals = pl.concat([totals, part_totals], how="diagonal").group_by(group_by, maintain_order=True).agg(pl.all().sum())
        held = _best_and_others(pl.concat([held, scored], how="diagonal"), group_by, others + 1)
    if held.is_empty():
        return held
    means = totals.with_row_index("_place").with_columns(answers_mean=pl.col("answers_sum") / pl.col("answers"))
    chosen = _best_and_others(held, group_by, others, beside=True).join(means, on=group_by).sort("_place", "id")
    return chosen.drop("_by", "_draw_order", "_place", "answers_sum")


def _merge_parts(parts: Iterable[Table]) -> Iterator[Table]:
    """Merge small parts into tables of at least `_ROWS_AT_ONCE` rows."""
    waiting: list[Table] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= _ROWS_AT_ONCE:
            yield pl.concat(waiting, how="diagonal")
            waiting = []
    if waiting:
        yield pl.concat(waiting, how="diagonal")


def _add_scores(table: Table, by: str, group_by: str, which: Others, seed: int) -> Table:
    """The answers that have a score, as `_by`; the others are chosen by the lowest `_draw_order`."""
    need(table, "id", group_by)
    scored = table.with_columns(_by=expression(by).cast(pl.Float64).fill_nan(None)).drop_nulls(["_by", group_by])
    # "few.of_each" is this stage's first name: another salt would draw other rows
    return scored.with_columns(
        lots(scored, "few.of_each", seed).alias("_draw_order") if which == "drawn" else pl.col("_by").alias("_draw_order")
    )


def _best_and_others(rows: Table, group_by: str, count: int, *, beside: bool = False) -> Table:
    """Each group's best answer and the `count` with the lowest lots; with `beside`, `count` besides the best."""
    known = rows.select("id", group_by, "_by", "_draw_order").with_row_index("_row")
    best = known.sort(["_by", "id"], descending=[True, False]).unique(group_by, keep="first")
    candidates = known.join(best, on="id", how="anti") if beside else known
    lowest = candidates.sort("_draw_order", "id").filter(pl.int_range(pl.len()).over(group_by) < count)
    return rows[pl.concat([best["_row"], lowest["_row"]]).unique().sort()]

"""Keep a number of rows: the best by an expression, or any; and the control that a fair comparison needs."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from attar.errors import RecipeError
from attar.identity import seed_of
from attar.select.where import columns, expression
from attar.stage import reads
from attar.table import Table, need, verdicts


def _reads(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    return columns(knobs["by"])


@reads(_reads)
def top(table: Table, *, by: str, keep: int) -> Table:
    """the columns of `by` -> verdicts: the `keep` rows that are highest, ties by id; nulls are never kept."""
    need(table, *columns(by))
    ranked = table.select("id", expression(by).alias("by")).with_row_index()
    ranked = ranked.sort(["by", "id"], descending=[True, False], nulls_last=True).with_row_index("rank", offset=1)
    return _cut(ranked, keep, by, pl.col("by").is_not_null())


@reads("id")
def chance(table: Table, like: Table | None = None, *, keep: int | None = None, seed: int = 0) -> Table:
    """id -> verdicts: any `keep` rows, or as many as `like` has, decided by each id and the seed alone."""
    if (like is None) == (keep is None):
        raise RecipeError("rank.chance takes either a number to keep or a table to be like")
    keep = len(like) if like is not None else keep or 0
    lots = pl.Series("lot", [seed_of("rank.chance", seed, name) for name in table["id"]], dtype=pl.Int64)
    ranked = table.select("id").with_columns(lots).with_row_index()
    ranked = ranked.sort(["lot", "id"]).with_row_index("rank", offset=1)
    return _cut(ranked, keep, "chance", pl.lit(True))


def _cut(ranked: Table, keep: int, by: str, able: pl.Expr) -> Table:
    if ranked.is_empty():
        return verdicts([], [], [], [])
    kept = able & (pl.col("rank") <= keep)
    reason = pl.format("rank {} by {}, {} kept", "rank", pl.lit(by), pl.lit(keep))
    because = pl.col("id").filter(kept).last() if keep else pl.lit(None, dtype=pl.String)
    return (
        ranked.select(
            "index",
            "id",
            kept.alias("kept"),
            pl.when(~able).then(pl.lit(f"no {by}")).when(~kept).then(reason).alias("reason"),
            pl.when(able & ~kept).then(because).alias("because"),
        )
        .sort("index")
        .drop("index")
    )

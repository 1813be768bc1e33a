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
    return (*columns(knobs["by"]), *(columns(knobs["per"]) if knobs["per"] else ()))


@reads(_reads)
def top(table: Table, *, by: str, keep: int, per: str | None = None) -> Table:
    """the columns of `by` -> verdicts: the `keep` rows that are highest, ties by id; nulls are never kept.

    With `per`, another expression, each of its values gets an equal share of `keep`, and what one leaves over goes to no other.
    """
    need(table, *_reads({"by": by, "per": per}))
    ranked = table.select("id", expression(by).alias("by"), _stratum(per)).with_row_index()
    ranked = ranked.sort(["by", "id"], descending=[True, False], nulls_last=True)
    ranked = ranked.with_columns(pl.int_range(1, pl.len() + 1).over("stratum").alias("rank"))
    strata = ranked["stratum"].drop_nulls().n_unique() if per else 1
    return _cut(ranked, keep // max(1, strata), by, pl.col("by").is_not_null() & pl.col("stratum").is_not_null())


def _stratum(per: str | None) -> pl.Expr:
    return (expression(per).cast(pl.String) if per else pl.lit("")).alias("stratum")


@reads(lambda knobs: (knobs["of"], *columns(knobs["by"])))
def best(table: Table, *, by: str, of: str = "parent") -> Table:
    """{of}, the columns of `by` -> verdicts: of each group the row that is highest, ties by id; a null is never best."""
    need(table, of, *columns(by))
    ranked = table.select("id", pl.col(of).alias("of"), expression(by).alias("by")).with_row_index()
    ranked = ranked.sort(["by", "id"], descending=[True, False], nulls_last=True)
    able = pl.col("by").is_not_null()
    ranked = ranked.with_columns(rank=pl.int_range(1, pl.len() + 1).over("of"), first=pl.col("id").first().over("of"))
    kept = able & (pl.col("rank") == 1)
    return ranked.sort("index").select(
        "id",
        kept.alias("kept"),
        pl.when(~able)
        .then(pl.lit(f"no {by}"))
        .when(~kept)
        .then(pl.format("rank {} of its {} by {}", "rank", pl.lit(of), pl.lit(by)))
        .alias("reason"),
        pl.when(able & ~kept).then("first").alias("because"),
    )


@reads("id")
def chance(table: Table, like: Table | None = None, *, keep: int | None = None, seed: int = 0) -> Table:
    """id -> verdicts: any `keep` rows, or as many as `like` has, decided by each id and the seed alone."""
    if (like is None) == (keep is None):
        raise RecipeError("rank.chance takes either a number to keep or a table to be like")
    keep = len(like) if like is not None else keep or 0
    lots = pl.Series("lot", [seed_of("rank.chance", seed, name) for name in table["id"]], dtype=pl.Int64)
    ranked = table.select("id").with_columns(lots).with_row_index()
    ranked = ranked.sort(["lot", "id"]).with_columns(pl.int_range(1, pl.len() + 1).alias("rank"), pl.lit("").alias("stratum"))
    return _cut(ranked, keep, "chance", pl.lit(True))


def _cut(ranked: Table, keep: int, by: str, able: pl.Expr) -> Table:
    if ranked.is_empty():
        return verdicts([], [], [], [])
    kept = able & (pl.col("rank") <= keep)
    reason = pl.format("rank {} by {}, {} kept", "rank", pl.lit(by), pl.lit(keep))
    because = pl.col("id").filter(kept).last().over("stratum") if keep else pl.lit(None, dtype=pl.String)
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

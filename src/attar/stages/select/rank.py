"""Keep a number of rows: the best by an expression, all but the lowest, or any; and the control that a fair comparison needs.

Rows are walked best first, ties by id. What has no worth (null, or not a number) is never kept.
"""

from collections.abc import Mapping
from math import floor
from typing import Any, Literal

import polars as pl

from attar.core.errors import RecipeError
from attar.core.fingerprint import seed_of
from attar.core.stage import as_many_as, reads, role
from attar.core.table import Table, need, verdicts
from attar.stages.select.where import columns, expression

Share = Literal["even", "proportional"]


def _reads(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    return (*columns(knobs["by"]), *(columns(knobs["per"]) if knobs["per"] else ()))


@role("ranking")
@reads(_reads)
def top(table: Table, *, by: str, keep: int, per: str | None = None, share: Share = "even") -> Table:
    """the columns of `by` -> verdicts: the `keep` rows that are highest, ties by id; nulls are never kept.

    With `per`, another expression, each of its values gets an equal share of `keep`, and what one leaves over goes to no other;
    or a share proportional to its rows.
    """
    need(table, *_reads({"by": by, "per": per}))
    ranked = sort_best_first(table, by, stratum=stratum(per))
    able = pl.col("by").is_not_null() & pl.col("stratum").is_not_null()
    sizes = ranked.drop_nulls("stratum").group_by("stratum").agg(able.sum().alias("rows")).sort("stratum")
    return _verdicts(
        ranked.join(_limits(sizes, check_keep(keep), share), on="stratum", how="left", maintain_order="left"), by, able
    )


@role("ranking")
@reads(lambda knobs: (knobs["of"], *columns(knobs["by"])))
def best(table: Table, *, by: str, of: str = "parent") -> Table:
    """{of}, the columns of `by` -> verdicts: of each group the row that is highest, ties by id; a null is never best."""
    need(table, of, *columns(by))
    able = pl.col("by").is_not_null()
    ranked = sort_best_first(table, by, of=pl.col(of))
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


@as_many_as(1)
@reads("id")
def chance(table: Table, like: Table | None = None, *, keep: int | None = None, seed: int = 0) -> Table:
    """id -> verdicts: any `keep` rows, or as many as `like` has, decided by each id and the seed alone."""
    if (like is None) == (keep is None):
        raise RecipeError("rank.chance takes either a number to keep or a table to be like")
    keep = len(like) if like is not None else check_keep(keep or 0)
    ranked = table.select("id").with_columns(lots(table, "rank.chance", seed)).with_row_index().sort(["lot", "id"])
    return _verdicts(ranked.with_columns(stratum=pl.lit(""), limit=pl.lit(keep)), "chance", pl.lit(True))


@reads(lambda knobs: columns(knobs["by"]))
def drop_lowest(table: Table, *, by: str, share: float = 0.1) -> Table:
    """the columns of `by` -> verdicts: rows below the value that has `share` of the others below it; nulls are dropped.

    Of rows that are equal at that value none is dropped, so that what goes is at most `share`, and nothing where all are equal.
    """
    if not 0 <= share < 1:
        raise RecipeError(f"share must be >= 0 and < 1, got {share}")
    need(table, *columns(by))
    ranked = sort_best_first(table, by)
    values = ranked["by"].drop_nulls().cast(pl.Float64).sort()
    least = float(values[floor(len(values) * share + 1e-9)]) if len(values) else 0.0
    share_name = "tenth" if share == 0.1 else f"{share:.4g} of all"
    lowest = pl.lit(f"in the lowest {share_name} by {by} (< {least:.4g})")
    able = pl.col("by").is_not_null()
    return ranked.sort("index").select(
        "id",
        (able & (pl.col("by") >= least)).alias("kept"),
        pl.when(~able).then(pl.lit(f"no {by}")).when(pl.col("by") < least).then(lowest).alias("reason"),
        pl.lit(None, dtype=pl.String).alias("because"),
    )


def sort_best_first(table: Table, by: str | None, **more: pl.Expr) -> Table:
    """The rows best first by an expression, ties by id, those without worth last; `index` is their place in the table.

    Without an expression they are walked in their order, and all are worth the same.
    """
    if not by:
        return table.select("id", by=pl.lit(0), **more).with_row_index()
    try:
        asked = table.select("id", by=expression(by), **more).with_row_index()
    except pl.exceptions.PolarsError as error:
        raise RecipeError(f"{by!r} does not work on these columns: {str(error).splitlines()[0]}") from error
    if asked["by"].dtype.is_float():  # which polars would hold to be more than any number
        asked = asked.with_columns(pl.col("by").fill_nan(None))
    return asked.sort(["by", "id"], descending=[True, False], nulls_last=True)


def stratum(per: str | None) -> pl.Expr:
    """What rows share a budget by, as text; without an expression all share one."""
    return expression(per).cast(pl.String) if per else pl.lit("")


def lots(table: Table, stage: str, seed: int) -> pl.Series:
    """A number for each row that hangs on its id and the seed alone."""
    return pl.Series("lot", [seed_of(stage, seed, name) for name in table["id"]], dtype=pl.Int64)


def check_keep(keep: int) -> int:
    """The number to keep; less than none is an error."""
    if keep < 0:
        raise RecipeError(f"keep {keep} is no number of rows")
    return keep


def _limits(sizes: Table, keep: int, share: Share) -> Table:
    """How many rows of each stratum are kept; what does not divide evenly goes where most was cut off, ties by name."""
    if share not in ("even", "proportional"):
        raise RecipeError(f"share {share!r} is neither 'even' nor 'proportional'")
    if share == "even":
        return sizes.select("stratum", limit=pl.lit(keep // max(1, len(sizes)), dtype=pl.Int64))
    total = int(sizes["rows"].sum())
    wanted = [keep * rows for rows in sizes["rows"]]  # in parts of a row, `total` to each
    limits = [want // max(1, total) for want in wanted]
    for place in sorted(range(len(wanted)), key=lambda i: -(wanted[i] % max(1, total)))[: keep - sum(limits)]:
        limits[place] += 1
    return sizes.select("stratum", limit=pl.Series(limits, dtype=pl.Int64))


def _verdicts(ranked: Table, by: str, able: pl.Expr) -> Table:
    """Verdicts on rows best first that say how many of their stratum are kept."""
    if ranked.is_empty():
        return verdicts([], [], [], [])
    ranked = ranked.with_columns(rank=pl.int_range(1, pl.len() + 1).over("stratum"))
    kept = able & (pl.col("rank") <= pl.col("limit"))
    reason = pl.format("rank {} by {}, {} kept", "rank", pl.lit(by), "limit")
    return (
        ranked.select(
            "index",
            "id",
            kept.alias("kept"),
            pl.when(~able).then(pl.lit(f"no {by}")).when(~kept).then(reason).alias("reason"),
            pl.when(able & ~kept).then(pl.col("id").filter(kept).last().over("stratum")).alias("because"),
        )
        .sort("index")
        .drop("index")
    )

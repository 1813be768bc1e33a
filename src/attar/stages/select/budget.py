"""Keep as many rows as fit a token budget: the best by an expression, or random ones.

A row's cost is an expression, such as `response_tokens` or `response_chars / 4`. The selection stops at the first row that does
not fit, even if a cheaper one follows: so a larger budget keeps all that a smaller one keeps, and short rows have no advantage.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from attar.core.errors import DataError, RecipeError
from attar.core.stage import reads
from attar.core.table import Table, need, verdicts
from attar.stages.select.rank import Share, lots, sort_best_first, stratum
from attar.stages.select.where import columns, expression

_ROUNDING = 1e-9


def _reads(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for rule in (knobs["by"], knobs["cost"], knobs["per"]) if rule for name in columns(rule))


@reads(_reads)
def fill(table: Table, *, by: str, tokens: float, cost: str, per: str | None = None, share: Share = "even") -> Table:
    """the columns of `by` and `cost` -> verdicts: the highest rows, ties by id, whose total cost is at most `tokens`.

    With `per`, each of its values (a stratum) gets an equal share of the tokens, or one proportional to its rows' total cost.
    """
    need(table, *_reads({"by": by, "cost": cost, "per": per}))
    if share not in ("even", "proportional"):
        raise RecipeError(f"share must be 'even' or 'proportional', got {share!r}")
    ranked = sort_best_first(table, by, stratum=stratum(per), cost=pl.lit(amounts(table, cost, "cost")))
    able = pl.col("by").is_not_null() & pl.col("cost").is_not_null() & pl.col("stratum").is_not_null()
    sums = ranked.drop_nulls("stratum").group_by("stratum").agg(pl.col("cost").filter(able).sum().alias("limit"))
    part = pl.lit(1 / max(1, len(sums))) if share == "even" else pl.col("limit") / max(sums["limit"].sum(), _ROUNDING)
    limits = sums.with_columns(limit=part * _check_tokens(tokens))
    return _verdicts(ranked.join(limits, on="stratum", how="left", maintain_order="left"), by, cost, able)


@reads(lambda knobs: columns(knobs["cost"]))
def chance(table: Table, like: Table | None = None, *, cost: str, tokens: float | None = None, seed: int = 0) -> Table:
    """the columns of `cost` -> verdicts: random rows within `tokens`, or within what `like` costs, by each id and the seed."""
    if (like is None) == (tokens is None):
        raise RecipeError("budget.chance takes either tokens or a table to compare with (like), not both or none")
    if like is not None:
        tokens = float(amounts(like, cost, "cost").sum())
    costs = amounts(table, cost, "cost")
    ranked = table.select("id", lots(table, "budget.chance", seed), by=pl.lit(0), cost=costs).with_row_index()
    ranked = ranked.sort(["lot", "id"]).with_columns(stratum=pl.lit(""), limit=pl.lit(_check_tokens(tokens or 0.0)))
    return _verdicts(ranked, "chance", cost, pl.col("cost").is_not_null())


def amounts(table: Table, rule: str, what: str) -> pl.Series:
    """A non-negative amount for each row (a cost, a length) by an expression; null where it is unknown."""
    need(table, *columns(rule))
    try:
        values = table.select("id", amount=expression(rule))["amount"]
    except pl.exceptions.PolarsError as error:
        raise RecipeError(f"{what} {rule!r} does not work on these columns: {str(error).splitlines()[0]}") from error
    if not values.dtype.is_numeric():
        raise RecipeError(f"{what} {rule!r} must be a number, got {values.dtype}")
    values = values.cast(pl.Float64)
    invalid = ((values < 0) | ~values.is_finite()).fill_null(False)
    if invalid.any():
        row = table["id"].filter(invalid)[0]
        raise DataError(f"{what} {rule!r} must be finite and >= 0, got {values.filter(invalid)[0]} in row {row!r}")
    return values


def _check_tokens(tokens: float) -> float:
    if not 0 <= tokens < float("inf"):
        raise RecipeError(f"tokens must be finite and >= 0, got {tokens}")
    return float(tokens)


def _verdicts(ranked: Table, by: str, cost: str, able: pl.Expr) -> Table:
    """Verdicts on rows sorted best first: kept while the stratum's running cost is within its limit."""
    if ranked.is_empty():
        return verdicts([], [], [], [])
    total = pl.when(able).then("cost").otherwise(0.0).cum_sum().over("stratum")
    ranked = ranked.with_columns(rank=pl.int_range(1, pl.len() + 1).over("stratum"), total=total)
    kept = able & (pl.col("total") <= pl.col("limit") * (1 + _ROUNDING))
    past = pl.format("rank {} by {}, past {} of {}", "rank", pl.lit(by), pl.col("limit").round().cast(pl.Int64), pl.lit(cost))
    return (
        ranked.select(
            "index",
            "id",
            kept.alias("kept"),
            pl.when(~able).then(_missing(by, cost)).when(~kept).then(past).alias("reason"),
            pl.when(able & ~kept).then(pl.col("id").filter(kept).last().over("stratum")).alias("because"),
        )
        .sort("index")
        .drop("index")
    )


def _missing(by: str, cost: str) -> pl.Expr:
    without = pl.when(pl.col("cost").is_null() & pl.col("by").is_not_null()).then(pl.lit(f"no {cost}"))
    return without.otherwise(pl.lit(f"no {by}"))

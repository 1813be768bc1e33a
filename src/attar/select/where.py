"""Keep the rows for which a rule over columns holds; the rule is an SQL expression."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from attar.errors import RecipeError
from attar.stage import reads
from attar.table import Table, need


def expression(rule: str) -> pl.Expr:
    """An SQL expression over columns, such as  reward > 0 AND length(prompt) > 20."""
    try:
        return pl.sql_expr(rule)
    except pl.exceptions.PolarsError as error:
        raise RecipeError(f"rule {rule!r} is no expression: {str(error).splitlines()[0]}") from error


def columns(rule: str) -> tuple[str, ...]:
    """The columns that a rule reads."""
    return tuple(dict.fromkeys(expression(rule).meta.root_names()))


def _reads(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    return columns(knobs["rule"])


@reads(_reads)
def holds(table: Table, *, rule: str) -> Table:
    """the columns of `rule` -> verdicts: kept where it is true; where a column is null, so that it is neither, dropped."""
    need(table, *columns(rule))
    try:
        judged = table.select("id", expression(rule).alias("true"))
    except pl.exceptions.PolarsError as error:
        raise RecipeError(f"rule {rule!r} does not work on these columns: {str(error).splitlines()[0]}") from error
    if judged["true"].dtype != pl.Boolean:
        raise RecipeError(f"rule {rule!r} is {judged['true'].dtype}, not true or false")
    reason = (
        pl.when(pl.col("true").is_null()).then(pl.lit(f"unknown: {rule}")).when(~pl.col("true")).then(pl.lit(f"not: {rule}"))
    )
    return judged.select(
        "id",
        pl.col("true").fill_null(False).alias("kept"),
        reason.alias("reason"),
        pl.lit(None, dtype=pl.String).alias("because"),
    )

"""From verdicts to rows, and from several tables to one: the only stages that put tables together."""

import polars as pl

from attar.core.errors import DataError
from attar.core.stage import role, rowwise, rowwise_aligned
from attar.core.table import Table, need


@role("kept")
@rowwise_aligned
def rows(table: Table, verdicts: Table) -> Table:
    """any, and verdicts on them in the same order -> the kept rows, unchanged. A row that has no answer is never kept."""
    if not table["id"].equals(verdicts["id"]):
        raise DataError("the verdicts are not on these rows: give keep.rows the table that was judged")
    kept = table.filter(verdicts["kept"])
    return kept.filter(pl.col("response_error").is_null()) if "response_error" in kept.columns else kept


@rowwise
def has_answer(table: Table) -> Table:
    """response -> verdicts: a row without an answer is dropped, with the reason why it has none."""
    need(table, "response")
    none = pl.col("response").is_null() | (pl.col("response").str.strip_chars() == "")
    why = [pl.col("response_error")] if "response_error" in table.columns else []
    return table.select(
        "id",
        (~none).alias("kept"),
        pl.when(none).then(pl.format("no answer: {}", pl.coalesce(*why, pl.lit("empty answer")))).alias("reason"),
        pl.lit(None, dtype=pl.String).alias("because"),
    )


@rowwise_aligned
def columns(table: Table, more: Table) -> Table:
    """any, and other columns of the same rows in the same order -> the rows with both."""
    if not table["id"].equals(more["id"]):
        raise DataError("the columns are not of these rows: give keep.columns the table that they were made from")
    return table.with_columns(more.drop("id"))


@role("union")
def concat(*tables: Table) -> Table:
    """several tables -> all their rows, one table behind the other; a column that one lacks is null there."""
    whole = pl.concat(tables, how="diagonal")
    if (twice := whole["id"].is_duplicated()).any():
        raise DataError(f"row {whole['id'].filter(twice)[0]!r} is in two of the tables that are put together")
    return whole

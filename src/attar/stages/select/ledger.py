"""The fate of every pool row over many select stages: a ledger has one row for each, in pool order.

    place, id, kept, step, reason, because      step is the name of the step that dropped the row

Stages judge only the remaining rows. `remaining_rows` takes them from tables that have the pool's rows, with only the columns
needed, so that texts are not copied from step to step; `update` records a stage's verdicts.
"""

from collections.abc import Sequence

import polars as pl

from attar.core.errors import DataError, RecipeError
from attar.core.stage import reads, role, rowwise, rowwise_aligned
from attar.core.table import Table, need, verdicts
from attar.stages.select.where import columns as columns_of
from attar.stages.select.where import expression

SCORE, ORDER = "pool_score", "pool_order"


@role("bookkeeping")
@reads("messages_error")
def open_ledger(table: Table) -> Table:
    """messages_error -> a ledger: rows that could not be read are dropped by the step `read`."""
    need(table, "messages_error")
    kept = pl.col("messages_error").is_null()
    return table.select(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("place"),
        "id",
        kept.alias("kept"),
        pl.when(~kept).then(pl.lit("read")).alias("step"),
        pl.col("messages_error").alias("reason"),
        pl.lit(None, dtype=pl.String).alias("because"),
    )


@role("bookkeeping")
@rowwise_aligned
def remaining_rows(table: Table, ledger: Table, *more: Table, columns: Sequence[str] = (), by: str | None = None) -> Table:
    """any, a ledger, other columns of the same rows -> for the rows still kept: id, `columns`, and their order.

    The order is `by` as pool_score, higher is better; without `by` it is the pool's order as pool_order, descending.
    """
    whole = table
    for other in (ledger, *more):
        if not table["id"].equals(other["id"]):
            raise DataError("these tables do not have the same rows in the same order")
        if other is not ledger:
            whole = whole.with_columns(other.select(name for name in other.columns if name not in whole.columns))
    need(whole, *columns, *(columns_of(by) if by else ()))
    order = expression(by).alias(SCORE) if by else (-ledger["place"]).filter(ledger["kept"]).alias(ORDER)
    try:
        rest = whole.filter(ledger["kept"]).select("id", *dict.fromkeys(columns), order)
    except pl.exceptions.PolarsError as error:
        raise RecipeError(f"{by!r} does not work on these columns: {str(error).splitlines()[0]}") from error
    if by and not rest[SCORE].dtype.is_numeric():
        raise RecipeError(f"{by!r} must be a number that ranks the rows, got {rest[SCORE].dtype}")
    return rest


@role("bookkeeping")
@rowwise
def added_columns(table: Table) -> Table:
    """any -> id, and the columns that steps have added to those of `remaining_rows`."""
    return table.drop("messages", "prompt", "response", "conversation", SCORE, ORDER, strict=False)


@role("bookkeeping")
def update(ledger: Table, judged: Table, *, step: str) -> Table:
    """a ledger, verdicts on the rows that it keeps -> the ledger after them."""
    if not ledger.filter("kept")["id"].equals(judged["id"]):
        raise DataError(f"the verdicts of step {step!r} must be on the ledger's kept rows, in its order")
    dropped = judged.filter(~pl.col("kept")).select("id", "reason", "because", now=pl.lit(True))
    joined = ledger.join(dropped, on="id", how="left", maintain_order="left", suffix="_now")
    now = pl.col("now").is_not_null()
    return joined.select(
        "place",
        "id",
        (pl.col("kept") & ~now).alias("kept"),
        pl.when(now).then(pl.lit(step)).otherwise("step").alias("step"),
        pl.when(now).then("reason_now").otherwise("reason").alias("reason"),
        pl.when(now).then("because_now").otherwise("because").alias("because"),
    )


@role("bookkeeping")
@reads(lambda knobs: (knobs["column"], *((f"{knobs['column']}_error",) if knobs["told"] else ())))
def keep_with_value(table: Table, *, column: str, told: bool = False, called: str | None = None) -> Table:
    """{column} -> verdicts: a row without a value is dropped; with `told` the reason is {column}_error."""
    need(table, column, *([f"{column}_error"] if told else []))
    none = pl.col(column).is_null()
    if (kind := table[column].dtype) == pl.String:
        none |= pl.col(column).str.strip_chars() == ""
    elif kind.is_float():
        none |= pl.col(column).is_nan()
    without = pl.lit(f"no {called or column}")
    reason = pl.when(none).then(pl.col(f"{column}_error").fill_null(without) if told else without)
    none_of = pl.lit(None, dtype=pl.String)
    return table.select("id", (~none).alias("kept"), reason.cast(pl.String).alias("reason"), none_of.alias("because"))


@role("bookkeeping")
@reads("id")
def keep_first(table: Table, *, keep: int) -> Table:
    """id -> verdicts: the first `keep` rows, in table order."""
    ids, total = table["id"].to_list(), len(table)
    last = ids[min(keep, total) - 1] if keep and ids else None
    reasons = [None if i < keep else f"after the first {keep}" for i in range(total)]
    return verdicts(ids, [i < keep for i in range(total)], reasons, [None if i < keep else last for i in range(total)])

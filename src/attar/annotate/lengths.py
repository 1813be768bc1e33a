"""How long a row's prompt and response are, in characters."""

import polars as pl

from attar.stage import rowwise
from attar.table import Table, need


@rowwise
def measure(table: Table) -> Table:
    """prompt, response -> prompt_chars, response_chars."""
    need(table, "prompt", "response")
    return table.with_columns(
        pl.col("prompt").str.len_chars().cast(pl.Int64).alias("prompt_chars"),
        pl.col("response").str.len_chars().cast(pl.Int64).alias("response_chars"),
    )

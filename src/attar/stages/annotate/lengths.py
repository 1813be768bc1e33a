"""How long a row's prompt and response are, in characters; tokens are counted by who writes them."""

import polars as pl

from attar.core.stage import reads, rowwise
from attar.core.table import Table, need


@rowwise
def measure(table: Table) -> Table:
    """prompt, response -> prompt_chars, response_chars."""
    need(table, "prompt", "response")
    return table.with_columns(
        pl.col("prompt").str.len_chars().cast(pl.Int64).alias("prompt_chars"),
        pl.col("response").str.len_chars().cast(pl.Int64).alias("response_chars"),
    )


@reads(lambda knobs: (knobs["of"], "response"))
def among(table: Table, *, of: str = "parent") -> Table:
    """{of}, response -> id, length_ratio: how long a response is against the median of those in its group."""
    need(table, of, "response")
    length = pl.col("response").str.len_chars().cast(pl.Float64)
    return table.select("id", (length / length.median().over(of)).alias("length_ratio"))

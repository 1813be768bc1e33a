"""Lengths of a row's prompt and response in characters; tokens are counted by the stages that generate them."""

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
def compare_to_group(table: Table, *, of: str = "parent") -> Table:
    """{of}, response -> id, length_ratio: a response's length over the median length in its group."""
    need(table, of, "response")
    length = pl.col("response").str.len_chars().cast(pl.Float64)
    return table.select("id", (length / length.median().over(of)).alias("length_ratio"))

"""Drop repeats; of each group of equals exactly one survives, the first or the best."""

import polars as pl

from attar.stage import reads
from attar.table import Table, verdicts


@reads(lambda knobs: tuple(column for column in (knobs["column"], knobs["best"]) if column))
def exact(table: Table, *, column: str = "prompt", best: str | None = None) -> Table:
    """{column} -> verdicts: equal text, whatever its case and spacing; the survivor has the highest `best`, or comes first."""
    marked = table.select(
        "id",
        pl.col(column).is_null().alias("empty"),
        pl.col(column).str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars().hash(seed=7).alias("text"),
        (pl.col(best) if best else pl.lit(0)).alias("best"),
    ).with_row_index()
    leader = marked.sort(["empty", "best", "index"], descending=[False, True, False], nulls_last=True)
    survivors = leader.group_by("text", maintain_order=True).agg(pl.col("id").first().alias("survivor"))
    judged = marked.join(survivors, on="text", how="left", maintain_order="left")
    kept = ~pl.col("empty") & (pl.col("id") == pl.col("survivor"))
    out = judged.select(
        "id",
        kept.alias("kept"),
        pl.when(pl.col("empty")).then(pl.lit(f"no {column}")).when(~kept).then(pl.lit(f"repeats a {column}")).alias("reason"),
        pl.when(~kept & ~pl.col("empty")).then("survivor").alias("because"),
    )
    return verdicts(*(out[name].to_list() for name in ("id", "kept", "reason", "because"))) if out.is_empty() else out

"""Drop repeats, all by one rule: walk the rows best first, and drop each that is alike to a row that was kept.

Best is what `best`, an expression, makes highest, ties by id; a row for which it is null comes last. Without it the rows are
walked in their order. A dropped row names the first kept one that it is alike to; none is dropped for being like a dropped one.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import reads
from attar.core.table import Table, need
from attar.similarity.jaccard import find_repeats
from attar.similarity.matrix import matrix
from attar.similarity.shingles import Unit, shingles
from attar.stages.select.diverse import repr_filter
from attar.stages.select.rank import sort_best_first
from attar.stages.select.where import columns


def _reads(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    return (knobs["column"], *(columns(knobs["best"]) if knobs["best"] else ()))


@reads(_reads)
def exact(table: Table, *, column: str = "prompt", best: str | None = None) -> Table:
    """{column}, the columns of `best` -> verdicts: alike is equal text, whatever its case and spacing."""
    walked = _sort_rows(table, column, best)
    texts = walked["value"].str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars().hash(seed=7)
    rows = pl.DataFrame({"text": texts}).with_row_index("row")
    first = rows.select(pl.col("row").first().over("text"))["row"].to_numpy().astype(np.int64)
    by = np.where(first < np.arange(len(first)), first, -1)
    return _verdicts(table, column, walked, by, pl.lit(f"repeats a {column}"))


@reads(_reads)
def near(
    table: Table,
    *,
    column: str = "prompt",
    best: str | None = None,
    threshold: float = 0.7,
    words: int = 3,
    unit: Unit = "words",
) -> Table:
    """{column}, the columns of `best` -> verdicts: alike is a Jaccard of at least `threshold`, exactly.

    It is the share of all sequences of so many words (or characters, by `unit`) of the two texts that are in both.
    """
    if not 0 < threshold <= 1:
        raise RecipeError(f"threshold {threshold} is no Jaccard to ask for: it lies above 0 and up to 1, and 0.7 is usual")
    walked = _sort_rows(table, column, best)
    by, jaccard = find_repeats(shingles(walked["value"], size=words, unit=unit), threshold)
    return _verdicts(table, column, walked, by, pl.format(f"nearly repeats a {column} (Jaccard {{}})", _two_digits(jaccard)))


@reads(_reads)
def semantic(table: Table, *, column: str = "embedding", best: str | None = None, threshold: float = 0.95) -> Table:
    """{column}, the columns of `best` -> verdicts: alike is a cosine above `threshold`."""
    walked = _sort_rows(table, column, best)
    found = repr_filter(matrix(walked.select("id", pl.col("value").alias(column)), column), threshold=threshold)
    return _verdicts(table, column, walked, found.by, pl.format("alike to a kept row (cosine {})", _two_digits(found.cosine)))


def _two_digits(values: np.ndarray) -> pl.Expr:
    """Two digits, cut and not rounded, so that none looks like more than it is."""
    return pl.lit(pl.Series(np.floor(values * 100) / 100, dtype=pl.Float64))


def _sort_rows(table: Table, column: str, best: str | None) -> Table:
    """The rows that have a value, in the order in which they are walked, and their place in the table."""
    need(table, *_reads({"column": column, "best": best}))
    return sort_best_first(table, best, value=pl.col(column)).drop_nulls("value")


def _verdicts(table: Table, column: str, walked: Table, by: np.ndarray, reason: pl.Expr) -> Table:
    """Verdicts on all rows; `by` has of each walked row the place in the walk of the one that crowds it out, or -1."""
    by = np.asarray(by, dtype=np.int64)
    told = walked.select(
        "index",
        pl.Series("kept", by < 0),
        pl.when(pl.Series(by >= 0)).then(reason).alias("reason"),
        pl.when(pl.Series(by >= 0)).then(pl.col("id").gather(np.maximum(by, 0))).alias("because"),
    )
    whole = table.select("id").with_row_index().join(told, on="index", how="left", maintain_order="left")
    return whole.select(
        "id",
        pl.col("kept").fill_null(False),
        pl.when(pl.col("kept").is_null()).then(pl.lit(f"no {column}")).otherwise("reason").alias("reason"),
        "because",
    )

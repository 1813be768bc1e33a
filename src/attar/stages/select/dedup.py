"""Drop duplicates, all by one rule: visit the rows best first, and drop each row that is similar to a kept row.

Best is the highest value of the expression `best`, ties by id; rows where it is null come last. Without it the rows are visited
in table order. A dropped row names the first kept row that it is similar to; similarity to a dropped row does not count.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import reads
from attar.core.table import Table, need
from attar.core.text import normalise_column
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
    """{column}, the columns of `best` -> verdicts: similar means equal text, ignoring case and spacing."""
    walked = _sort_rows(table, column, best)
    texts = normalise_column(walked["value"]).hash(seed=7)
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
    """{column}, the columns of `best` -> verdicts: similar means a Jaccard similarity >= `threshold`, exactly.

    J(a, b) = |a & b| / |a | b| over the sets of n-grams of `words` words (or characters, by `unit`).
    """
    if not 0 < threshold <= 1:
        raise RecipeError(f"threshold must be a Jaccard similarity in (0, 1], got {threshold}; 0.7 is usual")
    walked = _sort_rows(table, column, best)
    by, jaccard = find_repeats(shingles(walked["value"], size=words, unit=unit), threshold)
    return _verdicts(table, column, walked, by, pl.format(f"nearly repeats a {column} (Jaccard {{}})", _two_digits(jaccard)))


@reads(_reads)
def semantic(table: Table, *, column: str = "embedding", best: str | None = None, threshold: float = 0.95) -> Table:
    """{column}, the columns of `best` -> verdicts: similar means a cosine above `threshold`."""
    walked = _sort_rows(table, column, best)
    found = repr_filter(matrix(walked.select("id", pl.col("value").alias(column)), column), threshold=threshold)
    return _verdicts(table, column, walked, found.by, pl.format("alike to a kept row (cosine {})", _two_digits(found.cosine)))


def _two_digits(values: np.ndarray) -> pl.Expr:
    """Two digits, rounded down, so that no value looks larger than it is."""
    return pl.lit(pl.Series(np.floor(values * 100) / 100, dtype=pl.Float64))


def _sort_rows(table: Table, column: str, best: str | None) -> Table:
    """The rows that have a value, in the order of the visit, with their index in the table."""
    need(table, *_reads({"column": column, "best": best}))
    return sort_best_first(table, best, value=pl.col(column)).drop_nulls("value")


def _verdicts(table: Table, column: str, walked: Table, by: np.ndarray, reason: pl.Expr) -> Table:
    """Verdicts on all rows; `by[i]` is the position of the kept row that row i duplicates, or -1."""
    by = np.asarray(by, dtype=np.int64)
    found = walked.select(
        "index",
        pl.Series("kept", by < 0),
        pl.when(pl.Series(by >= 0)).then(reason).alias("reason"),
        pl.when(pl.Series(by >= 0)).then(pl.col("id").gather(np.maximum(by, 0))).alias("because"),
    )
    whole = table.select("id").with_row_index().join(found, on="index", how="left", maintain_order="left")
    return whole.select(
        "id",
        pl.col("kept").fill_null(False),
        pl.when(pl.col("kept").is_null()).then(pl.lit(f"no {column}")).otherwise("reason").alias("reason"),
        "because",
    )

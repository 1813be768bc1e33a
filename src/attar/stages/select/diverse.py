"""Keep rows that differ: visit them best first and drop each row that is too similar to a kept row (Deita's "repr filter").

The result equals the sequential rule for any block size and machine: a row is kept if its cosine with every row kept before it
is <= the threshold, decided in float64 on the input vectors. Exactly one of two duplicates stays.
"""

import numpy as np
import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import reads, role
from attar.core.table import Table, need
from attar.similarity.backends import choose_arithmetic
from attar.similarity.matrix import Matrix, matrix
from attar.similarity.products import Backend
from attar.similarity.repr_filter import FilterResult, filter_rows
from attar.stages.select.rank import sort_best_first
from attar.stages.select.where import columns


def repr_filter(
    embeddings: Matrix, *, threshold: float = 0.9, keep: int | None = None, backend: Backend = "auto", block: int | None = None
) -> FilterResult:
    """Filter rows sorted best first, in memory or a memory map; stops when `keep` are kept."""
    if embeddings.ndim != 2 or not np.issubdtype(embeddings.dtype, np.floating):
        raise RecipeError(f"embeddings must be a matrix of floats, one row per text; got {embeddings.dtype} {embeddings.shape}")
    if not -1 <= threshold <= 1:
        raise RecipeError(f"threshold must be a cosine in [-1, 1], got {threshold}; 0.9 is usual")
    if keep is not None and keep < 0:
        raise RecipeError(f"keep must be >= 0, got {keep}")
    if block is not None and block < 1:
        raise RecipeError(f"block must be >= 1, got {block}")
    return filter_rows(embeddings, threshold, keep, choose_arithmetic(backend), block)


@role("ranking")
@reads(lambda knobs: (knobs["column"], *(columns(knobs["by"]) if knobs["by"] else ())))
def keep(
    table: Table, *, column: str = "embedding", by: str | None = None, threshold: float = 0.9, keep: int | None = None
) -> Table:
    """{column}, the columns of `by` -> verdicts: the `keep` highest rows, no two too similar, ties by id.

    Without `by` the rows are visited in table order. A row without a vector, or without a value of `by`, is not kept.
    """
    need(table, column, *(columns(by) if by else ()))
    rows = sort_best_first(table, by, vector=pl.col(column))
    able = rows.filter(pl.col("vector").is_not_null() & pl.col("by").is_not_null())
    result = repr_filter(matrix(able.select("id", pl.col("vector").alias(column)), column), threshold=threshold, keep=keep)
    filtered = able.select("index").with_columns(_filter_columns(able["id"], result, keep))
    judged = rows.join(filtered, on="index", how="left").sort("index")
    lacking = (
        pl.when(pl.col("vector").is_null()).then(pl.lit(f"no {column}")).when(pl.col("by").is_null()).then(pl.lit(f"no {by}"))
    )
    return judged.select("id", pl.col("kept").fill_null(False), lacking.otherwise("reason").alias("reason"), "because")


def _filter_columns(ids: pl.Series, result: FilterResult, keep: int | None) -> list[pl.Series]:
    """The filter's result as the columns kept, reason and because."""
    kept = np.zeros(len(ids), dtype=bool)
    kept[result.kept] = True
    similar = result.by >= 0
    names = ids.to_numpy()
    reason, because = np.full(len(ids), None, dtype=object), np.full(len(ids), None, dtype=object)
    reason[result.seen :] = f"behind the {keep} that are kept"
    reason[similar] = [f"cosine {cosine:.3f} with a kept row" for cosine in result.cosine[similar]]
    because[similar] = names[result.by[similar]]
    texts = {"reason": reason.tolist(), "because": because.tolist()}
    return [pl.Series("kept", kept), *(pl.Series(name, values, dtype=pl.String) for name, values in texts.items())]

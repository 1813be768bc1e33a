"""Keep rows that differ: walk them best first and drop each that is too like one that was kept (Deita's "repr filter").

Exactly the sequential rule, whatever the block or the machine: a row is kept if its cosine with every row kept before it is at
most the threshold, decided in 64 bits on the vectors as they came. Of two duplicates exactly one stays.
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
    """Rows in the order of their worth, in memory or a memory map; stops when `keep` are kept."""
    if embeddings.ndim != 2 or not np.issubdtype(embeddings.dtype, np.floating):
        raise RecipeError(
            f"embeddings must be a matrix of floats, one row each; these are {embeddings.dtype} {embeddings.shape}"
        )
    if not -1 <= threshold <= 1:
        raise RecipeError(f"threshold {threshold} is no cosine: it lies between -1 and 1, and 0.9 is usual")
    if keep is not None and keep < 0:
        raise RecipeError(f"keep {keep} is no number of rows")
    if block is not None and block < 1:
        raise RecipeError(f"block {block} is no number of rows")
    return filter_rows(embeddings, threshold, keep, choose_arithmetic(backend), block)


@role("ranking")
@reads(lambda knobs: (knobs["column"], *(columns(knobs["by"]) if knobs["by"] else ())))
def keep(
    table: Table, *, column: str = "embedding", by: str | None = None, threshold: float = 0.9, keep: int | None = None
) -> Table:
    """{column}, the columns of `by` -> verdicts: the highest `keep` rows of which no two are alike, ties by id.

    Without `by` the rows are walked in their order. A row without a vector, or without a worth, is not kept.
    """
    need(table, column, *(columns(by) if by else ()))
    asked = sort_best_first(table, by, vector=pl.col(column))
    able = asked.filter(pl.col("vector").is_not_null() & pl.col("by").is_not_null())
    found = repr_filter(matrix(able.select("id", pl.col("vector").alias(column)), column), threshold=threshold, keep=keep)
    told = able.select("index").with_columns(_filter_columns(able["id"], found, keep))
    judged = asked.join(told, on="index", how="left").sort("index")
    lacking = (
        pl.when(pl.col("vector").is_null()).then(pl.lit(f"no {column}")).when(pl.col("by").is_null()).then(pl.lit(f"no {by}"))
    )
    return judged.select("id", pl.col("kept").fill_null(False), lacking.otherwise("reason").alias("reason"), "because")


def _filter_columns(ids: pl.Series, found: FilterResult, keep: int | None) -> list[pl.Series]:
    """What the filter says of each row, as verdicts have it."""
    kept = np.zeros(len(ids), dtype=bool)
    kept[found.kept] = True
    crowded = found.by >= 0
    names = ids.to_numpy()
    reason, because = np.full(len(ids), None, dtype=object), np.full(len(ids), None, dtype=object)
    reason[found.seen :] = f"behind the {keep} that are kept"
    reason[crowded] = [f"cosine {cosine:.3f} with a kept row" for cosine in found.cosine[crowded]]
    because[crowded] = names[found.by[crowded]]
    texts = {"reason": reason.tolist(), "because": because.tolist()}
    return [pl.Series("kept", kept), *(pl.Series(name, values, dtype=pl.String) for name, values in texts.items())]

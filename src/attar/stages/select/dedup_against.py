"""Drop the rows that repeat an older table's, or one another's: what a batch adds to what is there already.

The older tables' rows are all there to stay, whatever they repeat. Behind them the table is walked in its order: a row that is
alike to an older one, or to a kept one before it, is dropped and names it.
"""

import numpy as np
import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import reads
from attar.core.table import Table, need
from attar.similarity.jaccard import find_repeats
from attar.similarity.shingles import Shingles, Unit, shingles

_NONE = -1


@reads(lambda knobs: (knobs["column"],))
def keep_new(
    table: Table, *older: Table, column: str = "prompt", threshold: float | None = 0.7, words: int = 3, unit: Unit = "words"
) -> Table:
    """{column} of all tables -> verdicts on the first: alike is equal text, whatever its case and spacing, or nearly so.

    Nearly is a Jaccard of at least `threshold` of the sequences of so many words (or characters, by `unit`); None: not at all.
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise RecipeError(
            f"threshold {threshold} is no Jaccard to ask for: it lies above 0 and up to 1; null drops equal text only"
        )
    for one in (table, *older):
        need(one, "id", column)
    rows = pl.concat([one.select("id", pl.col(column).alias("text")) for one in (*older, table)]).with_row_index("place")
    before = len(rows) - len(table)
    said = rows.drop_nulls("text").with_columns(
        pl.col("text").str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()
    )
    old = int((said["place"] < before).sum())
    if threshold is None:
        by, jaccard = _first_equal(said["text"])
    else:
        by, jaccard = _first_similar(shingles(said["text"], size=words, unit=unit), old, threshold)
    return _verdicts(rows[before:], said, by, jaccard, old, column)


def _first_equal(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Of each row the first with its text, or -1 where it is the first."""
    numbered = texts.hash(seed=7).alias("text").to_frame().with_row_index("row")
    first = numbered.select(pl.col("row").first().over("text"))["row"].to_numpy().astype(np.int64)
    return np.where(first < np.arange(len(first)), first, _NONE), np.ones(len(first))


def _first_similar(found: Shingles, old: int, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Of each row behind the `old` the old or kept one that it is alike to, or -1; and their Jaccard.

    A walk keeps no old row that is like another. Those that it drops head a further walk over what is left, until none is left.
    """
    total = len(found.sizes)
    by, jaccard = np.full(total, _NONE), np.full(total, np.nan)
    heads, rest = np.arange(old), np.arange(old, total)
    while True:
        walked = np.concatenate((heads, rest))
        crowds, share = find_repeats(found.of(walked), threshold)
        again = heads[(crowds[: len(heads)] >= 0) & (share[: len(heads)] < 1)]  # an equal one crowds out the same rows
        mine, share = crowds[len(heads) :], share[len(heads) :]
        gone = (mine >= 0) & ((mine < len(heads)) | (len(again) == 0))
        by[rest[gone]], jaccard[rest[gone]] = walked[mine[gone]], share[gone]
        if not len(again):
            return by, jaccard
        heads, rest = again, rest[~gone]


def _verdicts(rows: Table, said: Table, by: np.ndarray, jaccard: np.ndarray, old: int, column: str) -> Table:
    """Verdicts on the table's rows, of which `said` are those with a text; `by` has places in `said`."""
    told = said.with_columns(pl.Series("by", by), pl.Series("jaccard", np.floor(jaccard * 100) / 100))[old:]
    crowd = np.maximum(told["by"].to_numpy(), 0)
    told = told.select(
        "place",
        (pl.col("by") < 0).alias("kept"),
        pl.Series("because", said["id"].gather(crowd)),
        pl.Series("same", said["text"].gather(crowd)) == pl.col("text"),
        pl.when(pl.col("by") < old).then(pl.lit(f"an earlier {column}")).otherwise(pl.lit(f"a {column}")).alias("whom"),
        "jaccard",
    )
    found = rows.join(told, on="place", how="left", maintain_order="left")
    return found.select(
        "id",
        pl.col("kept").fill_null(False),
        pl.when(pl.col("kept").is_null())
        .then(pl.lit(f"no {column}"))
        .when("kept")
        .then(None)
        .when("same")
        .then(pl.format("repeats {}", "whom"))
        .otherwise(pl.format("nearly repeats {} (Jaccard {})", "whom", "jaccard"))
        .alias("reason"),
        pl.when("kept").then(None).otherwise("because").alias("because"),
    )

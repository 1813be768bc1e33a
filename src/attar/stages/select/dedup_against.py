"""Drop the rows that duplicate a row of an older table, or one another: what remains is what a batch adds.

All rows of the older tables stay, even duplicates. The table's rows are then visited in order: a row that is similar to an
older row, or to a row kept before it, is dropped and names that row.
"""

import numpy as np
import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import reads
from attar.core.table import Table, need
from attar.core.text import normalise_column
from attar.similarity.jaccard import find_repeats
from attar.similarity.shingles import Shingles, Unit, shingles

_NONE = -1


@reads(lambda knobs: (knobs["column"],))
def keep_new(
    table: Table, *older: Table, column: str = "prompt", threshold: float | None = 0.7, words: int = 3, unit: Unit = "words"
) -> Table:
    """{column} of all tables -> verdicts on the first: similar means equal text, ignoring case and spacing, or near duplicates.

    Near duplicates have a Jaccard similarity >= `threshold` of their n-grams of `words` words (or characters, by `unit`). With
    `threshold` None only equal texts are dropped.
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise RecipeError(f"threshold must be a Jaccard similarity in (0, 1], got {threshold}; null drops equal texts only")
    for one in (table, *older):
        need(one, "id", column)
    rows = pl.concat([one.select("id", pl.col(column).alias("text")) for one in (*older, table)]).with_row_index("place")
    before = len(rows) - len(table)
    texts = rows.drop_nulls("text").with_columns(normalise_column(pl.col("text")))
    old = int((texts["place"] < before).sum())
    if threshold is None:
        by, jaccard = _first_equal(texts["text"])
    else:
        by, jaccard = _first_similar(shingles(texts["text"], size=words, unit=unit), old, threshold)
    return _verdicts(rows[before:], texts, by, jaccard, old, column)


def _first_equal(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """For each row the first row with the same text, or -1 if it is the first."""
    numbered = texts.hash(seed=7).alias("text").to_frame().with_row_index("row")
    first = numbered.select(pl.col("row").first().over("text"))["row"].to_numpy().astype(np.int64)
    return np.where(first < np.arange(len(first)), first, _NONE), np.ones(len(first))


def _first_similar(sets: Shingles, old: int, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """For each row after the `old` ones the old or kept row that it duplicates, or -1; and their Jaccard similarity.

    One pass drops old rows that duplicate one another. Those start the next pass over the remaining rows, until none is left.
    """
    total = len(sets.sizes)
    by, jaccard = np.full(total, _NONE), np.full(total, np.nan)
    heads, rest = np.arange(old), np.arange(old, total)
    while True:
        order = np.concatenate((heads, rest))
        duplicates, similarity = find_repeats(sets.of(order), threshold)
        # old rows that this pass dropped; one with an equal text needs no further pass: it has the same duplicates
        again = heads[(duplicates[: len(heads)] >= 0) & (similarity[: len(heads)] < 1)]
        duplicates, similarity = duplicates[len(heads) :], similarity[len(heads) :]
        dropped = (duplicates >= 0) & ((duplicates < len(heads)) | (len(again) == 0))
        by[rest[dropped]] = order[duplicates[dropped]]
        jaccard[rest[dropped]] = similarity[dropped]
        if not len(again):
            return by, jaccard
        heads, rest = again, rest[~dropped]


def _verdicts(rows: Table, texts: Table, by: np.ndarray, jaccard: np.ndarray, old: int, column: str) -> Table:
    """Verdicts on the table's rows; `texts` has the rows that have a text, and `by` has positions in it."""
    found = texts.with_columns(pl.Series("by", by), pl.Series("jaccard", np.floor(jaccard * 100) / 100))[old:]
    original = np.maximum(found["by"].to_numpy(), 0)
    found = found.select(
        "place",
        (pl.col("by") < 0).alias("kept"),
        pl.Series("because", texts["id"].gather(original)),
        pl.Series("same", texts["text"].gather(original)) == pl.col("text"),
        pl.when(pl.col("by") < old).then(pl.lit(f"an earlier {column}")).otherwise(pl.lit(f"a {column}")).alias("whom"),
        "jaccard",
    )
    whole = rows.join(found, on="place", how="left", maintain_order="left")
    return whole.select(
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

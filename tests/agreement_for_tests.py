"""Scores of judges beside gold labels."""

import polars as pl
from hypothesis import strategies as st


def table(*rows):
    """Rows of prompt, score and gold label."""
    schema = {"parent": pl.String, "score": pl.Float64, "label": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").with_row_index("id").with_columns(pl.col("id").cast(pl.String))


def line(out, name):
    return out.row(by_predicate=pl.col("id") == name, named=True)


HAND = table(("p", 1, 1), ("p", 2, 3), ("p", 3, 2), ("q", 5, 4), ("q", 5, 6))


LINES = st.lists(st.tuples(st.sampled_from("pqr"), st.integers(0, 4), st.integers(0, 3)), min_size=2, max_size=24)


def sure(*rows):
    return pl.DataFrame(rows, schema={"id": pl.String, "score_chances": pl.List(pl.Float64), "label": pl.Float64}, orient="row")


SURE = sure(
    ("a", [0.1, 0.7, 0.2], 1),
    ("b", [0.35, 0.05, 0.1], 2),  # of what they hold together, which is a half, the first has 0.7
    ("c", [0.0, 0.05, 0.95], 2),
    ("d", None, 1),
    ("e", [0.2, 0.2, 0.6], None),
)

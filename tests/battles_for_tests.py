"""Battles of models, and what ratings make of them."""

import polars as pl


def battles(*rows, **more):
    """Rows of model, opponent and preference; each is a question of its own."""
    table = pl.DataFrame(rows, schema=["model", "opponent", "preference"], orient="row", strict=False)
    ids = [f"b{i}" for i in range(len(rows))]
    return table.with_columns(id=pl.Series(ids), question=pl.Series(ids), **{k: pl.Series(v) for k, v in more.items()})


def ratings_of(out, figure="log_odds"):
    return dict(out.filter(pl.col("figure") == figure).select("model", "value").iter_rows())

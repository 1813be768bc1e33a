"""Which rows are held back for testing: decided by the name of the row that they all come from, and by nothing else.

Rows that share a parent, or whose conversations open with the same text, are one group and fall on one side, in all results
alike. So more rows do not move those that are there, unless a new one joins two groups. Only hashes of texts are held.
"""

from collections.abc import Iterable, Mapping

import polars as pl

from attar.core.fingerprint import seed_of
from attar.core.table import Table
from attar.core.text import normalise_column

_INNER = 1 << 63


def keys(table: Table) -> Table:
    """messages -> own, above, opening, root: hashes of what ties a row to others, and a number for where it comes from."""
    asked = pl.col("messages").list.eval(pl.element().filter(pl.element().struct.field("role") == "user")).list.first()
    opening = normalise_column(asked.struct.field("content"))
    own = table["id"].cast(pl.String)
    above = table["parent"].cast(pl.String).fill_null(own) if "parent" in table.columns else own
    return table.select(
        own.hash(seed=3).alias("own"),
        above.hash(seed=3).alias("above"),
        pl.coalesce(opening, own).hash(seed=11).alias("opening"),
        pl.Series("root", [seed_of("dataset.root", name) for name in above], dtype=pl.UInt64),
    )


def sides(results: Mapping[str, Iterable[Table]], test: float, seed: int) -> dict[str, pl.Series]:
    """Of each result's keys, piece by piece, whether the rows are held back, in their order."""
    pieces = {name: pl.concat(found) for name, some in results.items() if (found := list(some))}
    if not pieces:
        return {}
    groups = _groups(pl.concat(pieces.values()))
    names = groups.unique()
    held = names.filter(pl.Series([seed_of("dataset.split", seed, name) < test * 2**63 for name in names], dtype=pl.Boolean))
    told, start, out = groups.is_in(held.implode()), 0, {}
    for name, some in pieces.items():
        out[name] = told[start : start + len(some)]
        start += len(some)
    return out


def _groups(rows: Table) -> pl.Series:
    """Of each row the number of its group: the least root in it, of rows that come from another last."""
    inner = (pl.col("above") != pl.col("own")) & pl.col("above").is_in(rows["own"].implode())
    codes = rows.select((pl.col("root") + inner.cast(pl.UInt64) * _INNER).alias("code")).with_row_index("row")
    shared = _shared(rows)
    while len(shared):  # a group's least number spreads along what its rows share, until nothing moves
        told = shared.join(codes, on="row").with_columns(pl.col("code").min().over("node"))
        spread = codes.update(told.group_by("row").agg(pl.col("code").min()), on="row", how="left")
        if spread["code"].equals(codes["code"]):
            break
        codes = spread
    return codes["code"]


def _shared(rows: Table) -> Table:
    """What each row has in common with another: its name, its parent, its opening. What it has alone is left out."""
    row = rows.with_row_index("row")
    above = row.filter(pl.col("above") != pl.col("own")).select("row", pl.col("above").alias("node"))
    own, opening = (row.select("row", pl.col(name).alias("node")) for name in ("own", "opening"))
    nodes = pl.concat([own, above, opening])
    return nodes.filter(pl.col("node").is_duplicated())

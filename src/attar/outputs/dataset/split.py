"""Split rows into train and test by a hash of the row that each group descends from.

Rows that share a parent, or whose conversations begin with the same text, form one group (a connected component). A group is on
one side of the split, in all results. So new rows do not move existing ones, unless they join two groups. Only hashes of texts
are kept in memory.
"""

from collections.abc import Iterable, Mapping

import polars as pl

from attar.core.fingerprint import seed_of
from attar.core.table import Table
from attar.core.text import normalise_column

_INNER = 1 << 63


def group_keys(table: Table) -> Table:
    """messages -> own, above, opening, root: hashes of id, parent and first user turn, and the hash that decides the split."""
    first_turn = pl.col("messages").list.eval(pl.element().filter(pl.element().struct.field("role") == "user")).list.first()
    opening = normalise_column(first_turn.struct.field("content"))
    own = table["id"].cast(pl.String)
    above = table["parent"].cast(pl.String).fill_null(own) if "parent" in table.columns else own
    return table.select(
        own.hash(seed=3).alias("own"),
        above.hash(seed=3).alias("above"),
        pl.coalesce(opening, own).hash(seed=11).alias("opening"),
        pl.Series("root", [seed_of("dataset.root", name) for name in above], dtype=pl.UInt64),
    )


def assign_test_rows(results: Mapping[str, Iterable[Table]], test: float, seed: int) -> dict[str, pl.Series]:
    """For each result, given its keys in pieces, a mask of its rows in order: True for test rows."""
    keys = {name: pl.concat(tables) for name, pieces in results.items() if (tables := list(pieces))}
    if not keys:
        return {}
    groups = _group_codes(pl.concat(keys.values()))
    codes = groups.unique()
    in_test = pl.Series([seed_of("dataset.split", seed, code) < test * 2**63 for code in codes], dtype=pl.Boolean)
    mask = groups.is_in(codes.filter(in_test).implode())
    start = 0
    masks = {}
    for name, table in keys.items():
        masks[name] = mask[start : start + len(table)]
        start += len(table)
    return masks


def _group_codes(rows: Table) -> pl.Series:
    """The group of each row: the smallest root in its connected component; roots of rows with a parent in the set sort last."""
    inner = (pl.col("above") != pl.col("own")) & pl.col("above").is_in(rows["own"].implode())
    codes = rows.select((pl.col("root") + inner.cast(pl.UInt64) * _INNER).alias("code")).with_row_index("row")
    shared = _shared_keys(rows)
    while len(shared):  # label propagation: rows with a common key take the smallest code, until no code changes
        by_key = shared.join(codes, on="row").with_columns(pl.col("code").min().over("node"))
        updated = codes.update(by_key.group_by("row").agg(pl.col("code").min()), on="row", how="left")
        if updated["code"].equals(codes["code"]):
            break
        codes = updated
    return codes["code"]


def _shared_keys(rows: Table) -> Table:
    """row, node: the ids, parents and openings of each row that at least one other row has too."""
    row = rows.with_row_index("row")
    above = row.filter(pl.col("above") != pl.col("own")).select("row", pl.col("above").alias("node"))
    own, opening = (row.select("row", pl.col(name).alias("node")) for name in ("own", "opening"))
    nodes = pl.concat([own, above, opening])
    return nodes.filter(pl.col("node").is_duplicated())

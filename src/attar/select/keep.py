"""From verdicts to rows: the kept rows of a table."""

import polars as pl

from attar.stage import rowwise
from attar.table import Table


@rowwise
def rows(table: Table, verdicts: Table) -> Table:
    """any, and verdicts on them -> the kept rows, unchanged."""
    return table.join(verdicts.filter(pl.col("kept")).select("id"), on="id", how="semi", maintain_order="left")

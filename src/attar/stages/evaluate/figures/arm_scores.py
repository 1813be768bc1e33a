"""The scores of arms that sat the same exam, each with its interval, and the first one's lead over it."""

from collections.abc import Sequence

import polars as pl

from attar.core.stage import reads, role
from attar.core.table import Table
from attar.statistics.intervals import paired_difference, wilson


@role("exam")
@reads("correct", "level")
def compare(*tables: Table, arms: Sequence[str]) -> Table:
    """correct, level of each arm -> arm, level, accuracy, low, high, count, and the first arm's lead over it."""
    lines = []
    for arm, table in zip(arms, tables, strict=True):
        for group in ("all", *dict.fromkeys(table["level"])):
            right = (table if group == "all" else table.filter(pl.col("level") == group)).sort("id")["correct"].fill_null(False)
            lead = tables[0] if group == "all" else tables[0].filter(pl.col("level") == group)
            gap = paired_difference(lead.sort("id")["correct"].fill_null(False).to_list(), right.to_list())
            low, high = wilson(int(right.sum()), len(right))
            line = {"arm": arm, "level": group, "accuracy": right.mean(), "low": low, "high": high, "count": len(right)}
            lines.append(line | {"lead": gap[0], "lead_low": gap[1], "lead_high": gap[2]})
    out = pl.DataFrame(lines)
    return out.select(pl.format("{}/{}", "arm", "level").alias("id"), *out.columns)

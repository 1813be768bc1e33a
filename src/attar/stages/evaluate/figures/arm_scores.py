"""The accuracy of arms that took the same exam, with intervals, and the lead of the first arm over each.

Accuracies have Wilson's interval, leads the bootstrap interval of paired differences over questions.
"""

from collections.abc import Sequence

import polars as pl

from attar.core.stage import reads, role
from attar.core.table import Table
from attar.statistics.bootstrap import difference
from attar.statistics.intervals import wilson

_DRAWS = 4000


@role("exam")
@reads("correct", "level")
def compare(*tables: Table, arms: Sequence[str]) -> Table:
    """correct, level of each arm -> arm, level, accuracy, low, high, count, and the first arm's lead over it."""
    lines = []
    for arm, table in zip(arms, tables, strict=True):
        for level in ("all", *dict.fromkeys(table["level"])):
            right, first = _correct(table, level), _correct(tables[0], level)
            lead, lead_low, lead_high = difference(first.to_numpy(), right.to_numpy(), range(len(right)), draws=_DRAWS)
            if lead_low is None:  # a single question: the interval is the whole range
                lead_low, lead_high = -1.0, 1.0
            low, high = wilson(int(right.sum()), len(right))
            line = {"arm": arm, "level": level, "accuracy": right.mean(), "low": low, "high": high, "count": len(right)}
            lines.append(line | {"lead": lead, "lead_low": lead_low, "lead_high": lead_high})
    out = pl.DataFrame(lines)
    return out.select(pl.format("{}/{}", "arm", "level").alias("id"), *out.columns)


def _correct(table: Table, level: str) -> pl.Series:
    """Whether each question of a level is answered correctly, in the order of the ids; no verdict counts as wrong."""
    rows = table if level == "all" else table.filter(pl.col("level") == level)
    return rows.sort("id")["correct"].fill_null(False)

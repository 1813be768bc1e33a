"""Who judged, how, and when: four columns on every row that a judge stood behind, and on the figures made of such rows.

judge   the engine's name      asked   a hash of the words it was asked in (`ours:` if ours)
order   how it was shown what it compared (null where it compared nothing)      date   the day, in UTC
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import polars as pl

from attar.core.table import Table
from attar.engines.base import Spec

COLUMNS = ("judge", "asked", "order", "date")


def add_provenance(table: Table, judge: Spec, *, asked: str, order: str | None = None, date: str | None = None) -> Table:
    """any -> judge, asked, order, date: that this judge was asked these words on this day (today, unless given)."""
    said = {"judge": judge.name, "asked": asked, "order": order, "date": date or datetime.now(UTC).date().isoformat()}
    return table.with_columns(pl.lit(value, dtype=pl.String).alias(name) for name, value in said.items())


def provenance_of(rows: Table) -> Mapping[str, str | None]:
    """What figures of these rows are to say of their judge: the columns that are there, all their values."""
    found: dict[str, str | None] = {}
    for name in (name for name in COLUMNS if name in rows.columns):
        values = sorted(rows[name].drop_nulls().unique().to_list())
        ends = [values[0], values[-1]] if name == "date" and len(values) > 1 else values
        found[name] = (" to " if name == "date" else ", ").join(ends) or None
    return found


def copy_provenance(figures: Table, rows: Table) -> Table:
    """The figures, with what their rows say of their judge."""
    return figures.with_columns(pl.lit(value, dtype=pl.String).alias(name) for name, value in provenance_of(rows).items())

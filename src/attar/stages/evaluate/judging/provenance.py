"""Who judged, how, and when: four columns on every judged row, and on figures computed from such rows.

judge   the engine's name      asked   a hash of the judge's prompt (it starts with `ours:` if it is one of ours)
order   the order in which answers were shown (null without a comparison)      date   the day, in UTC
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import polars as pl

from attar.core.table import Table
from attar.engines.base import Spec

COLUMNS = ("judge", "asked", "order", "date")


def add_provenance(table: Table, judge: Spec, *, asked: str, order: str | None = None, date: str | None = None) -> Table:
    """any -> judge, asked, order, date: this judge, this prompt hash, on this day (by default today)."""
    values = {"judge": judge.name, "asked": asked, "order": order, "date": date or datetime.now(UTC).date().isoformat()}
    return table.with_columns(pl.lit(value, dtype=pl.String).alias(name) for name, value in values.items())


def provenance_of(rows: Table) -> Mapping[str, str | None]:
    """The provenance of figures computed from these rows: all values of each provenance column."""
    provenance: dict[str, str | None] = {}
    for name in (name for name in COLUMNS if name in rows.columns):
        values = sorted(rows[name].drop_nulls().unique().to_list())
        ends = [values[0], values[-1]] if name == "date" and len(values) > 1 else values
        provenance[name] = (" to " if name == "date" else ", ").join(ends) or None
    return provenance


def copy_provenance(figures: Table, rows: Table) -> Table:
    """Add the provenance of the rows to the figures computed from them."""
    return figures.with_columns(pl.lit(value, dtype=pl.String).alias(name) for name, value in provenance_of(rows).items())

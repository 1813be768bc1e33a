"""What preference pairs could teach besides what is better: their audit, how far scores lead, which one is longer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from attar.core.table import Table
from attar.outputs.report import charts, distributions

_SHARES = "share where"
_EACH = 2


@dataclass(frozen=True, slots=True)
class Pairs:
    """The audit's lines, the drawings there are by title, why prompts gave no pair, and some pairs to read."""

    audit: Sequence[tuple[str, str]]
    drawings: Mapping[str, charts.Drawing]
    unfit: Sequence[tuple[str, int]]
    read: Sequence[Mapping[str, Any]]


def pairs(audit: Table | None, drawn: Table | None) -> Pairs | None:
    """`pair.audit`'s table and the pairs (chosen, rejected, margin, unfit) -> what there is to tell of them."""
    lines = [(row["id"], _figure(row)) for row in _lines(audit)]
    if drawn is None or drawn.is_empty() or not {"chosen", "rejected"} <= set(drawn.columns):
        return Pairs(lines, {}, [], []) if lines else None
    whole = drawn.drop_nulls(["chosen", "rejected"])
    measured = whole.select("id", lead=_chars("chosen") - _chars("rejected"), margin=_margin(whole))
    shown = {"how much longer the chosen one is, characters": "lead", "how far its score leads": "margin"}
    found = {title: _histogram(measured.drop_nulls(column), column, title) for title, column in shown.items()}
    return Pairs(lines, {title: one for title, one in found.items() if one}, _unfit(drawn), _read(whole))


def _lines(audit: Table | None) -> list[dict[str, Any]]:
    if audit is None or not {"id", "value", "count"} <= set(audit.columns):
        return []
    return audit.drop_nulls("value").to_dicts()


def _figure(row: Mapping[str, Any]) -> str:
    if row["id"] in ("prompts", "pairs"):
        return f"{row['value']:,.0f}"
    return f"{row['value']:.1%} of {row['count']:,}" if row["id"].startswith(_SHARES) else f"{row['value']:.2f}"


def _chars(column: str) -> pl.Expr:
    return pl.col(column).str.len_chars().cast(pl.Int64)


def _margin(table: Table) -> pl.Expr:
    return pl.col("margin").cast(pl.Float64) if "margin" in table.columns else pl.lit(None, dtype=pl.Float64)


def _histogram(table: Table, column: str, title: str) -> charts.Drawing | None:
    """All pairs are kept ones here."""
    made = distributions.spread(column, table.select(value=column, kept=pl.lit(True)))
    return made.drawing | {"description": f"Histogram: {title}"} if made else None


def _unfit(table: Table) -> list[tuple[str, int]]:
    if "unfit" not in table.columns:
        return []
    counted = table.drop_nulls("unfit").group_by("unfit").len().sort(["len", "unfit"], descending=[True, False])
    return list(counted.iter_rows())


def _read(table: Table) -> list[dict[str, Any]]:
    """The pairs with the widest and the narrowest margin; the first ones where nothing scored them."""
    columns = [name for name in ("id", "prompt", "chosen", "rejected", "margin") if name in table.columns]
    if "margin" in table.columns and table["margin"].null_count() < len(table):
        ranked = table.drop_nulls("margin").sort(["margin", "id"], descending=[True, False])
        table = pl.concat([ranked.head(_EACH), ranked[_EACH:].tail(_EACH)])
    return table.head(2 * _EACH).select(columns).to_dicts()

"""What preference pairs may teach besides quality: their audit, the score margins, and the differences in length."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from attar.core.table import Table
from attar.outputs.report import charts, distributions

_SHARE_PREFIX = "share where"
_PER_END = 2


@dataclass(frozen=True, slots=True)
class Pairs:
    """The audit's lines, the charts by title, why prompts have no pair, and some pairs to read."""

    audit: Sequence[tuple[str, str]]
    drawings: Mapping[str, charts.Drawing]
    unfit: Sequence[tuple[str, int]]
    read: Sequence[Mapping[str, Any]]


def pairs(audit: Table | None, table: Table | None) -> Pairs | None:
    """`pair.audit`'s table and the pairs (chosen, rejected, margin, unfit) -> the section on pairs; None without both."""
    lines = [(row["id"], _format_figure(row)) for row in _audit_rows(audit)]
    if table is None or table.is_empty() or not {"chosen", "rejected"} <= set(table.columns):
        return Pairs(lines, {}, [], []) if lines else None
    complete = table.drop_nulls(["chosen", "rejected"])
    measured = complete.select("id", lead=_chars("chosen") - _chars("rejected"), margin=_margin(complete))
    columns = {"chosen minus rejected length, characters": "lead", "score margin": "margin"}
    drawings = {title: _histogram(measured.drop_nulls(column), column, title) for title, column in columns.items()}
    return Pairs(
        lines,
        {title: drawing for title, drawing in drawings.items() if drawing},
        _unfit_reasons(table),
        _pairs_to_read(complete),
    )


def _audit_rows(audit: Table | None) -> list[dict[str, Any]]:
    if audit is None or not {"id", "value", "count"} <= set(audit.columns):
        return []
    return audit.drop_nulls("value").to_dicts()


def _format_figure(row: Mapping[str, Any]) -> str:
    if row["id"] in ("prompts", "pairs"):
        return f"{row['value']:,.0f}"
    return f"{row['value']:.1%} of {row['count']:,}" if row["id"].startswith(_SHARE_PREFIX) else f"{row['value']:.2f}"


def _chars(column: str) -> pl.Expr:
    return pl.col(column).str.len_chars().cast(pl.Int64)


def _margin(table: Table) -> pl.Expr:
    return pl.col("margin").cast(pl.Float64) if "margin" in table.columns else pl.lit(None, dtype=pl.Float64)


def _histogram(table: Table, column: str, title: str) -> charts.Drawing | None:
    """A histogram of one column; all pairs count as kept."""
    distribution = distributions.column_distribution(column, table.select(value=column, kept=pl.lit(True)))
    return distribution.drawing | {"description": f"Histogram: {title}"} if distribution else None


def _unfit_reasons(table: Table) -> list[tuple[str, int]]:
    if "unfit" not in table.columns:
        return []
    counted = table.drop_nulls("unfit").group_by("unfit").len().sort(["len", "unfit"], descending=[True, False])
    return list(counted.iter_rows())


def _pairs_to_read(table: Table) -> list[dict[str, Any]]:
    """The pairs with the largest and smallest margins; the first pairs if there are no margins."""
    columns = [name for name in ("id", "prompt", "chosen", "rejected", "margin") if name in table.columns]
    if "margin" in table.columns and table["margin"].null_count() < len(table):
        ranked = table.drop_nulls("margin").sort(["margin", "id"], descending=[True, False])
        table = pl.concat([ranked.head(_PER_END), ranked[_PER_END:].tail(_PER_END)])
    return table.head(2 * _PER_END).select(columns).to_dicts()

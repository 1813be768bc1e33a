"""Statistics of a written dataset, computed from its files by streaming: lengths, scores and labels."""

import re
from pathlib import Path
from typing import Any

import polars as pl

_SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
_MOST_LABELS = 24
_NO_LABELS = ("id", "parent", "instruction", "response", "reasoning")


def figures(files: list[Path], form: str) -> dict[str, Any]:
    """Quantiles of the numeric columns and of the texts' lengths, and the counts of labels."""
    table = pl.scan_parquet(files)
    schema = table.collect_schema()
    lengths = table.select(**_lengths(form)).collect(engine="streaming")
    numbers = {name: _quantiles(lengths[name]) for name in lengths.columns}
    for name, kind in schema.items():
        if kind.is_numeric():  # one column at a time: ten million numbers take 80 MB
            numbers[name] = _quantiles(table.select(name).collect(engine="streaming")[name])
    labels = [name for name, kind in schema.items() if kind in (pl.String, pl.Boolean) and name not in _NO_LABELS]
    counted = {name: _counts(table, name) for name in labels}
    return {
        "numbers": {name: summary for name, summary in numbers.items() if summary["count"]},
        "labels": {name: counts for name, counts in counted.items() if counts},
    }


def _lengths(form: str) -> dict[str, pl.Expr]:
    """The lengths of a row's texts in characters, and its number of turns."""
    talk = "messages" if form == "sft" else "prompt"
    texts = (
        {"last answer": "messages"}
        if form == "sft"
        else {"prompt's last turn": "prompt"} | {name: name for name in ("chosen", "rejected")}
    )
    lengths = {
        f"characters, {label}": pl.col(column).list.last().struct.field("content").str.len_chars()
        for label, column in texts.items()
    }
    whole = pl.col(talk).list.eval(pl.element().struct.field("content").str.len_chars()).list.sum()
    return {"turns": pl.col(talk).list.len(), f"characters, {talk}": whole, **lengths}


def _quantiles(values: pl.Series) -> dict[str, float | int | None]:
    real = values.filter(values.is_finite()).sort() if values.dtype.is_float() else values.drop_nulls().sort()
    shares = {f"{share:.0%}": real.quantile(share, "nearest") for share in _SHARES}
    mean = float(real.cast(pl.Float64).mean() or 0.0)  # type: ignore[arg-type] # of numbers it is a number
    return {"count": len(real), "mean": mean, "least": real.min(), **shares, "most": real.max()}  # type: ignore[dict-item] # likewise


def _counts(table: pl.LazyFrame, column: str) -> dict[str, int]:
    """The count of each label; empty if the column has too many distinct values to be labels."""
    most_common = table.group_by(column).len().sort("len", column, descending=[True, False]).head(_MOST_LABELS + 1)
    counted = most_common.collect(engine="streaming")
    if (len(counted) > _MOST_LABELS and column != "language") or not counted[column].drop_nulls().len():
        return {}
    return {
        "(none)" if label is None else str(label).lower() if label in (True, False) else label: n for label, n in counted.rows()
    }


def languages(labels: dict[str, int]) -> list[str]:
    """The codes of the languages of at least 1% of the rows, most common first."""
    codes = {label.lower(): count for label, count in labels.items() if re.fullmatch(r"[A-Za-z]{2,3}", label)}
    return [code for code, count in codes.items() if count >= 0.01 * sum(labels.values())]

"""How far a judge can be trusted: whether its scores order rows as gold labels do, and whether they mean what they say.

A row counts if it has both; how many have no score is told beside. Intervals (95%) draw whole prompts anew, for answers to one
prompt are alike; a share of none or all has Wilson's, over prompts. Nothing is sampled: every pair of rows counts.
"""

from collections.abc import Mapping, Sequence
from math import isfinite, pi
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs

from attar.core.errors import DataError, RecipeError
from attar.core.stage import reads, role
from attar.core.table import Table, need
from attar.statistics.bootstrap import bootstrap_interval
from attar.statistics.concordance import SHARES, AgreementFigure, ScoredRows, figures
from attar.statistics.intervals import wilson


def _reads(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    return (knobs["score"], knobs["gold"], *([knobs["of"]] if knobs["of"] else ()))


@role("exam")
@reads(_reads)
def measure(
    table: Table,
    *,
    score: str = "score",
    gold: str = "label",
    of: str | None = "parent",
    bootstrap: int = 1000,
    seed: int = 0,
) -> Table:
    """{score}, {gold}, {of} -> id (the figure), value, low, high, count: how well a score agrees with gold labels.

    Pairs are made, and the best is picked, within one `of`; without it pairs are made of all rows, and there is no best.
    """
    rows = _labelled_rows(table, score, gold, of)
    drawn = _bootstrap_figures(rows.drop_nulls("score"), of, bootstrap, seed)
    lines = [{"id": name, **_summary(found, share=name in SHARES)} for name, found in drawn.items()]
    return _figures_table([*lines, {"id": "unscored", **_unscored_share(rows)}])


@role("exam")
@reads(_reads)
def side_by_side(
    *tables: Table,
    names: Sequence[str],
    score: str = "score",
    gold: str = "label",
    of: str | None = "parent",
    bootstrap: int = 1000,
    seed: int = 0,
) -> Table:
    """`measure` of several scores on the rows that all of them scored -> id, name, figure, value, low, high, count, over_first.

    `over_first`, with its interval by the same draws, is the value less the first score's. Rows are matched by id.
    """
    if not tables or len(names) != len(tables) or len(set(names)) < len(names):
        raise RecipeError(f"{len(tables)} tables, and the names {list(names)}: each table needs one, and no two the same")
    sides = [_labelled_rows(table, score, gold, of) for table in tables]
    shared = _shared_ids(sides, names)
    first: dict[str, AgreementFigure] = {}
    lines = []
    for name, side in zip(names, sides, strict=True):
        drawn = _bootstrap_figures(side.join(shared, on="id", how="semi", maintain_order="left"), of, bootstrap, seed)
        first = first or drawn
        for figure, found in drawn.items():
            told = _summary(found, share=figure in SHARES) | _over_first(found, first[figure])
            lines.append({"name": name, "figure": figure, **told})
        lines.append({"name": name, "figure": "unscored", **_unscored_share(side)})
    over = ("over_first", "over_first_low", "over_first_high")
    out = _figures_table([{"id": f"{line['name']}/{line['figure']}", **dict.fromkeys(over), **line} for line in lines])
    return out.select("id", "name", "figure", "value", "low", "high", "count", *over)


@role("exam")
@reads(lambda knobs: (knobs["score"], knobs["gold"]))
def reliability(
    table: Table, *, score: str = "score", gold: str = "label", bins: int = 10, low: float = 0, high: float = 10
) -> Table:
    """{score}, {gold} -> id, low, high, count, score, gold, gap, noise: mean score and mean gold of rows with like scores.

    The row `all` has as its gap the expected calibration error: the bins' gaps by their share of rows. `noise` is the gap
    that so few rows would show of a score that is right.
    """
    rows = _labelled_rows(table, score, gold, None).drop_nulls("score")
    if not isfinite(low) or not isfinite(high) or low >= high:
        raise RecipeError(f"from {low} to {high} there is no room for bins")
    outside = rows.filter((pl.col("score") < low) | (pl.col("score") > high))
    if len(outside):
        name, value = outside.row(0, named=True)["id"], outside["score"][0]
        raise DataError(f"row {name!r} has {score} {value:g}, which is not from {low:g} to {high:g}: set low and high")
    return _calibration_curve(rows["score"].to_numpy(), rows["gold"].to_numpy(), (low, high), bins)


@role("exam")
@reads(lambda knobs: (knobs["chances"], knobs["gold"]))
def sureness(
    table: Table, *, labels: Sequence[float], chances: str = "score_chances", gold: str = "label", bins: int = 10
) -> Table:
    """{chances}, {gold} -> id, low, high, count, chance, right, gap, noise: is what a judge holds for 70% sure right so often?

    Chances are those of `labels`, in their order, and count by their share of what they hold together. A row is right if
    its likeliest label is its gold label. The row `all` has as its gap the expected calibration error.
    """
    need(table, chances, gold)
    if not isinstance(table[chances].dtype, pl.List):
        raise DataError(f"column {chances!r} is {table[chances].dtype}, not lists of chances")
    if not len(labels):
        raise RecipeError("without labels nothing can be right: name the labels that the chances belong to, in their order")
    rows = table.select("id", chances=chances, gold=_number_column(table, gold)).drop_nulls()
    known = np.asarray(labels, dtype=float)
    held = _label_probabilities(rows, chances, len(known))
    truth = rows["gold"].to_numpy()
    if len(strange := np.flatnonzero(~np.isin(truth, known))):
        name, value = rows["id"][int(strange[0])], truth[strange[0]]
        raise DataError(
            f"row {name!r} has {gold} {value:g}, which is none of the labels ({', '.join(f'{x:g}' for x in known)})"
        )
    right = known[held.argmax(axis=1)] == truth
    out = _calibration_curve(held.max(axis=1), right.astype(float), (0.0, 1.0), bins)
    return out.rename({"score": "chance", "gold": "right"})


def _summary(found: AgreementFigure, *, share: bool) -> dict[str, Any]:
    """A figure with its interval: none where one prompt alone had a say, Wilson's where draws cannot differ."""
    if (value := _finite_or_none(found.values[0])) is None:
        return {"value": None, "low": None, "high": None, "count": found.count}
    low, high = bootstrap_interval(found.values[1:], found.prompts)
    if share and value in (0.0, 1.0):
        low, high = wilson(round(value) * found.prompts, found.prompts)
    return {"value": value, "low": low, "high": high, "count": found.count}


def _over_first(found: AgreementFigure, first: AgreementFigure) -> dict[str, Any]:
    gaps = found.values - first.values
    low, high = bootstrap_interval(gaps[1:], found.prompts)
    return {"over_first": _finite_or_none(gaps[0]), "over_first_low": low, "over_first_high": high}


def _finite_or_none(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _figures_table(lines: Sequence[Mapping[str, Any]]) -> Table:
    texts = {name: pl.String for name in ("id", "name", "figure") if name in lines[0]}
    schema = {name: texts.get(name, pl.Int64 if name == "count" else pl.Float64) for name in lines[0]}
    return pl.DataFrame(list(lines), schema=schema)


def _number_column(table: Table, column: str) -> pl.Expr:
    """A column as numbers; what is not a number is missing, what is infinite is an error."""
    if not table[column].dtype.is_numeric() and table[column].dtype != pl.Null:
        raise DataError(f"column {column!r} is {table[column].dtype}, not numbers")
    found = pl.col(column).cast(pl.Float64).fill_nan(None)
    if len(endless := table.filter(found.is_infinite())):
        raise DataError(f"row {endless['id'][0]!r} has an infinite {column}: make it null, or a number")
    return found


def _labelled_rows(table: Table, score: str, gold: str, of: str | None) -> Table:
    """id, score, gold, of: the rows that have a gold label, sorted, so that nothing hangs on the order of the table."""
    need(table, score, gold, *([of] if of else []))
    rows = table.select("id", score=_number_column(table, score), gold=_number_column(table, gold), of=of or "id").drop_nulls(
        "gold"
    )
    if rows["of"].null_count():
        name = rows.filter(pl.col("of").is_null())["id"][0]
        raise DataError(f"row {name!r} has no {of}: set 'of' to a column that says which rows belong together, or to null")
    return rows.sort("of", "id")


def _unscored_share(rows: Table) -> dict[str, Any]:
    missing = rows["score"].null_count()
    low, high = wilson(missing, len(rows)) if len(rows) else (None, None)
    return {"value": missing / len(rows) if len(rows) else None, "low": low, "high": high, "count": len(rows)}


def _shared_ids(sides: Sequence[Table], names: Sequence[str]) -> Table:
    """The ids that every side has scored; rows must say the same of their gold and prompt on every side."""
    shared = sides[0].drop_nulls("score").select("id", "gold", "of")
    for name, side in zip(names[1:], sides[1:], strict=True):
        both = shared.join(side.drop_nulls("score"), on="id", maintain_order="left")
        if len(other := both.filter((pl.col("gold") != pl.col("gold_right")) | (pl.col("of") != pl.col("of_right")))):
            raise DataError(
                f"row {other['id'][0]!r} is another one in {names[0]!r} than in {name!r}: its gold or prompt differs"
            )
        shared = both.select("id", "gold", "of")
    return shared.select("id")


def _bootstrap_figures(rows: Table, of: str | None, bootstrap: int, seed: int) -> dict[str, AgreementFigure]:
    """The figures of scored rows, and of as many draws of their prompts."""
    if bootstrap < 0:
        raise RecipeError(f"bootstrap {bootstrap} is no number of draws")
    first = rows.select(pl.col("of").is_first_distinct().arg_true()).to_series()
    return figures(ScoredRows(rows["score"].to_numpy(), rows["gold"].to_numpy(), first.to_numpy(), of is None), bootstrap, seed)


def _label_probabilities(rows: Table, column: str, labels: int) -> np.ndarray:
    """The chances of each row, as shares of what they hold together."""
    long = rows["chances"].list.len()
    if len(other := rows.filter(long != labels)):
        row = other.row(0, named=True)
        raise DataError(f"row {row['id']!r} has {len(row['chances'])} {column}, and there are {labels} labels")
    held = rows["chances"].explode().cast(pl.Float64).to_numpy().reshape(len(rows), labels)
    sums = held.sum(axis=1)
    if len(odd := np.flatnonzero(~((held >= 0).all(axis=1) & (sums > 0) & np.isfinite(sums)))):
        raise DataError(f"row {rows['id'][int(odd[0])]!r} has {column} that are no probabilities: they must be 0 or more")
    return held / sums[:, None]


def _calibration_curve(score: np.ndarray, gold: np.ndarray, span: tuple[float, float], bins: int) -> Table:
    """A row a bin of equal width, the last with its upper end, and a row for all."""
    if bins < 1:
        raise RecipeError(f"{bins} bins hold no rows")
    edges = span[0] + (span[1] - span[0]) * np.arange(bins + 1) / bins
    place = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores, golds = (np.bincount(place, weights=values, minlength=bins) / counts for values in (score, gold))
        spread = np.sum((score - gold - (scores - golds)[place]) ** 2) / (len(score) - np.count_nonzero(counts))
        noise = np.sqrt(2 / pi * spread / counts)  # the mean of what is normal and has lost its sign
        gaps = np.abs(scores - golds)
    told = {"low": edges[:-1], "high": edges[1:], "count": counts, "score": scores, "gold": golds, "gap": gaps, "noise": noise}
    out = pl.DataFrame(told).with_columns(pl.when(cs.float().is_finite()).then(cs.float()))
    whole = {"low": span[0], "high": span[1], "count": len(score), "score": _mean(score), "gold": _mean(gold)}
    for name, each in (("gap", gaps), ("noise", noise)):
        whole[name] = _finite_or_none(float(each[counts > 0] @ counts[counts > 0]) / len(score)) if len(score) else None
    lines = [{"id": f"bin {i + 1}", **line} for i, line in enumerate(out.to_dicts())]
    return _figures_table([*lines, {"id": "all", **whole}])


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None

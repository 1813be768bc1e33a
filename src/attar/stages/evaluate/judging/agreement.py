"""How well a judge agrees with gold labels: whether it ranks rows alike, and whether its scores are calibrated.

A row counts if it has a score and a label; the share without a score is reported. Intervals (95%) resample whole prompts, since
answers to one prompt are alike; a share of 0 or 1 has Wilson's interval over prompts. All pairs of rows count, not a sample.
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

    Pairs and the best row are taken within one value of `of`. Without `of` all rows form pairs, and there is no best row.
    """
    rows = _labelled_rows(table, score, gold, of)
    result = _bootstrap_figures(rows.drop_nulls("score"), of, bootstrap, seed)
    lines = [{"id": name, **_summary(figure, share=name in SHARES)} for name, figure in result.items()]
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

    `over_first` is the value minus the first score's, with an interval from the same draws. Rows are matched by id.
    """
    if not tables or len(names) != len(tables) or len(set(names)) < len(names):
        raise RecipeError(f"each of {len(tables)} tables needs a different name, got {list(names)}")
    sides = [_labelled_rows(table, score, gold, of) for table in tables]
    shared = _shared_ids(sides, names)
    first: dict[str, AgreementFigure] = {}
    lines = []
    for name, side in zip(names, sides, strict=True):
        result = _bootstrap_figures(side.join(shared, on="id", how="semi", maintain_order="left"), of, bootstrap, seed)
        first = first or result
        for title, figure in result.items():
            values = _summary(figure, share=title in SHARES) | _over_first(figure, first[title])
            lines.append({"name": name, "figure": title, **values})
        lines.append({"name": name, "figure": "unscored", **_unscored_share(side)})
    over_first = ("over_first", "over_first_low", "over_first_high")
    lines = [{"id": f"{line['name']}/{line['figure']}", **dict.fromkeys(over_first), **line} for line in lines]
    return _figures_table(lines).select("id", "name", "figure", "value", "low", "high", "count", *over_first)


@role("exam")
@reads(lambda knobs: (knobs["score"], knobs["gold"]))
def reliability(
    table: Table, *, score: str = "score", gold: str = "label", bins: int = 10, low: float = 0, high: float = 10
) -> Table:
    """{score}, {gold} -> id, low, high, count, score, gold, gap, noise: mean score and mean gold label in bins of the score.

    The gap of the row `all` is the expected calibration error (ECE): the mean of the bins' gaps, weighted by their rows.
    `noise` is the gap that a perfectly calibrated score would show with this number of rows.
    """
    rows = _labelled_rows(table, score, gold, None).drop_nulls("score")
    if not isfinite(low) or not isfinite(high) or low >= high:
        raise RecipeError(f"low must be less than high, got low {low} and high {high}")
    outside = rows.filter((pl.col("score") < low) | (pl.col("score") > high))
    if len(outside):
        name, value = outside.row(0, named=True)["id"], outside["score"][0]
        raise DataError(f"row {name!r} has {score} {value:g}, outside {low:g} to {high:g}: set low and high")
    return _calibration_curve(rows["score"].to_numpy(), rows["gold"].to_numpy(), (low, high), bins)


@role("exam")
@reads(lambda knobs: (knobs["chances"], knobs["gold"]))
def sureness(
    table: Table, *, labels: Sequence[float], chances: str = "score_chances", gold: str = "label", bins: int = 10
) -> Table:
    """{chances}, {gold} -> id, low, high, count, chance, right, gap, noise: are labels with 70% probability right 70% of times?

    `chances` holds the probabilities of `labels`, in the same order; they are normalised to sum to 1. A row is right if its
    most likely label is its gold label. The gap of the row `all` is the expected calibration error (ECE).
    """
    need(table, chances, gold)
    if not isinstance(table[chances].dtype, pl.List):
        raise DataError(f"column {chances!r} must hold lists of probabilities, got {table[chances].dtype}")
    if not len(labels):
        raise RecipeError("labels is empty: name the labels that the probabilities belong to, in the same order")
    rows = table.select("id", chances=chances, gold=_number_column(table, gold)).drop_nulls()
    label_values = np.asarray(labels, dtype=float)
    probabilities = _label_probabilities(rows, chances, len(label_values))  # (rows, labels)
    truth = rows["gold"].to_numpy()
    if len(unknown := np.flatnonzero(~np.isin(truth, label_values))):
        name, value = rows["id"][int(unknown[0])], truth[unknown[0]]
        raise DataError(
            f"row {name!r} has {gold} {value:g}, which is none of the labels ({', '.join(f'{x:g}' for x in label_values)})"
        )
    right = label_values[probabilities.argmax(axis=1)] == truth
    out = _calibration_curve(probabilities.max(axis=1), right.astype(float), (0.0, 1.0), bins)
    return out.rename({"score": "chance", "gold": "right"})


def _summary(figure: AgreementFigure, *, share: bool) -> dict[str, Any]:
    """A figure with its interval: none with a single prompt, Wilson's for a share of 0 or 1, where all draws are equal."""
    if (value := _finite_or_none(figure.values[0])) is None:
        return {"value": None, "low": None, "high": None, "count": figure.count}
    low, high = bootstrap_interval(figure.values[1:], figure.prompts)
    if share and value in (0.0, 1.0):
        low, high = wilson(round(value) * figure.prompts, figure.prompts)
    return {"value": value, "low": low, "high": high, "count": figure.count}


def _over_first(figure: AgreementFigure, first: AgreementFigure) -> dict[str, Any]:
    differences = figure.values - first.values
    low, high = bootstrap_interval(differences[1:], figure.prompts)
    return {"over_first": _finite_or_none(differences[0]), "over_first_low": low, "over_first_high": high}


def _finite_or_none(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _figures_table(lines: Sequence[Mapping[str, Any]]) -> Table:
    texts = {name: pl.String for name in ("id", "name", "figure") if name in lines[0]}
    schema = {name: texts.get(name, pl.Int64 if name == "count" else pl.Float64) for name in lines[0]}
    return pl.DataFrame(list(lines), schema=schema)


def _number_column(table: Table, column: str) -> pl.Expr:
    """A column as floats, NaN as null; an infinite value is an error."""
    if not table[column].dtype.is_numeric() and table[column].dtype != pl.Null:
        raise DataError(f"column {column!r} must hold numbers, got {table[column].dtype}")
    numbers = pl.col(column).cast(pl.Float64).fill_nan(None)
    if len(infinite := table.filter(numbers.is_infinite())):
        raise DataError(f"row {infinite['id'][0]!r} has an infinite {column}: make it null or a finite number")
    return numbers


def _labelled_rows(table: Table, score: str, gold: str, of: str | None) -> Table:
    """id, score, gold, of: the rows that have a gold label, sorted, so that results do not depend on the row order."""
    need(table, score, gold, *([of] if of else []))
    columns = {"score": _number_column(table, score), "gold": _number_column(table, gold), "of": pl.col(of or "id")}
    rows = table.select("id", **columns).drop_nulls("gold")
    if rows["of"].null_count():
        name = rows.filter(pl.col("of").is_null())["id"][0]
        raise DataError(f"row {name!r} has no {of}: set 'of' to the column that groups rows, or to null")
    return rows.sort("of", "id")


def _unscored_share(rows: Table) -> dict[str, Any]:
    missing = rows["score"].null_count()
    low, high = wilson(missing, len(rows)) if len(rows) else (None, None)
    return {"value": missing / len(rows) if len(rows) else None, "low": low, "high": high, "count": len(rows)}


def _shared_ids(sides: Sequence[Table], names: Sequence[str]) -> Table:
    """The ids that are scored in every table; a row must have the same gold label and prompt in all of them."""
    shared = sides[0].drop_nulls("score").select("id", "gold", "of")
    for name, side in zip(names[1:], sides[1:], strict=True):
        both = shared.join(side.drop_nulls("score"), on="id", maintain_order="left")
        if len(differing := both.filter((pl.col("gold") != pl.col("gold_right")) | (pl.col("of") != pl.col("of_right")))):
            raise DataError(f"row {differing['id'][0]!r} has another gold label or prompt in {name!r} than in {names[0]!r}")
        shared = both.select("id", "gold", "of")
    return shared.select("id")


def _bootstrap_figures(rows: Table, of: str | None, bootstrap: int, seed: int) -> dict[str, AgreementFigure]:
    """The figures of the scored rows, and of each bootstrap draw of their prompts."""
    if bootstrap < 0:
        raise RecipeError(f"bootstrap must be >= 0, got {bootstrap}")
    first = rows.select(pl.col("of").is_first_distinct().arg_true()).to_series()
    return figures(ScoredRows(rows["score"].to_numpy(), rows["gold"].to_numpy(), first.to_numpy(), of is None), bootstrap, seed)


def _label_probabilities(rows: Table, column: str, labels: int) -> np.ndarray:
    """Each row's label probabilities, normalised to sum to 1: (rows, labels)."""
    if len(wrong := rows.filter(rows["chances"].list.len() != labels)):
        row = wrong.row(0, named=True)
        raise DataError(f"row {row['id']!r} has {len(row['chances'])} {column} for {labels} labels")
    weights = rows["chances"].explode().cast(pl.Float64).to_numpy().reshape(len(rows), labels)
    sums = weights.sum(axis=1)
    if len(invalid := np.flatnonzero(~((weights >= 0).all(axis=1) & (sums > 0) & np.isfinite(sums)))):
        raise DataError(f"row {rows['id'][int(invalid[0])]!r} has invalid {column}: each must be >= 0 and one positive")
    return weights / sums[:, None]


def _calibration_curve(score: np.ndarray, gold: np.ndarray, span: tuple[float, float], bins: int) -> Table:
    """One row per bin of equal width, half-open but for the last, and one row for all.

    Bin b has gap_b = |mean(score) - mean(gold)|, and the row `all`  ECE = sum_b n_b gap_b / n.  With residuals of variance s^2
    within bins, a calibrated score has an expected gap of  E|N(0, s^2 / n_b)| = s sqrt(2 / (pi n_b)),  the `noise`.
    """
    if bins < 1:
        raise RecipeError(f"bins must be >= 1, got {bins}")
    edges = span[0] + (span[1] - span[0]) * np.arange(bins + 1) / bins
    bin_of = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, bins - 1)  # (rows,)
    counts = np.bincount(bin_of, minlength=bins)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores, golds = (np.bincount(bin_of, weights=values, minlength=bins) / counts for values in (score, gold))
        variance = np.sum((score - gold - (scores - golds)[bin_of]) ** 2) / (len(score) - np.count_nonzero(counts))
        noise = np.sqrt(2 / pi * variance / counts)
        gaps = np.abs(scores - golds)
    curve = {"low": edges[:-1], "high": edges[1:], "count": counts, "score": scores, "gold": golds, "gap": gaps, "noise": noise}
    out = pl.DataFrame(curve).with_columns(pl.when(cs.float().is_finite()).then(cs.float()))
    overall = {"low": span[0], "high": span[1], "count": len(score), "score": _mean(score), "gold": _mean(gold)}
    for name, values in (("gap", gaps), ("noise", noise)):
        overall[name] = _finite_or_none(float(values[counts > 0] @ counts[counts > 0]) / len(score)) if len(score) else None
    lines = [{"id": f"bin {i + 1}", **line} for i, line in enumerate(out.to_dicts())]
    return _figures_table([*lines, {"id": "all", **overall}])


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None

"""Arena-Hard's scores: the mean of all votes, in percent, for each model and category; and the same with style control.

Style control fits one Bradley-Terry model to the votes of all models, with differences in style as covariates. The score is the
win probability of two answers of equal style. (The published code evaluates at the mean difference of its models: `centred`
does so. Its options for length alone or markdown alone drop columns of models, and are not copied.) Intervals (95%) resample
whole questions. The published interval is given too: the middle 90% over resamples of single votes, as if each vote were a
question. It is far too narrow.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from attar.core.errors import DataError, RecipeError, did_you_mean
from attar.core.stage import role
from attar.core.table import Table, need
from attar.stages.evaluate.benchmarks.style import Length, lead_columns, leads, scale_leads
from attar.stages.evaluate.figures.accuracy import ALL
from attar.stages.evaluate.figures.bradley_terry import RIDGE, fit_with_bootstrap
from attar.stages.evaluate.judging.provenance import copy_provenance
from attar.statistics.bootstrap import Interval, bootstrap_interval, cluster_codes, difference, mean
from attar.statistics.intervals import wilson
from attar.statistics.paired_logit import sort_games

_OPTIONAL_COLUMNS: dict[str, Any] = {name: pl.String for name in ("model", "opponent", "category")}
_OPTIONAL_COLUMNS |= {"weight": pl.Float64, "votes": pl.List(pl.Float64)}
"""Columns that battles may lack: without a weight a battle counts once."""


@role("exam")
def figures(  # noqa: PLR0913 (style control is three knobs, the bootstrap two)
    battles: Table,
    *,
    style: Sequence[str] = (),
    length: Length = "tokens",
    centred: bool = False,
    over: str | None = None,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Table:
    """question, preference, and optional model, opponent, category, weight, votes -> each model's scores, by category.

    id, category, model, figure, value, low, high, count, unjudged, published_low, published_high, judge, asked, order, date:
    `score`, with `over` (a model) each other's `lead` on the questions that both have, with `style` (any of length, headers,
    lists, bold) `score_even` and the coefficients. `count` is of battles with a preference, `unjudged` of those without.
    """
    lead_columns(style)
    need(battles, "question", "preference", *(("response", "against") if style else ()))
    battles = _with_defaults(battles)
    if over is not None and over not in (models := battles["model"].drop_nulls().unique().to_list()):
        raise RecipeError(f"over: there is no model {over!r}; {did_you_mean(over, models)}")
    parts = []
    for (category,), rows in battles.sort("model", "question", "id").group_by("category", maintain_order=True):
        lines = [*_scores(rows, bootstrap, seed), *(_leads_over(rows, over, bootstrap, seed) if over is not None else ())]
        if style:
            lines += _style_scores(rows, style, (length, centred, bootstrap, seed))
        scores = pl.DataFrame([{"category": category or ALL, **line} for line in lines], schema=_SCHEMA, strict=False)
        parts.append(copy_provenance(scores, rows))
    out = pl.concat(parts) if parts else pl.DataFrame(schema=_SCHEMA)
    name = pl.format("{}/{}/{}", "category", pl.col("model").fill_null(ALL), "figure")
    return out.select(name.alias("id"), *out.columns).sort("category", maintain_order=True)


_SCHEMA = {
    "category": pl.String,
    "model": pl.String,
    "figure": pl.String,
    **dict.fromkeys(("value", "low", "high"), pl.Float64),
    **dict.fromkeys(("count", "unjudged"), pl.Int64),
    **dict.fromkeys(("published_low", "published_high"), pl.Float64),
}


def _with_defaults(battles: Table) -> Table:
    """Battles with the optional columns filled in. A jury's weight and votes are one judge's, and are ignored."""
    stale = ("weight", "votes") if "preference_judges" in battles.columns else ()
    lacks = [name for name in _OPTIONAL_COLUMNS if name in stale or name not in battles.columns]
    out = battles.with_columns(pl.lit(None, dtype=_OPTIONAL_COLUMNS[name]).alias(name) for name in lacks)
    return out.with_columns(pl.col("weight").fill_null(1.0), pl.col("model").fill_null("model"))


def _scores(rows: Table, bootstrap: int, seed: int) -> Iterator[dict[str, Any]]:
    """The raw score of every model."""
    for (model,), own in rows.group_by("model", maintain_order=True):
        judged = own.drop_nulls("preference")
        line = {"model": model, "figure": "score", "count": len(judged), "unjudged": len(own) - len(judged)}
        if len(judged):
            weights = judged["weight"].to_numpy()
            interval = mean(
                judged["preference"].to_numpy(), judged["question"], weights=weights, share=True, draws=bootstrap, seed=seed
            )
            line |= _percent(interval) | _published_interval(judged["votes"], bootstrap, seed)
        yield line


def _leads_over(rows: Table, over: str, bootstrap: int, seed: int) -> Iterator[dict[str, Any]]:
    """The score of every other model minus the score of `over`."""
    worth = {"won": (pl.col("preference") * pl.col("weight")).sum(), "weight": pl.col("weight").sum()}
    judged = rows.drop_nulls("preference").group_by("model", "question", maintain_order=True).agg(**worth)
    first = judged.filter(pl.col("model") == over)
    for (model,), own in judged.filter((pl.col("model") != over) & (len(first) > 0)).group_by("model", maintain_order=True):
        both = own.join(first, on="question", suffix="_first", maintain_order="left")
        line = {"model": model, "figure": "lead", "count": len(both)}
        if len(both):
            one, other = both["weight"].to_numpy(), both["weight_first"].to_numpy()
            values = both["won"].to_numpy() / one, both["won_first"].to_numpy() / other
            line |= _percent(difference(*values, both["question"], weights=(one, other), draws=bootstrap, seed=seed))
        yield line


def _published_interval(votes: pl.Series, bootstrap: int, seed: int) -> dict[str, float]:
    """The middle 90% of the means of resampled votes, each vote resampled independently."""
    if votes.null_count() or not bootstrap:
        return {}
    values, counts = np.unique(votes.explode().to_numpy(), return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(counts.sum(), counts / counts.sum(), bootstrap) @ values / counts.sum()
    low, high = np.quantile(drawn, [0.05, 0.95])
    return {"published_low": 100 * float(low), "published_high": 100 * float(high)}


def _style_scores(rows: Table, style: Sequence[str], how: tuple[Length, bool, int, int]) -> Iterator[dict[str, Any]]:
    """Each model's score under style control, and the log-odds for one standard deviation of each style feature."""
    length, centred, bootstrap, seed = how
    judged = rows.drop_nulls("preference")
    if judged["opponent"].n_unique() != 1:
        raise DataError(f"style control needs one opponent, got {judged['opponent'].unique().to_list()}")
    differences = leads(judged, length=length).select(lead_columns(style))
    if len(odd := judged.filter(differences.to_series().is_null())):
        raise DataError(f"battle {odd['id'][0]!r} lacks `response` or `against`: style control needs both texts")
    weights = judged["weight"].to_numpy()
    names = judged["model"].unique(maintain_order=True).to_list()
    numbers = {name: place for place, name in enumerate(names)}
    sides = np.array([numbers[name] for name in judged["model"]]), np.full(len(judged), len(names))
    covariates = scale_leads(differences.to_numpy(), weights, centred=centred)  # (battles, style features)
    code, clusters = cluster_codes(judged["question"])
    played = sort_games(sides, judged["preference"].to_numpy(), covariates, weights, code)
    whole, draws = fit_with_bootstrap(played, anchor=len(names), ridge=RIDGE, bootstrap=bootstrap, seed=seed)
    for place, name in enumerate(names):
        own = sides[0] == place
        interval = _to_probabilities(whole[place], *bootstrap_interval(draws[:, place], clusters))
        raw = float(np.average(judged["preference"].to_numpy()[own], weights=weights[own]))
        if raw in (0.0, 1.0):  # all lost or all won: the fit would diverge
            questions = len(np.unique(code[own]))
            interval = raw, *wilson(round(raw) * questions, questions)
        yield {"model": name, "figure": "score_even", "count": int(own.sum())} | _percent(interval)
    for place, mark in enumerate(style, start=len(names) + 1):
        low, high = bootstrap_interval(draws[:, place], clusters)
        line = {"model": None, "figure": f"style_{mark}", "value": float(whole[place]), "low": low, "high": high}
        yield line | {"count": len(judged)}


def _to_probabilities(value: float, low: float | None, high: float | None) -> Interval:
    """Log-odds and their interval as probabilities."""

    def sigmoid(odds: float) -> float:
        return float(1 / (1 + np.exp(-odds)))

    return sigmoid(value), None if low is None else sigmoid(low), None if high is None else sigmoid(high)


def _percent(interval: Interval) -> dict[str, float | None]:
    return {
        name: None if value is None else 100 * value for name, value in zip(("value", "low", "high"), interval, strict=True)
    }

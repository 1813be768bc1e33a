"""Ratings of models by the Bradley-Terry model:  P(i beats j) = sigmoid(s_i - s_j + b . x),  fitted by maximum likelihood.

Unlike Elo ratings, the strengths s do not depend on the order of the battles. The covariates x, such as style leads, can be
held equal. Intervals (95%) resample whole questions and refit each draw. `ridge` is a normal prior on the log-odds to the
anchor with variance 1 / ridge: 0.01 hardly moves a model that has both wins and losses, and keeps the others finite. A model
that only won (or only lost) has a one-sided interval, and `note` says so.
"""

from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import numpy as np
import polars as pl

from attar.core.errors import DataError, RecipeError, did_you_mean
from attar.core.stage import reads, role
from attar.core.table import Table, need
from attar.statistics.bootstrap import bootstrap_interval, cluster_codes, resample_counts
from attar.statistics.intervals import wilson
from attar.statistics.paired_logit import Games, fit, sort_games

START = 1000.0
POINTS_PER_LOG_ODDS = 400 / log(10)
"""Elo points per unit of log-odds: odds of 10 to 1 are 400 points."""
RIDGE = 0.01
_FLOATS_PER_GAME = 16
"""Memory per game and draw; it limits a block of draws to a core's cache, which is five times as fast."""
BootstrapFit = tuple[np.ndarray, np.ndarray]
"""Strengths and coefficients of all battles: (models + covariates,); and of each draw: (draws, models + covariates)."""


def _reads(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    columns = ("question", "model", "opponent", "preference")
    return (*columns, *([knobs["weight"]] if knobs["weight"] else ()), *knobs["covariates"])


@role("exam")
@reads(_reads)
def ratings(  # noqa: PLR0913 (the weights, the covariates, and the bootstrap)
    battles: Table,
    *,
    anchor: str,
    covariates: Sequence[str] = (),
    weight: str | None = None,
    ridge: float = RIDGE,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Table:
    """question, model, opponent, preference, {weight}, {covariates} -> id, model, figure, value, low, high, count, note.

    Figures of a model: `log_odds` against the anchor, `rating` (the anchor has 1000), `win_rate` against the anchor in percent.
    A covariate is the model's lead over its opponent in some quantity. Its coefficient is a figure without a model, and ratings
    are those at equal covariates. Rows without a preference do not count.
    """
    if ridge < 0 or bootstrap < 0:
        raise RecipeError(f"ridge and bootstrap must be >= 0, got {ridge} and {bootstrap}")
    rows, names = valid_battles(battles, anchor, (weight, *covariates))
    played = _games(rows, names, weight, covariates)
    anchor_index = names.index(anchor)
    one_sided = _one_sided_models(played, names, anchor_index, ridge)
    estimate, draws = fit_with_bootstrap(played, anchor=anchor_index, ridge=ridge, bootstrap=bootstrap, seed=seed)
    clusters = len(np.unique(played.cluster))
    counts = np.bincount(np.concatenate([played.first, played.second]), minlength=len(names))
    lines: list[dict[str, Any]] = []
    for i, name in enumerate(names):
        ends = bootstrap_interval(draws[:, i], clusters)
        if i in one_sided:
            ends = _one_sided_interval(played, i, one_sided[i], (anchor_index, ridge, clusters))
        note = f"{one_sided[i]} everything: only the ridge limits its value" if i in one_sided else None
        for figure, values in _scales(estimate[i], *ends).items():
            lines.append({"model": name, "figure": figure, **values, "count": int(counts[i]), "note": note})
    for i, name in enumerate(covariates, start=len(names)):
        low, high = bootstrap_interval(draws[:, i], clusters)
        lines.append({"model": None, "figure": name, "value": float(estimate[i]), "low": low, "high": high, "count": len(rows)})
    out = pl.DataFrame([{"note": None, **line} for line in lines], schema_overrides=_SCHEMA)
    return out.select(pl.format("{}/{}", pl.col("model").fill_null("all"), "figure").alias("id"), *list(_SCHEMA))


_SCHEMA = {
    "model": pl.String,
    "figure": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "count": pl.Int64,
    "note": pl.String,
}


def fit_with_bootstrap(played: Games, *, anchor: int, ridge: float, bootstrap: int, seed: int) -> BootstrapFit:
    """Fit strengths and coefficients to all games, and to each bootstrap draw of their clusters.

    A draw weights each game by how often its cluster was drawn; its Newton steps start from the fit of all games.
    """
    clusters = int(played.cluster.max()) + 1
    estimate = fit(played, played.weight[None], anchor=anchor, ridge=ridge)[0]
    blocks = [
        fit(played, block[:, played.cluster] * played.weight, anchor=anchor, ridge=ridge, start=estimate)
        for block in resample_counts(clusters, bootstrap, seed, width=_FLOATS_PER_GAME * len(played.first))
    ]
    return estimate, np.concatenate(blocks) if blocks else np.empty((0, len(estimate)))


def valid_battles(battles: Table, anchor: str, number_columns: Sequence[str | None]) -> tuple[Table, list[str]]:
    """The battles that have a preference, checked, and the sorted names of the models."""
    numbers = [name for name in ("preference", *number_columns) if name]
    need(battles, "question", "model", "opponent", *numbers)
    rows = battles.with_columns(pl.col(numbers).cast(pl.Float64)).drop_nulls("preference")
    names = sorted(set(rows["model"]) | set(rows["opponent"]), key=str)
    if None in names or rows["question"].null_count():
        raise DataError("a battle has no question, model or opponent: give all three in every row")
    if anchor not in names:
        raise RecipeError(f"anchor {anchor!r} has no battle; {did_you_mean(anchor, names)}")
    for name in numbers:
        if len(invalid := rows.filter(pl.col(name).is_null() | ~pl.col(name).is_finite())):
            raise DataError(f"battle {invalid['id'][0]!r} has no finite number in {name!r}")
    if len(invalid := rows.filter(~pl.col("preference").is_between(0, 1) | (pl.col("model") == pl.col("opponent")))):
        raise DataError(f"battle {invalid['id'][0]!r} must have a preference from 0 to 1, and two different models")
    return rows, names


def _games(rows: Table, names: Sequence[str], weight: str | None, covariates: Sequence[str]) -> Games:
    index = {name: i for i, name in enumerate(names)}
    sides = tuple(np.array([index[name] for name in rows[side]]) for side in ("model", "opponent"))
    weights = rows[weight].to_numpy() if weight else np.ones(len(rows))
    leads = rows.select(covariates).to_numpy() if covariates else np.empty((len(rows), 0))
    return sort_games((sides[0], sides[1]), rows["preference"].to_numpy(), leads, weights, cluster_codes(rows["question"])[0])


def _one_sided_models(played: Games, names: list[str], anchor: int, ridge: float) -> dict[int, str]:
    """Models that won (or lost) every battle, other than the anchor; models that cannot be rated otherwise are an error.

    Strengths are finite iff the graph of wins is strongly connected (Ford 1957): each model must have a chain of wins to the
    anchor and a chain of losses to it.
    """
    wins = np.zeros((played.models, played.models))  # wins[i, j]: the weight of i's wins over j
    np.add.at(wins, (played.first, played.second), played.weight * played.share)
    np.add.at(wins, (played.second, played.first), played.weight * (1 - played.share))
    unlinked = _quote_names(names, ~_reachable((wins + wins.T) > 0)[anchor])
    if unlinked:
        raise DataError(f"no chain of battles links {unlinked} with the anchor {names[anchor]!r}: add battles")
    one_sided = {i: "won" for i in range(len(names)) if i != anchor and not wins[:, i].any()}
    one_sided |= {i: "lost" for i in range(len(names)) if i != anchor and not wins[i].any()}
    reachable = _reachable(wins > 0)
    infinite = ~(reachable[anchor] & reachable[:, anchor])
    if not ridge and infinite.any():
        raise DataError(
            f"{_quote_names(names, infinite)} won or lost every battle and has no finite rating: set a ridge, such as {RIDGE}"
        )
    infinite[list(one_sided)] = False
    if infinite.any():
        raise DataError(
            f"{_quote_names(names, infinite)} and the anchor {names[anchor]!r} cannot be compared: one side won every battle, "
            "so the difference has no finite value; name another anchor, or add battles"
        )
    return one_sided


def _quote_names(names: list[str], which: np.ndarray) -> str:
    return ", ".join(repr(name) for name, chosen in zip(names, which.tolist(), strict=True) if chosen)


def _reachable(edges: np.ndarray) -> np.ndarray:
    """The reflexive transitive closure of a graph, by repeated squaring of its adjacency matrix: (models, models)."""
    closure = edges | np.eye(len(edges), dtype=bool)
    for _ in range(len(edges).bit_length()):
        closure = (closure.astype(int) @ closure.astype(int)) > 0
    return closure


def _one_sided_interval(
    played: Games, model: int, outcome: str, options: tuple[int, float, int]
) -> tuple[float | None, float | None]:
    """The finite end of the interval of a model that won (or lost) everything; the other end is None.

    It is the model's strength if its share of wins were the end of Wilson's interval of all wins (or none) over the questions.
    """
    anchor, ridge, clusters = options
    low, high = wilson(clusters if outcome == "won" else 0, clusters)
    share = low if outcome == "won" else high
    shares = np.where(played.first == model, share, np.where(played.second == model, 1 - share, played.share))
    end = fit(_with_share(played, shares), played.weight[None], anchor=anchor, ridge=ridge)[0][model]
    return (float(end), None) if outcome == "won" else (None, float(end))


def _with_share(played: Games, share: np.ndarray) -> Games:
    return sort_games((played.first, played.second), share, played.covariates, played.weight, played.cluster)


def _scales(value: float, low: float | None, high: float | None) -> dict[str, dict[str, float | None]]:
    """A strength and its interval as log-odds, as a rating and as a win rate, in which an open end is 0% or 100%."""
    log_odds = {"value": float(value), "low": low, "high": high}
    rating = {end: None if x is None else START + POINTS_PER_LOG_ODDS * x for end, x in log_odds.items()}
    ends = {"value": float(value), "low": -np.inf if low is None else low, "high": np.inf if high is None else high}
    win_rate = {end: float(100 / (1 + np.exp(-x))) for end, x in ends.items()}
    return {"log_odds": log_odds, "rating": rating, "win_rate": win_rate}

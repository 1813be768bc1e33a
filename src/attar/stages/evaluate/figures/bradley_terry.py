"""Ratings of models from their battles by Bradley-Terry: the strengths under which the battles are likeliest.

They do not hang on the order in which battles were fought, as Elo's do. Covariates, such as leads in style, can be held even.
Intervals (95%) draw whole questions anew and fit each draw again. `ridge` is a prior on the log-odds to the anchor, of variance
1 / ridge: at 0.01 it moves nobody who both won and lost, and keeps in sight whoever won or lost everything. Of such a model one
end alone is known, and `note` says so.
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
"""Points of the Elo scale in one log-odd: ten to one is 400 points."""
RIDGE = 0.01
_FLOATS_PER_GAME = 16
"""What is held of a game in a draw, so that a block of draws stays in a core's cache: five times as fast."""
BootstrapFit = tuple[np.ndarray, np.ndarray]
"""Strengths and coefficients of all battles, and of each draw (a row a draw)."""


def _reads(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    own = ("question", "model", "opponent", "preference")
    return (*own, *([knobs["weight"]] if knobs["weight"] else ()), *knobs["covariates"])


@role("exam")
@reads(_reads)
def ratings(  # noqa: PLR0913 (what counts, what is held even, and how far it is drawn)
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
    A covariate is the model's lead in something over its opponent; its coefficient is a figure without a model, and ratings are
    those of models that are even in it. Rows without a preference do not count.
    """
    if ridge < 0 or bootstrap < 0:
        raise RecipeError(f"ridge {ridge} and bootstrap {bootstrap} must not be negative")
    rows, names = valid_battles(battles, anchor, (weight, *covariates))
    played = _games(rows, names, weight, covariates)
    place = names.index(anchor)
    stuck = _one_sided_models(played, names, place, ridge)
    whole, draws = fit_with_bootstrap(played, anchor=place, ridge=ridge, bootstrap=bootstrap, seed=seed)
    clusters = len(np.unique(played.cluster))
    counts = np.bincount(np.concatenate([played.first, played.second]), minlength=len(names))
    lines: list[dict[str, Any]] = []
    for one, name in enumerate(names):
        ends = bootstrap_interval(draws[:, one], clusters)
        if one in stuck:
            ends = _one_sided_interval(played, one, stuck[one], (place, ridge, clusters))
        note = f"{stuck[one]} everything: its value is the ridge's" if one in stuck else None
        for figure, told in _scales(whole[one], *ends).items():
            lines.append({"model": name, "figure": figure, **told, "count": int(counts[one]), "note": note})
    for one, name in enumerate(covariates, start=len(names)):
        low, high = bootstrap_interval(draws[:, one], clusters)
        lines.append({"model": None, "figure": name, "value": float(whole[one]), "low": low, "high": high, "count": len(rows)})
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
    """Strengths and coefficients of all games, and of as many draws of their clusters."""
    clusters = int(played.cluster.max()) + 1
    whole = fit(played, played.weight[None], anchor=anchor, ridge=ridge)[0]
    blocks = [
        fit(played, block[:, played.cluster] * played.weight, anchor=anchor, ridge=ridge, start=whole)
        for block in resample_counts(clusters, bootstrap, seed, width=_FLOATS_PER_GAME * len(played.first))
    ]
    return whole, np.concatenate(blocks) if blocks else np.empty((0, len(whole)))


def valid_battles(battles: Table, anchor: str, more: Sequence[str | None]) -> tuple[Table, list[str]]:
    """The battles that have a preference, and the models' names."""
    numbers = [name for name in ("preference", *more) if name]
    need(battles, "question", "model", "opponent", *numbers)
    rows = battles.with_columns(pl.col(numbers).cast(pl.Float64)).drop_nulls("preference")
    names = sorted(set(rows["model"]) | set(rows["opponent"]), key=str)
    if None in names or rows["question"].null_count():
        raise DataError("a battle lacks its question, its model or its opponent: name all three in every row")
    if anchor not in names:
        raise RecipeError(f"anchor {anchor!r} has fought no battle; {did_you_mean(anchor, names)}")
    for name in numbers:
        odd = rows.filter(pl.col(name).is_null() | ~pl.col(name).is_finite())
        if len(odd):
            raise DataError(f"battle {odd['id'][0]!r} has no finite number as its {name!r}")
    odd = rows.filter(~pl.col("preference").is_between(0, 1) | (pl.col("model") == pl.col("opponent")))
    if len(odd):
        raise DataError(f"battle {odd['id'][0]!r}: a preference is from 0 to 1, and of two different models")
    return rows, names


def _games(rows: Table, names: Sequence[str], weight: str | None, covariates: Sequence[str]) -> Games:
    numbers = {name: place for place, name in enumerate(names)}
    sides = tuple(np.array([numbers[name] for name in rows[side]]) for side in ("model", "opponent"))
    heavy = rows[weight].to_numpy() if weight else np.ones(len(rows))
    lead = rows.select(covariates).to_numpy() if covariates else np.empty((len(rows), 0))
    return sort_games((sides[0], sides[1]), rows["preference"].to_numpy(), lead, heavy, cluster_codes(rows["question"])[0])


def _one_sided_models(played: Games, names: list[str], anchor: int, ridge: float) -> dict[int, str]:
    """Models that won or lost everything; others that the battles do not let be compared with the anchor are an error."""
    took = np.zeros((played.models, played.models))
    np.add.at(took, (played.first, played.second), played.weight * played.share)
    np.add.at(took, (played.second, played.first), played.weight * (1 - played.share))
    known = _quote_names(names, ~_reachable((took + took.T) > 0)[anchor])
    if known:
        raise DataError(f"no battles link {known} with the anchor {names[anchor]!r}: ratings need a chain of them")
    found = {i: "won" for i in range(len(names)) if i != anchor and not took[:, i].any()}
    found |= {i: "lost" for i in range(len(names)) if i != anchor and not took[i].any()}
    steps = _reachable(took > 0)
    beyond = ~(steps[anchor] & steps[:, anchor])
    if not ridge and beyond.any():
        raise DataError(
            f"{_quote_names(names, beyond)}: no finite rating, for all was won or lost; set a ridge, such as {RIDGE}"
        )
    beyond[list(found)] = False
    if beyond.any():
        raise DataError(
            f"{_quote_names(names, beyond)} and the anchor {names[anchor]!r} cannot be compared: one side won every battle, so "
            "the difference has no finite value; name another anchor, or add battles"
        )
    return found


def _quote_names(names: list[str], which: np.ndarray) -> str:
    return ", ".join(repr(name) for name, so in zip(names, which.tolist(), strict=True) if so)


def _reachable(steps: np.ndarray) -> np.ndarray:
    """From where one gets where, in any number of steps."""
    found = steps | np.eye(len(steps), dtype=bool)
    for _ in range(len(steps).bit_length()):
        found = (found.astype(int) @ found.astype(int)) > 0
    return found


def _one_sided_interval(played: Games, one: int, how: str, held: tuple[int, float, int]) -> tuple[float | None, float | None]:
    """The end that is known of a model that won (or lost) everything: its strength had it won as little as Wilson allows."""
    anchor, ridge, clusters = held
    low, high = wilson(clusters if how == "won" else 0, clusters)
    share = low if how == "won" else high
    told = np.where(played.first == one, share, np.where(played.second == one, 1 - share, played.share))
    end = fit(_with_share(played, told), played.weight[None], anchor=anchor, ridge=ridge)[0][one]
    return (float(end), None) if how == "won" else (None, float(end))


def _with_share(played: Games, share: np.ndarray) -> Games:
    return sort_games((played.first, played.second), share, played.covariates, played.weight, played.cluster)


def _scales(value: float, low: float | None, high: float | None) -> dict[str, dict[str, float | None]]:
    """A strength and its ends as log-odds, on the Elo scale, and as a win rate, of which the open end is none or all."""
    odds = {"value": float(value), "low": low, "high": high}
    rating = {end: None if at is None else START + POINTS_PER_LOG_ODDS * at for end, at in odds.items()}
    known = {"value": float(value), "low": -np.inf if low is None else low, "high": np.inf if high is None else high}
    rate = {end: float(100 / (1 + np.exp(-at))) for end, at in known.items()}
    return {"log_odds": odds, "rating": rating, "win_rate": rate}

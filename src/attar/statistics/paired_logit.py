"""Log-odds of who wins, by strengths of the two sides and by covariates of the game, for many weightings of the games at once.

Newton's method, each step as long as the logistic function allows it to be safe, so that it needs no search and never diverges.
Games of one pair stand beside each other: what is needed of them is summed by pair, and the strengths' second derivatives are
the Laplacian of those sums.
"""

from dataclasses import dataclass, replace

import numpy as np

_STEPS = 100
_LOG_ODDS_TOLERANCE = 1e-9
"""A step that moves no game's log-odds by more than this is the last."""


@dataclass(frozen=True, slots=True)
class Games:
    """Games sorted by pair, their sides as numbers of models, the lesser first; `share` is what the first side won."""

    first: np.ndarray
    second: np.ndarray
    share: np.ndarray
    covariates: np.ndarray
    weight: np.ndarray
    cluster: np.ndarray
    models: int

    @property
    def starts(self) -> np.ndarray:
        """The first game of each pair."""
        new = (np.diff(self.first) != 0) | (np.diff(self.second) != 0)
        return np.concatenate([[0], np.flatnonzero(new) + 1])


def sort_games(
    sides: tuple[np.ndarray, np.ndarray], share: np.ndarray, covariates: np.ndarray, weight: np.ndarray, cluster: np.ndarray
) -> Games:
    """Games in the order that fitting needs; a covariate is the first side's lead, and turns with the sides."""
    first, second = sides
    turned = first > second
    low, high = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((high, low))
    sign = np.where(turned, -1.0, 1.0)[:, None]
    return Games(
        low[order],
        high[order],
        np.where(turned, 1 - share, share)[order],
        (covariates * sign)[order],
        weight[order],
        cluster[order],
        int(max(low.max(), high.max())) + 1,
    )


def fit(played: Games, weights: np.ndarray, *, anchor: int, ridge: float, start: np.ndarray | None = None) -> np.ndarray:
    """Strengths (the anchor's is nought), then coefficients of the covariates, a row for each row of the games' weights."""
    if not played.covariates.shape[1]:
        played, weights, won = _by_pair(played, weights)
    else:
        won = weights * played.share
    free = np.delete(np.arange(played.models + played.covariates.shape[1]), anchor)
    found = np.zeros((len(weights), played.models + played.covariates.shape[1]))
    if start is not None:
        found[:] = start
    going = np.arange(len(weights))
    for _ in range(_STEPS):
        step, furthest = _newton_step(played, weights[going], won[going], found[going], (free, ridge))
        found[np.ix_(going, free)] += step * (np.log1p(furthest) / np.maximum(furthest, 1e-300))[:, None]
        going = going[furthest > _LOG_ODDS_TOLERANCE]
        if not len(going):
            break
    return found


def _by_pair(played: Games, weights: np.ndarray) -> tuple[Games, np.ndarray, np.ndarray]:
    """Without covariates all games of a pair are one: their weight and what the first side won of it."""
    starts = played.starts
    whole = np.add.reduceat(weights, starts, axis=1)
    won = np.add.reduceat(weights * played.share, starts, axis=1)
    ones = {name: getattr(played, name)[starts] for name in ("first", "second", "share", "covariates", "weight", "cluster")}
    return replace(played, **ones), whole, won


def _log_odds(played: Games, found: np.ndarray) -> np.ndarray:
    """The log-odds of every game."""
    odds = found[:, played.first] - found[:, played.second]
    return odds + found[:, played.models :] @ played.covariates.T if played.covariates.shape[1] else odds


def _newton_step(
    played: Games, weights: np.ndarray, won: np.ndarray, found: np.ndarray, held: tuple[np.ndarray, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's step from where each row is, and by how much it would move the log-odds of the game that it moves furthest."""
    free, ridge = held
    chance = 1 / (1 + np.exp(-np.clip(_log_odds(played, found), -500, 500)))
    slope = _gradient(played, won - weights * chance) - ridge * found
    curve = _hessian(played, weights * chance * (1 - chance))
    curve[:, np.arange(len(curve[0])), np.arange(len(curve[0]))] += ridge + 1e-12 * weights.sum(axis=1)[:, None]
    step = np.linalg.solve(curve[:, free[:, None], free], slope[:, free, None])[:, :, 0]
    moved = np.zeros_like(found)
    moved[:, free] = step
    return step, np.abs(_log_odds(played, moved)).max(axis=1)


def _gradient(played: Games, left: np.ndarray) -> np.ndarray:
    """The sums by model and by covariate of what the games have left unexplained."""
    starts = played.starts
    pairs = np.add.reduceat(left, starts, axis=1)
    return np.concatenate([pairs @ _incidence(played, starts), left @ played.covariates], axis=1)


def _hessian(played: Games, spread: np.ndarray) -> np.ndarray:
    """The second derivatives: a Laplacian of the pairs' sums, bordered by the covariates."""
    starts, size, width = played.starts, played.models, played.covariates.shape[1]
    out = np.zeros((len(spread), size + width, size + width))
    pairs = np.add.reduceat(spread, starts, axis=1)
    first, second = played.first[starts], played.second[starts]
    out[:, first, second] = out[:, second, first] = -pairs
    out[:, np.arange(size), np.arange(size)] = -out[:, :size, :size].sum(axis=2)
    ends = _incidence(played, starts)
    for one in range(width):
        bent = spread * played.covariates[:, one]
        out[:, :size, size + one] = out[:, size + one, :size] = np.add.reduceat(bent, starts, axis=1) @ ends
        out[:, size + one, size:] = bent @ played.covariates
    return out


def _incidence(played: Games, starts: np.ndarray) -> np.ndarray:
    """Of each pair +1 at its first model and -1 at its second."""
    out = np.zeros((len(starts), played.models))
    rows = np.arange(len(starts))
    out[rows, played.first[starts]] = 1
    out[rows, played.second[starts]] -= 1
    return out

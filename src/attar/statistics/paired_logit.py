"""Bradley-Terry model with covariates: log-odds of the winner = strength difference + covariates, for many weightings at once.

Fitted by damped Newton steps. The damping follows from a bound on the logistic function's third derivative, so no line search
is needed and the steps never diverge. Games are sorted by pair, so that sums over a pair's games are one `reduceat`. The
strengths' Hessian is the graph Laplacian of these sums.
"""

from dataclasses import dataclass, replace

import numpy as np

_STEPS = 100
_LOG_ODDS_TOLERANCE = 1e-9  # converged when a step changes no game's log-odds by more than this


@dataclass(frozen=True, slots=True)
class Games:
    """Games sorted by pair of models, the lower-numbered model first; `share` is what the first side won (0 to 1)."""

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
    """Games in the order that `fit` needs; a covariate is the first side's lead, so it changes sign when sides are swapped."""
    first, second = sides
    swapped = first > second
    low, high = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((high, low))
    sign = np.where(swapped, -1.0, 1.0)[:, None]
    return Games(
        low[order],
        high[order],
        np.where(swapped, 1 - share, share)[order],
        (covariates * sign)[order],
        weight[order],
        cluster[order],
        int(max(low.max(), high.max())) + 1,
    )


def fit(games: Games, weights: np.ndarray, *, anchor: int, ridge: float, start: np.ndarray | None = None) -> np.ndarray:
    """Strengths (0 for the anchor), then covariate coefficients, for each row of `weights`: (draws, models + covariates)."""
    if not games.covariates.shape[1]:
        games, weights, won = _merge_pairs(games, weights)
    else:
        won = weights * games.share
    free = np.delete(np.arange(games.models + games.covariates.shape[1]), anchor)
    coefficients = np.zeros((len(weights), games.models + games.covariates.shape[1]))
    if start is not None:
        coefficients[:] = start
    active = np.arange(len(weights))
    for _ in range(_STEPS):
        step, largest = _newton_step(games, weights[active], won[active], coefficients[active], (free, ridge))
        coefficients[np.ix_(active, free)] += step * (np.log1p(largest) / np.maximum(largest, 1e-300))[:, None]
        active = active[largest > _LOG_ODDS_TOLERANCE]
        if not len(active):
            break
    return coefficients


def _merge_pairs(games: Games, weights: np.ndarray) -> tuple[Games, np.ndarray, np.ndarray]:
    """Without covariates all games of a pair are one: its total weight, and the weight that the first side won."""
    starts = games.starts
    whole = np.add.reduceat(weights, starts, axis=1)
    won = np.add.reduceat(weights * games.share, starts, axis=1)
    columns = ("first", "second", "share", "covariates", "weight", "cluster")
    return replace(games, **{name: getattr(games, name)[starts] for name in columns}), whole, won


def _log_odds(games: Games, coefficients: np.ndarray) -> np.ndarray:
    """The log-odds of every game: (draws, games)."""
    odds = coefficients[:, games.first] - coefficients[:, games.second]
    return odds + coefficients[:, games.models :] @ games.covariates.T if games.covariates.shape[1] else odds


def _newton_step(
    games: Games, weights: np.ndarray, won: np.ndarray, coefficients: np.ndarray, problem: tuple[np.ndarray, float]
) -> tuple[np.ndarray, np.ndarray]:
    """The Newton step of each draw, and the largest change of any game's log-odds by it."""
    free, ridge = problem
    probability = 1 / (1 + np.exp(-np.clip(_log_odds(games, coefficients), -500, 500)))
    gradient = _gradient(games, won - weights * probability) - ridge * coefficients
    hessian = _hessian(games, weights * probability * (1 - probability))
    hessian[:, np.arange(len(hessian[0])), np.arange(len(hessian[0]))] += ridge + 1e-12 * weights.sum(axis=1)[:, None]
    step = np.linalg.solve(hessian[:, free[:, None], free], gradient[:, free, None])[:, :, 0]
    full_step = np.zeros_like(coefficients)
    full_step[:, free] = step
    return step, np.abs(_log_odds(games, full_step)).max(axis=1)


def _gradient(games: Games, residuals: np.ndarray) -> np.ndarray:
    """The residuals (draws, games) summed by model and by covariate."""
    starts = games.starts
    pairs = np.add.reduceat(residuals, starts, axis=1)
    return np.concatenate([pairs @ _incidence(games, starts), residuals @ games.covariates], axis=1)


def _hessian(games: Games, variances: np.ndarray) -> np.ndarray:
    """The Laplacian of the pairs' summed variances, bordered by the covariates."""
    starts, size, width = games.starts, games.models, games.covariates.shape[1]
    out = np.zeros((len(variances), size + width, size + width))
    pairs = np.add.reduceat(variances, starts, axis=1)
    first, second = games.first[starts], games.second[starts]
    out[:, first, second] = out[:, second, first] = -pairs
    out[:, np.arange(size), np.arange(size)] = -out[:, :size, :size].sum(axis=2)
    incidence = _incidence(games, starts)
    for one in range(width):
        scaled = variances * games.covariates[:, one]
        out[:, :size, size + one] = out[:, size + one, :size] = np.add.reduceat(scaled, starts, axis=1) @ incidence
        out[:, size + one, size:] = scaled @ games.covariates
    return out


def _incidence(games: Games, starts: np.ndarray) -> np.ndarray:
    """The incidence matrix (pairs, models): +1 at a pair's first model, -1 at its second."""
    out = np.zeros((len(starts), games.models))
    rows = np.arange(len(starts))
    out[rows, games.first[starts]] = 1
    out[rows, games.second[starts]] -= 1
    return out

"""Logistic regression with few features and l1 and l2 penalties, for many weightings ("draws") of the rows; labels in [0, 1].

For each draw it minimises  sum_i w_i loss_i(b) + l1 |b|_1 + l2 |b|_2^2 / 2  to machine precision by proximal Newton steps. Each
step solves a quadratic model, by coordinate descent where a coefficient enters, leaves or changes sign, so useless features get
exactly 0. There is no intercept; add a column of ones, which is penalised like any other. Without a penalty the minimum may not
be unique (separable labels, collinear features): that draw is NaN.
"""

from dataclasses import dataclass

import numpy as np

from attar.core.errors import DataError

Array = np.ndarray
_STEPS, _HALVINGS, _SWEEPS = 100, 40, 500
_GRADIENT_TOLERANCE = 1e-9  # largest optimality gap accepted, relative to sum_i w_i |x_i|
_FLAT_CURVATURE = 1e-8  # smallest eigenvalue of the scaled Hessian below which the minimum is not unique
_BLOCK = 1 << 16  # rows x draws processed at once: what fits in a core's cache


@dataclass(slots=True)
class _Draws:
    """Draws being fitted: coefficients (draws, features), weights (draws, rows), penalties (draws,)."""

    b: Array
    weights: Array
    l1: Array
    l2: Array


def fit(
    features: Array,
    labels: Array,
    weights: Array | None = None,
    *,
    l1: Array | float = 0.0,
    l2: Array | float = 0.0,
    start: Array | None = None,
) -> Array:
    """The coefficients of each draw, (draws, features); `weights` is (draws, rows), and penalties may differ by draw."""
    weights = np.ones((1, len(labels))) if weights is None else np.atleast_2d(weights)
    count, width = len(weights), features.shape[1] if features.ndim == 2 else 0
    _check(features, labels, weights)
    one, two = (np.broadcast_to(np.asarray(penalty, dtype=float), count) for penalty in (l1, l2))
    out = np.zeros((count, width)) if start is None else np.broadcast_to(start, (count, width)).astype(float)
    pairs = np.stack([features[:, i] * features[:, j] for i in range(width) for j in range(width)], axis=1)
    block = max(1, _BLOCK // max(1, len(labels)))
    for at in range(0, count, block):
        here = slice(at, at + block)
        draws = _Draws(out[here], weights[here].astype(float), one[here], two[here])
        out[here] = _solve(features, pairs, labels, draws)
    return out


def predict(features: Array, coefficients: Array) -> Array:
    """The probability of each row for each draw: (draws, rows)."""
    return _sigmoid_and_softplus(coefficients @ features.T)[0]


def _check(features: Array, labels: Array, weights: Array) -> None:
    if features.ndim != 2 or features.shape[0] != len(labels) or weights.shape[1] != len(labels):
        raise DataError(f"features of shape {features.shape}, {len(labels)} labels, weights of shape {weights.shape}")
    if not np.isfinite(features).all():
        raise DataError("features must be finite numbers")
    if not ((labels >= 0) & (labels <= 1)).all():
        raise DataError("labels must be between 0 and 1")
    if not ((weights >= 0) & np.isfinite(weights)).all():
        raise DataError("weights must be finite and >= 0")


def _sigmoid_and_softplus(z: Array) -> tuple[Array, Array]:
    """1 / (1 + exp(-z)) and log(1 + exp(z)), without overflow."""
    e = np.exp(-np.abs(z))
    whole = 1 + e
    return np.where(z >= 0, 1.0, e) / whole, np.maximum(z, 0) + np.log(whole)


def _solve(features: Array, pairs: Array, labels: Array, draws: _Draws) -> Array:
    """Newton steps for all draws together until all have converged; draws that do not converge are NaN."""
    out = np.full_like(draws.b, np.nan)
    label_sums = draws.weights @ (labels[:, None] * features)  # sum_i w_i y_i x_i: (draws, features)
    tolerance = _GRADIENT_TOLERANCE * (draws.weights @ np.abs(features) + 1e-300)
    p, objective = _objective(draws, features, label_sums)
    for _ in range(_STEPS):
        gradient = (draws.weights * p) @ features - label_sums + draws.l2[:, None] * draws.b
        converged = np.asarray((_optimality_gap(gradient, draws) <= tolerance).all(axis=1))
        if converged.all():
            return _reject_flat(draws, p, pairs)
        out[converged] = draws.b[converged]
        hessian = ((draws.weights * (p * (1 - p))) @ pairs).reshape(len(out), *[features.shape[1]] * 2)
        p, objective = _line_search(draws, _newton_step(draws, gradient, hessian), objective, features, label_sums)
    draws.b = out
    return _reject_flat(draws, p, pairs)


def _reject_flat(draws: _Draws, p: Array, pairs: Array) -> Array:
    """The coefficients; NaN for draws without a penalty whose objective is flat in some direction."""
    b, width = draws.b.copy(), draws.b.shape[1]
    for draw in np.flatnonzero((draws.l1 == 0) & (draws.l2 == 0)):
        variances = p[draw] * (1 - p[draw]), 1.0
        hessian, largest = (((draws.weights[draw] * each) @ pairs).reshape(width, width) for each in variances)
        scale = np.sqrt(np.diag(largest))
        if not scale.all() or np.linalg.eigvalsh(hessian / np.outer(scale, scale))[0] < _FLAT_CURVATURE:
            b[draw] = np.nan
    return b


def _objective(draws: _Draws, features: Array, label_sums: Array) -> tuple[Array, Array]:
    """The predicted probabilities (draws, rows), and the objective (draws,)."""
    p, softplus = _sigmoid_and_softplus(draws.b @ features.T)
    loss = np.einsum("dn,dn->d", draws.weights, softplus) - (draws.b * label_sums).sum(axis=1)
    return p, loss + draws.l1 * np.abs(draws.b).sum(axis=1) + draws.l2 * (draws.b**2).sum(axis=1) / 2


def _optimality_gap(gradient: Array, draws: _Draws) -> Array:
    """How far each coefficient is from the KKT conditions: g = -l1 sign(b) where b != 0, |g| <= l1 where b = 0."""
    l1 = draws.l1[:, None]
    return np.where(draws.b == 0, np.maximum(np.abs(gradient) - l1, 0), np.abs(gradient + l1 * np.sign(draws.b)))


def _newton_step(draws: _Draws, gradient: Array, hessian: Array) -> tuple[Array, Array]:
    """The step to the minimum of the quadratic model, and the change that the model predicts (negative)."""
    b, l1 = draws.b, draws.l1[:, None]
    diagonal = np.einsum("dii->di", hessian)  # a view
    diagonal += draws.l2[:, None]
    diagonal += 1e-12 * (1e-300 + diagonal.sum(axis=1, keepdims=True))
    free, sign = (b != 0) | (l1 == 0), np.sign(b)
    block = np.where(free[:, :, None] & free[:, None, :], hessian, np.eye(b.shape[1]))
    move = np.linalg.solve(block, np.where(free, -gradient - l1 * sign, 0.0)[:, :, None])[:, :, 0]
    rest = gradient + np.einsum("dij,dj->di", hessian, move)
    same_support = np.where(free, (l1 == 0) | (np.sign(b + move) == sign), np.abs(rest) <= l1).all(axis=1)
    if len(other := np.flatnonzero(~same_support)):  # a coefficient enters, leaves or changes sign
        move[other] = _coordinate_descent(b[other], gradient[other], hessian[other], draws.l1[other])
    return move, (gradient * move).sum(axis=1) + draws.l1 * (np.abs(b + move).sum(axis=1) - np.abs(b).sum(axis=1))


def _coordinate_descent(b: Array, gradient: Array, hessian: Array, l1: Array) -> Array:
    """The same step by coordinate descent with soft thresholding, so that coefficients can become exactly 0."""
    move, model_gradient = np.zeros_like(b), gradient.copy()
    for _ in range(_SWEEPS):
        largest = np.zeros(len(b))
        for j in range(b.shape[1]):
            curvature = hessian[:, j, j]
            target = b[:, j] + move[:, j] - model_gradient[:, j] / curvature
            change = np.sign(target) * np.maximum(np.abs(target) - l1 / curvature, 0) - b[:, j] - move[:, j]
            model_gradient += change[:, None] * hessian[:, j]
            move[:, j] += change
            largest = np.maximum(largest, np.abs(change))
        if (largest <= 1e-9 * (np.abs(b) + np.abs(move)).max(axis=1)).all():
            break
    return np.where(np.abs(b + move) <= 1e-15 * np.abs(b), -b, move)


def _line_search(
    draws: _Draws, step: tuple[Array, Array], objective: Array, features: Array, label_sums: Array
) -> tuple[Array, Array]:
    """Halve each draw's step until the objective decreases enough (Armijo); changes `draws.b`, returns its `_objective`."""
    (move, predicted), before, share = step, draws.b, 1.0
    draws.b = before + move
    p, value = _objective(draws, features, label_sums)
    rounding = 1e-13 * (1 + np.abs(objective))
    for _ in range(_HALVINGS):
        failed = np.flatnonzero(~(value <= objective + 1e-4 * share * predicted + rounding))
        if not len(failed):
            break
        share /= 2
        draws.b[failed] = before[failed] + share * move[failed]
        retried = _Draws(draws.b[failed], draws.weights[failed], draws.l1[failed], draws.l2[failed])
        p[failed], value[failed] = _objective(retried, features, label_sums[failed])
    return p, value

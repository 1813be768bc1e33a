"""Logistic regression of few features, many draws at once: labels from 0 to 1, weights of rows, penalties of both kinds.

For each draw it finds the b with the least  sum of weight x loss + l1 |b| + l2 b.b / 2,  to rounding, by Newton steps whose
quadratic models are solved a feature at a time, so that a feature that is worth nothing has exactly 0. There is no intercept
but a feature of ones, which is penalised like any other. Without a penalty a draw may have no one least (features that tell the
labels apart, or say the same): it is NaN.
"""

from dataclasses import dataclass

import numpy as np

from attar.core.errors import DataError

Array = np.ndarray
_STEPS, _HALVINGS, _SWEEPS = 100, 40, 500
_GRADIENT_TOLERANCE = 1e-9  # how far, beside the weights, a slope may be from what a least has
_FLAT_CURVATURE = 1e-8  # how little, beside what it may be, the bend of what is to be least is none
_BLOCK = 1 << 16  # rows x draws that are worked on at once: what a core's cache holds


@dataclass(slots=True)
class _Draws:
    """Draws under way: coefficients, weights and penalties, a line for each."""

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
    """The coefficients of each draw, a line for each; `weights` has a line for each draw, and penalties may differ by draw."""
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
    """What the coefficients say of each row, a line for each draw."""
    return _sigmoid_and_softplus(coefficients @ features.T)[0]


def _check(features: Array, labels: Array, weights: Array) -> None:
    if features.ndim != 2 or features.shape[0] != len(labels) or weights.shape[1] != len(labels):
        raise DataError(f"features of shape {features.shape}, {len(labels)} labels, weights of shape {weights.shape}")
    if not np.isfinite(features).all():
        raise DataError("a feature is no finite number")
    if not ((labels >= 0) & (labels <= 1)).all():
        raise DataError("a label lies outside 0 to 1")
    if not ((weights >= 0) & np.isfinite(weights)).all():
        raise DataError("a weight is less than 0, or no finite number")


def _sigmoid_and_softplus(z: Array) -> tuple[Array, Array]:
    """The logistic function of z, and log(1 + exp(z)); neither overflows."""
    e = np.exp(-np.abs(z))
    whole = 1 + e
    return np.where(z >= 0, 1.0, e) / whole, np.maximum(z, 0) + np.log(whole)


def _solve(features: Array, pairs: Array, labels: Array, draws: _Draws) -> Array:
    """Newton steps for all draws together, until all have arrived; those that do not are NaN."""
    out = np.full_like(draws.b, np.nan)
    wanted = draws.weights @ (labels[:, None] * features)  # what the predictions' sums come to where there is no penalty
    size = _GRADIENT_TOLERANCE * (draws.weights @ np.abs(features) + 1e-300)
    p, worth = _objective(draws, features, wanted)
    for _ in range(_STEPS):
        slope = (draws.weights * p) @ features - wanted + draws.l2[:, None] * draws.b
        there = np.asarray((_optimality_gap(slope, draws) <= size).all(axis=1))
        if there.all():
            return _reject_flat(draws, p, pairs)
        out[there] = draws.b[there]
        bend = ((draws.weights * (p * (1 - p))) @ pairs).reshape(len(out), *[features.shape[1]] * 2)
        p, worth = _line_search(draws, _newton_step(draws, slope, bend), worth, features, wanted)
    draws.b = out
    return _reject_flat(draws, p, pairs)


def _reject_flat(draws: _Draws, p: Array, pairs: Array) -> Array:
    """The coefficients; NaN where there is no penalty, and a direction in which what is to be least is flat."""
    b, width = draws.b.copy(), draws.b.shape[1]
    for free in np.flatnonzero((draws.l1 == 0) & (draws.l2 == 0)):
        bend, most = (((draws.weights[free] * each) @ pairs).reshape(width, width) for each in (p[free] * (1 - p[free]), 1.0))
        size = np.sqrt(np.diag(most))
        if not size.all() or np.linalg.eigvalsh(bend / np.outer(size, size))[0] < _FLAT_CURVATURE:
            b[free] = np.nan
    return b


def _objective(draws: _Draws, features: Array, wanted: Array) -> tuple[Array, Array]:
    """What coefficients say of each row, and what is to be the least."""
    p, loss = _sigmoid_and_softplus(draws.b @ features.T)
    fits = np.einsum("dn,dn->d", draws.weights, loss) - (draws.b * wanted).sum(axis=1)
    return p, fits + draws.l1 * np.abs(draws.b).sum(axis=1) + draws.l2 * (draws.b**2).sum(axis=1) / 2


def _optimality_gap(slope: Array, draws: _Draws) -> Array:
    """How far slopes are from what they are at a least."""
    l1 = draws.l1[:, None]
    return np.where(draws.b == 0, np.maximum(np.abs(slope) - l1, 0), np.abs(slope + l1 * np.sign(draws.b)))


def _newton_step(draws: _Draws, slope: Array, bend: Array) -> tuple[Array, Array]:
    """The step to the least of the quadratic model, and what the model says it gains (below 0)."""
    b, l1 = draws.b, draws.l1[:, None]
    steep = np.einsum("dii->di", bend)  # a view
    steep += draws.l2[:, None]
    steep += 1e-12 * (1e-300 + steep.sum(axis=1, keepdims=True))
    free, sign = (b != 0) | (l1 == 0), np.sign(b)
    block = np.where(free[:, :, None] & free[:, None, :], bend, np.eye(b.shape[1]))
    move = np.linalg.solve(block, np.where(free, -slope - l1 * sign, 0.0)[:, :, None])[:, :, 0]
    rest = slope + np.einsum("dij,dj->di", bend, move)
    kept = np.where(free, (l1 == 0) | (np.sign(b + move) == sign), np.abs(rest) <= l1).all(axis=1)
    if len(other := np.flatnonzero(~kept)):  # a coefficient begins, ends or turns
        move[other] = _coordinate_descent(b[other], slope[other], bend[other], draws.l1[other])
    return move, (slope * move).sum(axis=1) + draws.l1 * (np.abs(b + move).sum(axis=1) - np.abs(b).sum(axis=1))


def _coordinate_descent(b: Array, slope: Array, bend: Array, l1: Array) -> Array:
    """The same step, found a feature at a time, so that one may stop at 0."""
    move, tilt = np.zeros_like(b), slope.copy()  # tilt: the model's slope where we are
    for _ in range(_SWEEPS):
        far = np.zeros(len(b))
        for j in range(b.shape[1]):
            steep = bend[:, j, j]
            aim = b[:, j] + move[:, j] - tilt[:, j] / steep
            by = np.sign(aim) * np.maximum(np.abs(aim) - l1 / steep, 0) - b[:, j] - move[:, j]
            tilt += by[:, None] * bend[:, j]
            move[:, j] += by
            far = np.maximum(far, np.abs(by))
        if (far <= 1e-9 * (np.abs(b) + np.abs(move)).max(axis=1)).all():
            break
    return np.where(np.abs(b + move) <= 1e-15 * np.abs(b), -b, move)


def _line_search(draws: _Draws, step: tuple[Array, Array], worth: Array, features: Array, wanted: Array) -> tuple[Array, Array]:
    """Take the step, or half of it, or a quarter, until it is worth it; `draws.b` is changed, what it says is returned."""
    (move, gain), before, share = step, draws.b, 1.0
    draws.b = before + move
    p, now = _objective(draws, features, wanted)
    rounding = 1e-13 * (1 + np.abs(worth))
    for _ in range(_HALVINGS):
        poor = np.flatnonzero(~(now <= worth + 1e-4 * share * gain + rounding))
        if not len(poor):
            break
        share /= 2
        draws.b[poor] = before[poor] + share * move[poor]
        some = _Draws(draws.b[poor], draws.weights[poor], draws.l1[poor], draws.l2[poor])
        p[poor], now[poor] = _objective(some, features, wanted[poor])
    return p, now

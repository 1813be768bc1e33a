"""Cluster bootstrap intervals of means, and tests for which side is better.

A draw resamples whole clusters (questions, prompts) with replacement; all draws are made at once. The interval is the middle
95% of draws, widened for few clusters by Student's t (by about a third for eight) and, for means, shifted for skewness (BCa).
With fewer than two clusters there is no interval.
"""

from collections.abc import Iterator, Sequence
from math import erf, sqrt
from typing import Any

import numpy as np
import polars as pl

from attar.core.errors import DataError
from attar.statistics.intervals import student_t, wilson

Values = Sequence[float] | np.ndarray
Interval = tuple[float, float | None, float | None]
"""A figure, and the two ends of its 95% interval."""
_BLOCK_VALUES = 1 << 21
"""Values of draws held in memory at once."""


def cluster_codes(clusters: Sequence[Any] | np.ndarray | pl.Series) -> tuple[np.ndarray, int]:
    """Each row's cluster as a number, and how many there are; sorted by name, so that draws do not depend on the row order."""
    names, code = np.unique(np.asarray(clusters), return_inverse=True)
    return code, len(names)


def resample_counts(clusters: int, draws: int, seed: int, *, width: int = 0) -> Iterator[np.ndarray]:
    """How often each cluster is in each draw: (draws, clusters), in blocks; `width` makes the blocks smaller, not different."""
    rng = np.random.default_rng(seed)
    size = max(1, _BLOCK_VALUES // max(clusters, width))
    for start in range(0, draws, size):
        many = min(size, draws - start)
        picked = rng.integers(0, clusters, (many, clusters)) + clusters * np.arange(many)[:, None]
        yield np.bincount(picked.ravel(), minlength=many * clusters).reshape(many, clusters).astype(float)


def resampled_sums(rows: np.ndarray, clusters: np.ndarray, count: int, draws: int, seed: int) -> np.ndarray:
    """The columns' sums over all rows, and then over the rows of each draw: (1 + draws, columns)."""
    sums = np.stack([np.bincount(clusters, weights=column, minlength=count) for column in rows.T], axis=1)
    return np.concatenate([sums.sum(axis=0)[None], *(block @ sums for block in resample_counts(count, draws, seed))])


def bootstrap_interval(draws: np.ndarray, clusters: int, *, acceleration: float = 0.0) -> tuple[float | None, float | None]:
    """The 95% interval of a figure from its bootstrap draws, the one rule of the package.

    The ends are quantiles of the draws at  Phi(a + (a + z) / (1 - a (a + z))),  z = -+ t sqrt(n / (n - 1)),  with n clusters,
    t of n - 1 degrees of freedom, and a the `acceleration` (BCa, Efron 1987). Draws that are not finite do not count.
    """
    sound = draws[np.isfinite(draws)]
    if clusters < 2 or not len(sound):
        return None, None
    out = student_t(clusters - 1) * sqrt(clusters / (clusters - 1))
    a = acceleration
    ends = [_normal_cdf(a + (a + z) / (1 - a * (a + z))) for z in (-out, out)]
    low, high = np.quantile(sound, ends)
    return float(low), float(high)


def _normal_cdf(z: float) -> float:
    return (1 + erf(z / sqrt(2))) / 2


def _acceleration(influence: np.ndarray, code: np.ndarray, count: int) -> float:
    """BCa's acceleration  sum u^3 / (6 (sum u^2)^1.5)  of the clusters' influence u; for a mean also its bias."""
    each = np.bincount(code, weights=influence, minlength=count)
    squares = float(each @ each)
    return float((each**3).sum() / (6 * squares**1.5)) if squares > 1e-24 else 0.0


def mean(
    values: Values,
    clusters: Sequence[Any] | np.ndarray | pl.Series,
    *,
    weights: Values | None = None,
    share: bool = False,
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """The weighted mean over all rows, and its interval. A `share` of exactly 0 or 1 gets Wilson's interval over clusters."""
    rows, code, count = _weighted_rows(values, clusters, weights)
    sums = resampled_sums(rows, code, count, draws, seed)
    means = _divide(sums[:, 0], sums[:, 1])
    value = float(means[0])
    if share and min(abs(value), abs(1 - value)) < 1e-12:
        return value, *wilson(round(value) * count, count)
    return value, *bootstrap_interval(means[1:], count, acceleration=_acceleration(_influence(rows, value), code, count))


def difference(
    first: Values,
    second: Values,
    clusters: Sequence[Any] | np.ndarray | pl.Series,
    *,
    weights: tuple[Values, Values] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """Mean of `first` minus mean of `second` over the same rows, each with its own weights; both use the same draws."""
    if len(first) != len(second):
        raise DataError(f"{len(first)} values against {len(second)}: a paired difference needs the same rows on both sides")
    one, code, count = _weighted_rows(first, clusters, weights and weights[0])
    other, _, _ = _weighted_rows(second, clusters, weights and weights[1])
    sums = resampled_sums(np.hstack([one, other]), code, count, draws, seed)
    sides = _divide(sums[:, 0], sums[:, 1]), _divide(sums[:, 2], sums[:, 3])
    gaps = sides[0] - sides[1]
    influence = _influence(one, float(sides[0][0])) - _influence(other, float(sides[1][0]))
    return float(gaps[0]), *bootstrap_interval(gaps[1:], count, acceleration=_acceleration(influence, code, count))


def _influence(rows: np.ndarray, value: float) -> np.ndarray:
    """The influence function of a weighted mean: w (x - mean) / sum of w."""
    return (rows[:, 0] - value * rows[:, 1]) / rows[:, 1].sum()


def sign_test(values: Values, clusters: Sequence[Any] | np.ndarray | pl.Series, *, tie: float = 0.5) -> float:
    """Two-sided p value of the sign test over clusters; tied clusters do not count."""
    gaps, _ = _cluster_gaps(np.asarray(values, dtype=float) - tie, clusters)
    won, lost = int((gaps > 0).sum()), int((gaps < 0).sum())
    if not won + lost:
        return 1.0
    ways = tail = 1
    for k in range(min(won, lost)):
        ways = ways * (won + lost - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / 2 ** (won + lost))


def permutation_test(
    first: Values,
    second: Values,
    clusters: Sequence[Any] | np.ndarray | pl.Series,
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> float:
    """Two-sided p value of a paired permutation test: each cluster's sides are swapped or not; exact if 2^clusters <= draws."""
    gaps, count = _cluster_gaps(np.asarray(first, dtype=float) - np.asarray(second, dtype=float), clusters)
    least = abs(gaps.sum()) * (1 - 1e-12) - 1e-12
    if 2**count <= draws:
        ways = np.arange(2**count)[:, None] >> np.arange(count)
        return float(np.mean(np.abs((1 - 2 * (ways & 1)) @ gaps) >= least))
    rng, hits = np.random.default_rng(seed), 0
    for start in range(0, draws, size := max(1, _BLOCK_VALUES // count)):
        signs = 1.0 - 2.0 * rng.integers(0, 2, (min(size, draws - start), count), dtype=np.int8)
        hits += int((np.abs(signs @ gaps) >= least).sum())
    return (hits + 1) / (draws + 1)  # the observed assignment counts as one, so p is never 0


def _cluster_gaps(gaps: np.ndarray, clusters: Sequence[Any] | np.ndarray | pl.Series) -> tuple[np.ndarray, int]:
    """The sums of gaps by cluster, with rounding errors set to 0, and the number of clusters."""
    code, count = cluster_codes(clusters)
    sums = np.bincount(code, weights=gaps, minlength=count)
    return np.where(np.abs(sums) < 1e-12, 0.0, sums), count


def _weighted_rows(
    values: Values, clusters: Sequence[Any] | np.ndarray | pl.Series, weights: Values | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """[weight x value, weight] as (rows, 2), each row's cluster, and the number of clusters."""
    numbers = np.asarray(values, dtype=float)
    factors = np.ones(len(numbers)) if weights is None else np.asarray(weights, dtype=float)
    if not len(numbers) or not np.isfinite(numbers).all() or not (factors > 0).any():
        raise DataError("a mean needs finite numbers and a positive weight: leave out rows that have none")
    code, count = cluster_codes(clusters)
    return np.stack([numbers * factors, factors], axis=1), code, count


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below; NaN or infinite, without a warning, where `below` is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return above / below

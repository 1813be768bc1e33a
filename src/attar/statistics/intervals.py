"""Intervals of a share, of a paired difference, and of a mean over runs."""

from collections.abc import Sequence
from math import sqrt

import numpy as np

from attar.core.errors import DataError

_STUDENT_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131),
    *(2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045),
)
"""What 95% of Student's t lies within, for two values and on; more than there are here take the last, a little too wide."""


def wilson(successes: float, count: float, z: float = 1.959964) -> tuple[float, float]:
    """The 95% interval of a share (Wilson's score interval: sound at the ends and for small counts)."""
    if count == 0:
        return 0.0, 1.0
    share = successes / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def paired_difference(
    first: Sequence[float], second: Sequence[float], *, draws: int = 4000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of first - second over the same items, and its 95% bootstrap interval over items."""
    gaps = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    rng = np.random.default_rng(seed)
    means = np.sort([gaps[rng.integers(0, len(gaps), len(gaps))].mean() for _ in range(draws)])
    return float(gaps.mean()), float(means[int(0.025 * draws)]), float(means[int(0.975 * draws)])


def mean_over_runs(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of a figure over runs, and its 95% interval by Student's t; one run has no interval over runs."""
    if len(values) < 2:
        raise DataError(f"an interval over runs needs two of them; here are {len(values)}")
    mean = float(np.mean(values))
    half = _STUDENT_T[min(len(values) - 2, len(_STUDENT_T) - 1)] * float(np.std(values, ddof=1)) / sqrt(len(values))
    return mean, mean - half, mean + half

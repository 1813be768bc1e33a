"""Student's t quantile, and intervals of a share and of a mean over runs."""

from collections.abc import Sequence
from math import sqrt

import numpy as np

from attar.core.errors import DataError

Z = 1.959964
"""95% of the standard normal distribution is within -Z and Z."""
_STUDENT_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131),
    *(2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045),
)
"""The 97.5% quantile of Student's t for 1, 2, 3, ... degrees of freedom."""


def student_t(degrees: int) -> float:
    """The bound t with P(-t < T < t) = 95% for Student's t with this many degrees of freedom, correct to 0.001.

    Beyond the table it is the Cornish-Fisher expansion  t = z + (z^3 + z) / 4n + (5z^5 + 16z^3 + 3z) / 96n^2.
    """
    if degrees <= len(_STUDENT_T):
        return _STUDENT_T[degrees - 1]
    return Z + (Z**3 + Z) / (4 * degrees) + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * degrees**2)


def wilson(successes: float, count: float, z: float = Z) -> tuple[float, float]:
    """The 95% interval of a share (Wilson's score interval: sound at the ends and for small counts)."""
    if count == 0:
        return 0.0, 1.0
    share = successes / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def mean_over_runs(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of a figure over two or more runs, and its 95% interval: mean +- t * sd / sqrt(n)."""
    if len(values) < 2:
        raise DataError(f"an interval over runs needs two or more runs, got {len(values)}")
    mean = float(np.mean(values))
    half = student_t(len(values) - 1) * float(np.std(values, ddof=1)) / sqrt(len(values))
    return mean, mean - half, mean + half

from math import gamma, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError
from attar.statistics import intervals


def test_wilson_gives_the_textbook_interval():
    low, high = intervals.wilson(8, 10)  # centre (0.8 + 0.19207) / 1.38415, half width 0.22646
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))


def test_wilson_is_sound_at_the_ends():
    assert intervals.wilson(0, 10) == (0.0, pytest.approx(3.8415 / 13.8415, abs=1e-4))
    assert intervals.wilson(10, 10)[1] == pytest.approx(1.0)
    assert intervals.wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_share_lies_in_its_interval(counts):
    low, high = intervals.wilson(*counts)
    assert 0 <= low <= counts[0] / counts[1] + 1e-12
    assert counts[0] / counts[1] - 1e-12 <= high <= 1


def test_three_runs_have_the_textbook_interval():
    mean, low, high = intervals.mean_over_runs(
        [0.50, 0.53, 0.56]
    )  # deviation 0.03, t 4.303, so 4.303 * 0.03 / sqrt(3) to each side
    assert (mean, low, high) == (pytest.approx(0.53), pytest.approx(0.53 - 0.07453, abs=1e-5), pytest.approx(0.60453, abs=1e-5))


@pytest.mark.parametrize("count", range(2, 31))
def test_students_t_holds_95_percent_between_its_bounds(count):
    runs = [1.0] + [0.0] * (count - 1)
    _, low, high = intervals.mean_over_runs(runs)
    bound = (high - low) / 2 * sqrt(count) / np.std(runs, ddof=1)
    free = count - 1
    x = np.linspace(0, bound, 200_001)
    density = (1 + x * x / free) ** (-count / 2) * gamma(count / 2) / (sqrt(free * pi) * gamma(free / 2))
    assert 2 * np.trapezoid(density, x) == pytest.approx(0.95, abs=1e-4)


@pytest.mark.parametrize(("degrees", "bound"), [(29, 2.0452), (30, 2.0423), (60, 2.0003), (120, 1.9799), (1000, 1.9623)])
def test_students_t_has_the_printed_quantiles_where_the_table_ends_and_beyond(degrees, bound):
    assert intervals.student_t(degrees) == pytest.approx(bound, abs=3e-4)


def test_one_run_has_no_interval_over_runs():
    with pytest.raises(DataError, match="needs two or more runs, got 1"):
        intervals.mean_over_runs([0.5])

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attar.core.errors import DataError
from attar.statistics.logistic import fit, predict


def logit(share):
    return np.log(share / (1 - share))


def problem(seed, rows, width):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, width)) * 10 ** rng.uniform(-1, 1, width)
    return features, rng.beta(0.5, 0.5, rows), rng.exponential(size=(3, rows))


def slopes(features, labels, weights, b):
    """What is to be least, without penalties, by each coefficient: written out, a row at a time."""
    total = np.zeros(len(b))
    for x, y, w in zip(features, labels, weights, strict=True):
        total += w * (1 / (1 + np.exp(-float(x @ b))) - y) * x
    return total


def test_ones_alone_say_the_weighted_mean_of_the_labels():
    weights = np.array([[1.0, 1, 1], [3, 0, 1]])
    found = fit(np.ones((3, 1)), np.array([0.2, 0.5, 0.8]), weights)
    assert found[:, 0] == pytest.approx([logit(0.5), logit((3 * 0.2 + 0.8) / 4)], abs=1e-8)


def test_two_groups_have_the_log_odds_of_their_own_means():
    features = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    assert fit(features, np.array([0.1, 0.5, 1.0, 0.6]))[0] == pytest.approx([logit(0.3), logit(0.8)], abs=1e-8)


def test_a_penalty_of_the_first_kind_takes_its_share_of_the_slope_and_no_more():
    # 10 rows of which 8 are won: 10 (p - .8) = -l1 where b > 0, so p = .8 - l1 / 10, until p is a half and b is 0
    labels = np.array([1.0] * 8 + [0.0] * 2)
    found = fit(np.ones((10, 1)), labels, np.ones((4, 10)), l1=np.array([0.0, 1.0, 2.5, 3.0]))
    assert found[:, 0] == pytest.approx([logit(0.8), logit(0.7), logit(0.55), 0.0], abs=1e-8)
    assert found[3, 0] == 0.0


def test_a_penalty_of_the_second_kind_balances_the_slope():
    labels = np.array([1.0] * 8 + [0.0] * 2)
    b = fit(np.ones((10, 1)), labels, l2=2.0)[0, 0]
    assert 10 * (1 / (1 + np.exp(-b)) - 0.8) + 2 * b == pytest.approx(0, abs=1e-7)


@given(st.integers(0, 10_000), st.integers(3, 60), st.integers(1, 5), st.sampled_from([1e-4, 0.1, 1.0, 30.0]))
@settings(max_examples=60)
def test_every_draw_is_at_its_least(seed, rows, width, l1):
    features, labels, weights = problem(seed, rows, width)
    for w, b in zip(weights, fit(features, labels, weights, l1=l1, l2=0.01), strict=True):
        slope = slopes(features, labels, w, b) + 0.01 * b
        size = 1e-7 * (1 + w @ np.abs(features))
        at_zero = b == 0
        assert (np.abs(slope + l1 * np.sign(b)) <= size)[~at_zero].all()
        assert (np.abs(slope) <= l1 + size)[at_zero].all()


def test_draws_together_are_what_each_is_alone_wherever_it_starts():
    features, labels, weights = problem(7, 40, 3)
    weights = np.repeat(weights, 900, axis=0)  # more than are worked on at once
    together = fit(features, labels, weights, l1=0.5)
    for i in (0, 900, 1800, 2699):
        alone = fit(features, labels, weights[i], l1=0.5, start=np.array([9.0, -9.0, 9.0]))[0]
        assert together[i] == pytest.approx(alone, abs=1e-7)


def test_a_weight_counts_as_so_many_rows():
    features, labels, _ = problem(3, 12, 2)
    times = np.arange(12) % 4
    assert fit(features, labels, times, l1=0.3) == pytest.approx(
        fit(np.repeat(features, times, axis=0), np.repeat(labels, times), l1=0.3), abs=1e-7
    )


def test_labels_that_features_tell_apart_have_a_least_only_with_a_penalty():
    features, labels = np.array([[1.0, 0], [1, 1], [1, 5], [1, 6]]), np.array([0.0, 0, 1, 1])
    apart, penalised = fit(features, labels, np.ones((2, 4)), l1=np.array([0.0, 1e-3]))
    assert np.isnan(apart).all()
    assert np.isfinite(penalised).all()
    assert penalised[1] > 1
    assert np.isnan(fit(np.ones((4, 2)), np.array([0.1, 0.2, 0.3, 0.4]))).all()  # two features that say the same


def test_predictions_of_any_size_do_not_overflow():
    assert predict(np.array([[1.0], [-1.0]]), np.array([[1e4]])).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize(
    ("features", "labels", "weights", "says"),
    [
        ([[1.0], [2.0]], [0.5], None, "1 labels"),
        ([[1.0], [float("nan")]], [0.5, 0.5], None, "features must be finite numbers"),
        ([[1.0], [2.0]], [0.5, 1.5], None, "labels must be between 0 and 1"),
        ([[1.0], [2.0]], [0.5, float("nan")], None, "labels must be between 0 and 1"),
        ([[1.0], [2.0]], [0.5, 0.5], [[1.0, -1.0]], "weights must be finite and >= 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(features, labels, weights, says):
    with pytest.raises(DataError, match=says):
        fit(np.array(features), np.array(labels), None if weights is None else np.array(weights))

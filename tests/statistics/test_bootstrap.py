import subprocess
import sys
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attar.core.errors import DataError
from attar.statistics import bootstrap
from attar.statistics.intervals import wilson

COVERAGE = Path(__file__).parent.parent.parent / "bench" / "evaluation" / "interval_coverage.py"


def test_a_weighted_mean_is_the_one_worked_out_by_hand():
    value, low, high = bootstrap.mean([1, 0, 0.5], ["a", "a", "b"], weights=[3, 1, 2])  # (3 + 0 + 1) / 6
    assert value == pytest.approx(2 / 3)
    assert (low, high) == (pytest.approx(0.5), pytest.approx(0.75))  # draws are aa: 3/4, ab: 4/6, bb: 1/2


def test_rows_of_one_question_count_as_one_question():
    rng = np.random.default_rng(0)
    once = rng.random(400)
    alone = bootstrap.mean(once, np.arange(400))
    four = bootstrap.mean(np.repeat(once, 4), np.repeat(np.arange(400), 4))
    apart = bootstrap.mean(np.repeat(once, 4), np.arange(1600))
    assert four == pytest.approx(alone)
    half = 1.96 * once.std() / 20
    assert (four[2] - four[1]) / 2 == pytest.approx(half, rel=0.08)
    assert (apart[2] - apart[1]) / 2 == pytest.approx(half / 2, rel=0.08)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("abcde"), st.floats(0, 1)), min_size=2, max_size=20), st.randoms())
def test_an_interval_does_not_depend_on_the_order_of_rows(rows, random):
    def interval(rows):
        return bootstrap.mean([value for _, value in rows], [name for name, _ in rows], draws=50)

    shuffled = random.sample(rows, len(rows))
    assert interval(shuffled) == pytest.approx(interval(rows))


def test_draws_are_the_same_however_many_are_made_at_once():
    whole = np.concatenate(list(bootstrap.resample_counts(7, 100, 3)))
    small = list(bootstrap.resample_counts(7, 100, 3, width=1 << 18))
    assert len(small) > 5
    assert (np.concatenate(small) == whole).all()
    assert (whole.sum(axis=1) == 7).all()
    assert whole.mean(axis=0) == pytest.approx(np.ones(7), abs=0.35)  # each as often as the others


def test_few_questions_have_the_wider_interval_that_they_need():
    held = 0
    for seed in range(400):
        values = np.random.default_rng(seed).normal(size=6)
        _, low, high = bootstrap.mean(values, np.arange(6), draws=400, seed=seed)
        held += low <= 0 <= high
    assert held / 400 > 0.91  # the middle 95% of the draws as they are hold it in 86% of cases


def test_the_interval_of_a_rare_win_leans_to_more_wins():
    value, low, high = bootstrap.mean([1.0] * 5 + [0.0] * 245, range(250), draws=20_000)
    # the skewness by 6 is 0.0723, which takes 2.5% and 97.5% to 5.5% and 99.3% (Efron's formula);
    # of wins in 250 by 0.02 they are 2 (1: 3.9%, 2: 12%) and 11 (10: 98.7%, 11: 99.5%), where 2.5% and 97.5% were 1 and 10
    assert (value, low, high) == (0.02, pytest.approx(2 / 250), pytest.approx(11 / 250))


def test_of_one_question_there_is_no_interval():
    assert bootstrap.mean([1, 0], ["a", "a"]) == (0.5, None, None)


def test_a_share_of_none_or_all_has_wilsons_interval_over_questions():
    assert bootstrap.mean([1] * 20, np.repeat(np.arange(10), 2), share=True) == (1.0, *wilson(10, 10))
    assert bootstrap.mean([0] * 20, np.repeat(np.arange(10), 2), share=True) == (0.0, *wilson(0, 10))
    assert bootstrap.mean([1] * 20, np.repeat(np.arange(10), 2))[1:] == (1.0, 1.0)


def test_a_mean_of_nothing_is_an_error():
    for values in ([], [1.0, float("nan")]):
        with pytest.raises(DataError, match="leave out"):
            bootstrap.mean(values, list(range(len(values))))


def test_a_difference_takes_out_what_both_sides_share():
    hard = np.random.default_rng(1).random(500)
    value, low, high = bootstrap.difference(hard + 0.1, hard, np.arange(500))
    assert (value, low, high) == (pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.1))


def test_a_difference_of_many_questions_has_about_the_normal_interval():
    value, low, high = bootstrap.difference([1.0] * 300 + [0.0] * 700, [0.0] * 1000, range(1000), draws=4000)
    half = 1.96 * sqrt(0.3 * 0.7 / 1000)
    assert (value, low, high) == (
        pytest.approx(0.3),
        pytest.approx(0.3 - half, abs=0.004),
        pytest.approx(0.3 + half, abs=0.004),
    )


def test_a_difference_of_paired_questions_is_narrower_than_of_unpaired_ones():
    hard = [float(i % 2) for i in range(1000)]
    easier = [1.0 if i % 20 == 0 else value for i, value in enumerate(hard)]
    value, low, high = bootstrap.difference(easier, hard, range(1000))
    assert value == pytest.approx(0.05)
    assert high - low < 0.03  # an unpaired interval would be 0.088 wide


def test_the_interval_of_four_clusters_is_taken_at_students_quantile():
    draws = np.linspace(0, 1, 100_001)  # its quantile at p is p
    low, high = bootstrap.bootstrap_interval(draws, 4)
    # t of 3 degrees 3.182, times sqrt(4/3): z = 3.674, of which Phi(-z) = 0.000119
    assert (low, 1 - high) == (pytest.approx(0.000119, abs=2e-6), pytest.approx(0.000119, abs=2e-6))
    assert bootstrap.bootstrap_interval(draws, 1) == (None, None)


def test_each_side_of_a_difference_has_its_own_weights():
    value, *_ = bootstrap.difference([1, 0], [1, 0], ["a", "b"], weights=([3, 1], [1, 1]))
    assert value == pytest.approx(3 / 4 - 1 / 2)
    with pytest.raises(DataError, match="same rows"):
        bootstrap.difference([1, 0], [1], ["a", "b"])


def test_the_sign_test_is_exact():
    values = [1.0] * 8 + [0.0] * 2 + [0.5] * 5
    assert bootstrap.sign_test(values, range(15)) == pytest.approx(
        2 * (1 + 10 + 45) / 1024
    )  # of 10 that are no ties, 2 or fewer
    assert bootstrap.sign_test([0.5, 0.5], list("ab")) == 1.0
    assert bootstrap.sign_test([1.0, 0.0], list("ab")) == 1.0


def test_the_sign_test_counts_questions_and_not_rows():
    rows = [1.0] * 40
    assert bootstrap.sign_test(rows, np.arange(40) % 4) == pytest.approx(2 / 16)


def test_a_permutation_test_of_few_questions_is_exact():
    assert bootstrap.permutation_test([1, 2, 3], [0, 0, 0], list("abc")) == 2 / 8  # +6 and -6
    assert (
        bootstrap.permutation_test([1, 2, 3], [3, 3, 0], list("abc")) == 1.0
    )  # -2 - 1 + 3: every way is as far from nought or further
    assert bootstrap.permutation_test([1, 2, 3], [0, 0, 0], list("aab")) == 2 / 4  # gaps of 3 and 3: 6, 0, 0 and -6


def test_a_permutation_test_of_many_questions_is_near_the_exact_one():
    gaps = np.random.default_rng(5).normal(0.4, 1, 12)
    exact = bootstrap.permutation_test(gaps, np.zeros(12), range(12), draws=4096)
    drawn = bootstrap.permutation_test(gaps, np.zeros(12), range(12), draws=4000)
    assert exact * 4096 == round(exact * 4096)
    assert drawn == pytest.approx(exact, abs=4 * sqrt(exact * (1 - exact) / 4000))


def test_intervals_of_simulated_leaderboards_hold_the_truth():
    out = subprocess.run([sys.executable, str(COVERAGE), "6", "50"], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stdout + out.stderr
    assert "Bradley-Terry rating" in out.stdout
    assert "length-controlled" in out.stdout

import numpy as np
import pytest

from attar.statistics.concordance import FIGURES, ScoredRows, figures


def test_a_draw_in_which_all_scores_are_equal_says_nothing_of_their_order():
    prompts, answers = 4, 5
    rng = np.random.default_rng(0)
    rows = ScoredRows(
        np.repeat(rng.normal(7, 1, prompts), answers), rng.normal(5, 2, 20), np.arange(0, 20, answers), apart=False
    )
    found = figures(rows, 2000, seed=1)
    alone = np.isnan(found["spearman"].values)  # one prompt was drawn four times: 4 / 4^4 of the draws
    assert alone.mean() == pytest.approx(1 / 64, abs=0.008)
    assert np.array_equal(np.isnan(found["pearson"].values), alone)
    assert np.nanmax(np.abs(found["pearson"].values)) <= 1


def test_the_same_seed_gives_the_same_draws_and_another_one_others():
    rng = np.random.default_rng(0)
    rows = ScoredRows(rng.normal(5, 1, 30), rng.normal(5, 1, 30), np.arange(0, 30, 3), apart=False)
    once, again, other = (figures(rows, 50, seed) for seed in (1, 1, 2))
    for name in FIGURES:
        assert np.array_equal(once[name].values, again[name].values), name
        assert once[name].values[0] == other[name].values[0]
        assert not np.array_equal(once[name].values, other[name].values)

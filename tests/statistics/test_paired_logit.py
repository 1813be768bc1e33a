import numpy as np
import pytest

from attar.statistics.paired_logit import fit, sort_games


def test_many_weightings_at_once_are_each_by_itself():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 3, 60), rng.integers(3, 5, 60)
    played = sort_games((second, first), rng.random(60), rng.normal(size=(60, 2)), np.ones(60), np.arange(60))
    weights = rng.integers(0, 3, (8, 60)).astype(float)
    many = fit(played, weights, anchor=4, ridge=0.1)
    for row, own in zip(many, weights, strict=True):
        assert row == pytest.approx(fit(played, own[None], anchor=4, ridge=0.1)[0], abs=1e-7)
        odds = row[played.first] - row[played.second] + played.covariates @ row[5:]
        left = own * (played.share - 1 / (1 + np.exp(-odds)))  # at the likeliest the slopes are nought, but for the ridge's
        slopes = [left[played.first == m].sum() - left[played.second == m].sum() for m in range(4)]
        assert [*slopes, *(left @ played.covariates)] == pytest.approx(0.1 * np.delete(row, 4), abs=1e-6)


def test_a_game_means_the_same_whichever_side_stands_first():
    share, leads, ones = np.array([1.0, 0.25, 0.5]), np.array([[2.0], [-1.0], [3.0]]), np.ones(3)
    one = sort_games((np.array([0, 1, 0]), np.array([1, 2, 2])), share, leads, ones, np.arange(3))
    other = sort_games((np.array([1, 2, 2]), np.array([0, 1, 0])), 1 - share, -leads, ones, np.arange(3))
    assert one.first.tolist() == other.first.tolist() == [0, 0, 1]
    assert one.second.tolist() == other.second.tolist() == [1, 2, 2]
    assert one.share.tolist() == other.share.tolist() == [1.0, 0.5, 0.25]
    assert one.covariates.tolist() == other.covariates.tolist() == [[2.0], [3.0], [-1.0]]
    assert (one.cluster.tolist(), one.models, one.starts.tolist()) == ([0, 2, 1], 3, [0, 1, 2])


def test_three_wins_of_four_are_a_lead_of_log_three_and_a_start_does_not_move_it():
    played = sort_games(
        (np.zeros(4, int), np.ones(4, int)), np.array([1.0, 1, 1, 0]), np.zeros((4, 0)), np.ones(4), np.arange(4)
    )
    for start in (None, np.array([[5.0, 0.0]])):
        found = fit(played, np.ones((1, 4)), anchor=1, ridge=0, start=start)
        assert found[0] == pytest.approx([np.log(3), 0], abs=1e-8)

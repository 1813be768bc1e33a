import numpy as np
import pytest
from alpaca_for_tests import judged_battles, sigma

from attar.stages.evaluate.benchmarks import length_control
from attar.stages.evaluate.benchmarks.length_control import Battles, control_length


@pytest.mark.parametrize("term", ["length", "difficulty"])
def test_neither_length_nor_difficulty_can_be_left_out(world, term):
    longer = (900 + 40 * np.random.default_rng(5).normal(size=200) - 300 * world).round()
    rows, truth = judged_battles(world, longer, 0.3)
    whole = Battles(rows["preference"].to_numpy(), longer, np.arange(200), world)
    assert control_length(whole).values[0] == pytest.approx(truth, abs=0.5)
    assert abs(control_length(whole, without=[term]).values[0] - truth) > 2
    assert term not in control_length(whole, without=[term]).terms


def test_the_regularising_rows_tell_what_length_is_worth_where_a_model_is_always_longer(world):
    rng = np.random.default_rng(5)
    longer = (900 + 300 * rng.normal(size=200)).round()
    rows, truth = judged_battles(world, longer, 0.3)
    wins = (rng.random(200) < rows["preference"].to_numpy()).astype(float)
    whole = Battles(wins, longer, np.arange(200), world)
    assert control_length(whole).values[0] == pytest.approx(truth, abs=6)
    assert control_length(whole).length == pytest.approx(2, abs=0.2)
    assert abs(control_length(whole, without=["regulariser"]).values[0] - truth) > 12


@pytest.mark.parametrize(
    ("ability", "slope", "rate"),
    [
        (0.1923534665807022, 0.8334888457867451, 51.57500797967598),
        (-0.3182055425894927, 0.6835779026468267, 41.896601591245386),
    ],
    ids=["verbose", "concise"],
)
def test_the_shipped_difficulties_give_published_win_rates_from_published_coefficients(ability, slope, rate):
    shipped = length_control.alpaca_eval_questions()
    assert (len(shipped), shipped["text"].n_unique()) == (805, 805)
    assert 100 * sigma(ability + slope * shipped["difficulty"].to_numpy()).mean() == pytest.approx(rate, abs=1e-3)

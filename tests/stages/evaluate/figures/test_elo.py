from math import exp

import numpy as np
import polars as pl
import pytest
from battles_for_tests import battles, ratings_of

from attar.stages.evaluate.figures import bradley_terry, elo


def test_one_battle_moves_elo_by_half_a_step_to_each_side():
    out = elo.ratings(battles(("new", "old", 1)), anchor="old", step=4)
    assert ratings_of(out, "elo") == {"new": 1004, "old": 1000}  # 2 up and 2 down


def test_two_battles_are_worked_out_by_hand_in_both_orders():
    out = elo.ratings(battles(("new", "old", 1), ("new", "old", 0)), anchor="old", step=40, orders=400)
    after = 1 / (1 + 10 ** (-40 / 400))  # after a win, 20 up and 20 down, a loss takes more than it gave
    value = 40 - 2 * 40 * after  # win first; loss first gives as much the other way
    assert value < 0
    row = out.row(by_predicate=pl.col("model") == "new", named=True)
    assert row["value"] == pytest.approx(1000, abs=4 * abs(value) / 20)
    assert row["low"] < 1000 + value < 1000 - value < row["high"]  # draws of one question twice go further


def test_elo_ends_up_near_bradley_terry():
    rng = np.random.default_rng(0)
    rows = [("new", "old", float(rng.random() < exp(1) / (1 + exp(1)))) for _ in range(2000)]
    found = ratings_of(elo.ratings(battles(*rows), anchor="old", step=8, orders=50), "elo")["new"]
    assert found == pytest.approx(ratings_of(bradley_terry.ratings(battles(*rows), anchor="old"), "rating")["new"], abs=15)

from math import sqrt

import numpy as np
import polars as pl
import pytest
from agreement_for_tests import HAND, LINES, SURE, line, sure, table
from hypothesis import given, settings
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.core.stage import columns_read
from attar.stages.evaluate.judging import agreement


def test_a_reliability_curve_and_its_error_are_those_worked_out_by_hand():
    rows = table(("p", 1, 2), ("p", 2, 2), ("p", 6, 3), ("q", 7, 5), ("q", 10, 9), ("q", 5, None))
    out = agreement.reliability(rows, bins=4)
    noise = sqrt(2 / 3.14159265 * (0.5 + 0.5) / 2)  # differences from the bin's mean: -.5 .5 | .5 -.5 | 0, of 5 rows in 3 bins
    assert out.drop("noise").rows() == [
        ("bin 1", 0.0, 2.5, 2, 1.5, 2.0, 0.5),
        ("bin 2", 2.5, 5.0, 0, None, None, None),
        ("bin 3", 5.0, 7.5, 2, 6.5, 4.0, 2.5),
        ("bin 4", 7.5, 10.0, 1, 10.0, 9.0, 1.0),
        ("all", 0.0, 10.0, 5, 5.2, 4.2, pytest.approx(0.4 * 0.5 + 0.4 * 2.5 + 0.2 * 1.0)),
    ]
    assert out["noise"].to_list() == [
        pytest.approx(noise / sqrt(2)),
        None,
        pytest.approx(noise / sqrt(2)),
        pytest.approx(noise),
        pytest.approx(noise * (0.8 / sqrt(2) + 0.2)),
    ]


@given(LINES, st.sampled_from([0.1, 3.0, 100.0]), st.sampled_from([-4.0, 0.0, 1.0]))
@settings(max_examples=25)
def test_calibration_is_the_same_on_any_scale(rows, scale, shift):
    before = agreement.reliability(table(*((p, s + 0.3, g) for p, s, g in rows)), low=0, high=5, bins=5)
    moved = table(*((p, (s + 0.3) * scale + shift, g * scale + shift) for p, s, g in rows))
    after = agreement.reliability(moved, low=shift, high=5 * scale + shift, bins=5)
    assert after["count"].to_list() == before["count"].to_list()
    assert line(after, "all")["gap"] == pytest.approx(scale * line(before, "all")["gap"], abs=1e-9)


def test_a_score_that_is_right_shows_on_average_the_gap_that_is_called_noise():
    gaps, noises = [], []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        score = rng.uniform(0, 10, 120)
        rows = table(*(("p", s, s + e) for s, e in zip(score, rng.normal(0, 1.5, 120), strict=True)))
        whole = line(agreement.reliability(rows), "all")
        gaps.append(whole["gap"])
        noises.append(whole["noise"])
    assert np.mean(noises) == pytest.approx(np.mean(gaps), rel=0.05)


def test_where_each_bin_has_one_row_nobody_can_say_what_chance_does():
    out = agreement.reliability(table(("p", 1, 2), ("p", 7, 2)))
    assert out["noise"].null_count() == len(out)
    assert line(out, "all")["gap"] == 3.0


def test_a_score_outside_the_bins_and_bins_that_are_none_are_refused():
    with pytest.raises(DataError, match=r"row '3' has score 5, outside 0 to 4"):
        agreement.reliability(HAND, high=4)
    with pytest.raises(RecipeError, match="got low 3 and high 3"):
        agreement.reliability(HAND, low=3, high=3)
    with pytest.raises(RecipeError, match="bins must be >= 1, got 0"):
        agreement.reliability(HAND, bins=0)


def test_how_sure_a_judge_is_is_compared_with_how_often_it_is_right():
    out = agreement.sureness(SURE, labels=[0, 1, 2])
    told = {row["id"]: row for row in out.drop_nulls("chance").to_dicts()}
    assert {name: (row["low"], row["count"], row["chance"], row["right"], row["gap"]) for name, row in told.items()} == {
        "bin 8": (pytest.approx(0.7), 2, pytest.approx(0.7), 0.5, pytest.approx(0.2)),
        "bin 10": (pytest.approx(0.9), 1, pytest.approx(0.95), 1.0, pytest.approx(0.05)),
        "all": (0.0, 3, pytest.approx(2.35 / 3), pytest.approx(2 / 3), pytest.approx(0.15)),
    }


def test_labels_stand_for_the_chances_in_their_order():
    out = agreement.sureness(SURE.head(3), labels=[2, 1, 0])
    assert line(out, "all")["right"] == pytest.approx(2 / 3)  # a and b
    assert line(out, "bin 10")["right"] == 0.0


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (("x", [0.5, 0.5], 1), "row 'x' has 2 score_chances for 3 labels"),
        (("x", [-0.1, -2.5, -3.0], 1), "row 'x' has invalid score_chances"),
        (("x", [-0.1, 0.6, 0.5], 1), "row 'x' has invalid score_chances"),
        (("x", [0.0, 0.0, 0.0], 1), "row 'x' has invalid score_chances"),
        (("x", [0.5, None, 0.5], 1), "row 'x' has invalid score_chances"),
        (("x", [0.5, 0.2, 0.3], 1.5), "row 'x' has label 1.5, which is none of the labels"),
    ],
)
def test_chances_that_do_not_fit_name_their_row(row, says):
    with pytest.raises(DataError, match=says):
        agreement.sureness(pl.concat([SURE, sure(row)]), labels=[0, 1, 2])


def test_chances_that_are_no_lists_and_no_labels_at_all_are_refused_and_only_two_columns_are_read():
    with pytest.raises(DataError, match="'label' must hold lists of probabilities, got Float64"):
        agreement.sureness(SURE, labels=[1], chances="label")
    with pytest.raises(RecipeError, match="labels is empty"):
        agreement.sureness(SURE, labels=[])
    assert columns_read(agreement.sureness, {"labels": [1, 2]}) == ("score_chances", "label")

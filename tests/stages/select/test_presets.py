from itertools import product

import polars as pl
import pytest

from attar.core.errors import RecipeError
from attar.stages.select import presets, where

LEVELS = ["very easy", "easy", "medium", "hard", "very hard"]
GRADES = ["very poor", "poor", "average", "good", "excellent"]
ROWS = (
    pl.DataFrame(
        [
            {"difficulty": d, "quality": q, "reward": r, "base_reward": 0.0, "prompt": p, "repeat_of": o}
            for d, q, r, p, o in product(LEVELS, GRADES, [-20.0, -1.0, 1.0], ["Go.", "Go:"], [None, "x"])
        ]
    )
    .with_row_index("n")
    .with_columns(pl.format("r{}", "n").alias("id"))
)


def passed(name):
    return ROWS.filter(where.holds(ROWS, rule=presets.preset(name).rule)["kept"])


@pytest.mark.parametrize(
    ("name", "difficulties", "qualities", "rewards"),
    [  # from the table of the paper's released sets
        ("air", LEVELS[2:], GRADES[3:], [1.0]),
        ("pro", LEVELS, GRADES[2:], [-1.0, 1.0]),
        ("f2", LEVELS[1:], GRADES[3:], [-1.0, 1.0]),
        ("f3", LEVELS, GRADES, [-1.0, 1.0]),
        ("f4", LEVELS[1:], GRADES[3:], [1.0]),
        ("f5", LEVELS[1:], GRADES[3:], [-1.0, 1.0]),
        ("f6", LEVELS, GRADES, [-1.0, 1.0]),
    ],
)
def test_each_released_set_takes_what_the_paper_says(name, difficulties, qualities, rewards):
    out = passed(name)
    assert len(out) == len(difficulties) * len(qualities) * len(rewards)
    assert set(out["difficulty"]) == set(difficulties)
    assert set(out["quality"]) == set(qualities)
    assert set(out["reward"]) == set(rewards)
    assert set(out["prompt"]) == {"Go."}
    assert set(out["repeat_of"]) == {None}


def test_all_rank_by_length_but_f5_and_f6_halves_by_difficulty():
    sets = {name: presets.preset(name) for name in ("air", "pro", "f2", "f3", "f4", "f5", "f6")}
    assert {name for name, one in sets.items() if one.by == "response_chars"} == set(sets) - {"f5"}
    halves = ROWS.select(where.expression(sets["f6"].per).alias("easy"), "difficulty")
    assert set(halves.filter("easy")["difficulty"]) == {"very easy", "easy"}
    assert {name: one.size for name, one in sets.items()} == {
        "air": 300_000,
        "pro": 300_000,
        "f2": 300_000,
        "f3": 300_000,
        "f4": 300_000,
        "f5": 338_000,
        "f6": 200_000,
    }


def test_a_threshold_names_its_reward_model_which_is_known_by_its_name():
    with_threshold = {name for name, one in presets.FILTERS.items() if one.reward_above is not None}
    assert with_threshold == {"pro", "f2", "f3", "f5", "f6", "pocket"}
    pro = presets.preset("pro")
    assert pro.reward_above == -12
    assert pro.rule.endswith(" AND reward > -12")
    fits = {name: pro.fits(name) for name in ("sfairXC/FsfairX-LLaMA3-RM-v0.1", "./models/fsfairx-llama3-rm", "Skywork/V2")}
    assert list(fits.values()) == [True, True, False]
    assert presets.preset("pocket").fits("pocket:rewarder")
    assert not presets.preset("air").fits("sfairXC/FsfairX-LLaMA3-RM-v0.1")  # it compares two rewards


def test_a_misspelt_filter_is_named():
    with pytest.raises(RecipeError, match="no filter 'pri'; did you mean 'pro'"):
        presets.preset("pri")

from math import log
from random import Random

import numpy as np
import polars as pl
import pytest
from alpaca_for_tests import battles, judged_battles, sigma

from attar.core.errors import DataError, RecipeError
from attar.stages.evaluate.benchmarks.alpaca_eval import figures, first_wins, seeded_order
from attar.stages.evaluate.benchmarks.length_control import Battles, control_length
from attar.statistics.intervals import wilson

ALL = "length, difficulty, regulariser"


def line(table, figure):
    return table.filter(pl.col("figure") == figure).row(0, named=True)


def test_win_rates_are_those_worked_out_by_hand():
    found = figures(battles([0.9, 0.5, 0.2, None], [10, -20, 30, 0]))
    raw, discrete, unjudged = (line(found, name) for name in ("win_rate", "discrete_win_rate", "unjudged"))
    assert (raw["value"], raw["count"]) == (pytest.approx(160 / 3), 3)
    assert raw["published_se"] == pytest.approx(((36.6667**2 + 3.3333**2 + 33.3333**2) / 2 / 3) ** 0.5, rel=1e-5)
    assert discrete["value"] == 50.0  # won, tied, lost
    assert (unjudged["value"], unjudged["low"], unjudged["count"]) == (0.25, pytest.approx(0.25 - 0.25, abs=0.26), 4)
    assert line(found, "avg_length")["value"] == 5005.0
    assert line(found, "lc_win_rate")["value"] is None  # three questions are too few to choose a penalty by


def test_a_model_that_wins_by_length_alone_does_not_win():
    rng = np.random.default_rng(21)
    longer = rng.normal(400, 400, 600).round()
    wins = rng.random(600) < sigma(2.5 * np.tanh(longer / longer.std(ddof=1)))
    found = figures(battles(wins.astype(float), longer), bootstrap=200)
    raw, lc = line(found, "win_rate"), line(found, "lc_win_rate")
    assert raw["low"] > 65
    assert lc["low"] < 50 < lc["high"]
    assert lc["high"] < raw["low"]
    assert lc["controlled_by"] == "length"


def test_a_model_that_wins_at_any_length_wins_when_lengths_are_alike():
    rng = np.random.default_rng(2)
    longer = rng.normal(-300, 400, 600).round()
    wins = rng.random(600) < sigma(log(3) + 1.5 * np.tanh(longer / longer.std(ddof=1)))
    lc = line(figures(battles(wins.astype(float), longer), bootstrap=200), "lc_win_rate")
    assert lc["low"] < 75 < lc["high"]
    assert line(figures(battles(wins.astype(float), longer), bootstrap=0), "win_rate")["value"] < 65


def test_a_null_output_has_no_win_rate_and_still_an_interval():
    rng = np.random.default_rng(3)
    against = rng.integers(500, 3000, 100)
    rows = battles(np.zeros(100), -against.astype(float)).with_columns(chars=0, against_chars=against)
    found = figures(rows, bootstrap=100)
    raw = line(found, "win_rate")
    assert (raw["value"], raw["low"]) == (0.0, 0.0)
    assert raw["high"] == pytest.approx(100 * wilson(0, 100)[1])
    assert line(found, "lc_win_rate")["value"] < 1


def test_answers_all_as_much_longer_leave_nothing_to_control():
    lc = line(figures(battles([0.7, 0.6, 0.8, 0.9, 0.5, 0.7], [50] * 6), bootstrap=0), "lc_win_rate")
    assert lc["value"] == pytest.approx(70, abs=1)
    assert lc["controlled_by"] == ""


def test_what_is_known_of_the_questions_gives_the_win_rate_that_is_true(world):
    rows, truth = judged_battles(world, np.random.default_rng(4).normal(300, 500, 200).round(), -0.7)
    lc = line(figures(rows, bootstrap=100), "lc_win_rate")
    assert lc["value"] == pytest.approx(truth, abs=0.3)
    assert lc["low"] < truth < lc["high"]
    assert lc["controlled_by"] == ALL
    assert line(figures(rows, bootstrap=0), "win_rate")["value"] > truth + 5


def test_a_row_of_a_short_file_has_its_own_difficulty_or_the_published_one(world):
    longer = np.random.default_rng(6).normal(0, 500, 200).round()
    rows, _ = judged_battles(world, longer, 0.5, row=range(200))
    short = rows[20:].with_columns(row=pl.Series(range(180)))  # the first questions are missing, and the rest moved up
    own = figures(short, bootstrap=0)
    shifted = Battles(short["preference"].to_numpy(), longer[20:], np.arange(180), world[:180])
    truth = 100 * sigma(0.5 + world[20:]).mean()
    assert line(own, "lc_win_rate")["value"] == pytest.approx(truth, abs=0.5)
    published = line(figures(short, bootstrap=0, difficulty_of="row"), "lc_win_rate")["value"]
    assert published == pytest.approx(control_length(shifted).values[0])
    assert abs(published - truth) > 0.3
    assert figures(rows, bootstrap=0, difficulty_of="row").equals(figures(rows, bootstrap=0))
    judged_hard = rows.with_columns(difficulty=pl.lit(5.0), place=pl.lit(1), text=pl.lit("of another stage"))
    assert figures(judged_hard, bootstrap=0).equals(figures(rows, bootstrap=0))


def test_one_question_of_another_kind_and_lengths_are_all_there_is_to_control_by(world):
    rows, _ = judged_battles(world, np.random.default_rng(7).normal(0, 500, 200).round(), 0.5)
    other = rows.with_columns(prompt=pl.when(pl.col("id") == "b9").then(pl.lit("of ours")).otherwise("prompt"))
    assert line(figures(other, bootstrap=0), "lc_win_rate")["controlled_by"] == "length"


def test_the_order_of_battles_changes_nothing(world):
    rows, _ = judged_battles(world, np.random.default_rng(8).normal(0, 500, 200).round(), 0.5, row=range(200))
    for drop in ((), ("prompt",)):
        for by in ("question", "row"):
            there = rows.drop(*drop)
            mixed = there.sample(fraction=1, shuffle=True, seed=1)
            one, other = (figures(each, bootstrap=20, difficulty_of=by) for each in (there, mixed))
            for column in ("value", "low", "high"):
                assert one[column].to_list() == pytest.approx(other[column].to_list(), abs=1e-9)


def test_intervals_draw_questions_and_not_their_battles():
    rng = np.random.default_rng(9)
    one = battles(rng.beta(2, 1, 60).round(2), rng.normal(0, 100, 60).round())
    thrice = pl.concat([one.with_columns(pl.format("{}-{}", "id", pl.lit(i)).alias("id")) for i in range(3)])
    apart = thrice.with_columns(question="id")
    for name in ("win_rate", "lc_win_rate"):
        wide, same, narrow = (line(figures(rows, bootstrap=400), name) for rows in (one, thrice, apart))
        assert same["value"] == pytest.approx(wide["value"], abs=2)
        assert same["high"] - same["low"] == pytest.approx(wide["high"] - wide["low"], rel=0.1)
        assert narrow["high"] - narrow["low"] < 0.7 * (same["high"] - same["low"])


def test_few_noisy_battles_that_say_nothing_of_a_model_have_an_interval_all_the_same():
    rng = np.random.default_rng(12)
    lc = line(figures(battles(rng.random(60).round(2), rng.normal(0, 100, 60).round()), bootstrap=200), "lc_win_rate")
    assert lc["value"] == 50.0  # the penalty leaves nothing of it
    assert lc["low"] < 46
    assert lc["high"] > 54


def test_the_interval_counts_that_the_model_of_lengths_is_fitted(world):
    rng = np.random.default_rng(10)
    longer = rng.normal(0, 500, 200).round()
    rows, _ = judged_battles(world, longer, 0.5)
    noisy = rows.with_columns(preference=(rng.random(200) < rows["preference"].to_numpy()).astype(float))
    lc = line(figures(noisy, bootstrap=300), "lc_win_rate")
    assert lc["high"] - lc["low"] > 1.3 * 2 * 1.96 * lc["published_se"]


def test_each_model_and_judge_has_its_own_figures():
    rng = np.random.default_rng(11)
    sides = [
        battles(rng.random(20), rng.normal(0, 9, 20).round(), model=[model] * 20, opponent=["base"] * 20, judge=[judge] * 20)
        for model in ("one", "other")
        for judge in ("strict", "mild")
    ]
    found = figures(pl.concat(sides), bootstrap=20)
    assert found["id"].n_unique() == len(found) == 20
    assert found["id"][0] == "one/strict/win_rate"
    rates = found.filter(pl.col("figure") == "win_rate")
    assert rates["value"].to_list() == pytest.approx([100 * side["preference"].mean() for side in sides])
    assert rates.select("model", "judge").rows() == [(m, j) for m in ("one", "other") for j in ("strict", "mild")]


def test_texts_are_measured_where_no_lengths_are_given():
    texts = pl.DataFrame(
        {
            "id": list("abcdef"),
            "prompt": list("uvwxyz"),
            "response": ["é" * 7, "", None, "a", "b", "c"],
            "against": ["long"] * 6,
        }
    )
    found = figures(texts.with_columns(preference=pl.Series([1.0, 0, 0, 1, 0, 1])), bootstrap=0)
    assert line(found, "avg_length")["value"] == 10 / 6


@pytest.mark.parametrize(
    ("change", "knobs", "says"),
    [
        ({"preference": pl.lit(1.5)}, {}, "battle 'b0' has preference 1.5: it must be from 0 to 1"),
        ({"chars": pl.lit(-1)}, {}, "battle 'b0' has chars -1.0"),
        ({"question": pl.lit(None, dtype=pl.String)}, {}, "battle 'b0' has question None"),
        ({}, {"bootstrap": -1}, "bootstrap must be >= 0, got -1"),
        ({}, {"difficulty_of": "rows"}, "difficulty_of must be 'question' or 'row', got 'rows'"),
    ],
)
def test_battles_that_cannot_be_counted_are_refused(change, knobs, says):
    with pytest.raises((DataError, RecipeError), match=says):
        figures(battles([0.5, 0.5], [1, 2]).with_columns(**change), **knobs)


def test_a_row_that_the_benchmark_does_not_have_is_refused(world):
    rows, _ = judged_battles(world, np.arange(200.0), 0.5, row=range(1, 201))
    with pytest.raises(DataError, match="battle 'b199' has row 200: AlpacaEval has rows 0 to 199"):
        figures(rows, difficulty_of="row")


def test_a_share_comes_from_the_two_tokens_alone():
    assert first_wins({"m": log(0.6), "M": log(0.2), "The": log(0.2)}) == pytest.approx(0.75)
    assert (first_wins({"m": -3.0}), first_wins({"M": -3.0, "The": -0.1}), first_wins({"The": -0.1})) == (1.0, 0.0, None)
    assert first_wins({"m": -2000.0, "M": -2000.0}) == 0.5


def test_the_official_order_is_drawn_from_the_instruction():
    texts = [f"Name {i} fruits." for i in range(400)]
    orders = [seeded_order(text) for text in texts]
    assert orders == [Random("is_switched_outputs" + text + "0").random() >= 0.5 for text in texts]
    assert 160 < sum(orders) < 240

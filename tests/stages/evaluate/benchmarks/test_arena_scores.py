import numpy as np
import polars as pl
import pytest

from attar.core.errors import DataError, RecipeError
from attar.stages.evaluate.benchmarks import arena_scores
from attar.statistics.intervals import wilson


def votes(*rows, **more):
    """Battles of model, question and votes."""
    lines = [
        {
            "id": f"{model}/{question}",
            "model": model,
            "question": question,
            "opponent": "base",
            "category": None,
            "preference": float(np.mean(own)) if own else None,
            "weight": float(len(own)) if own else None,
            "votes": own and [float(vote) for vote in own],
        }
        for model, question, own in rows
    ]
    table = pl.DataFrame(lines, schema_overrides={"category": pl.String, "votes": pl.List(pl.Float64)})
    said = dict.fromkeys(("judge", "asked", "order", "date"), pl.lit("said"))
    return table.with_columns(**said, **{name: pl.Series(column) for name, column in more.items()})


def line(out, name):
    return out.row(by_predicate=pl.col("id") == name, named=True)


def test_a_score_is_the_mean_of_all_votes():
    out = arena_scores.figures(votes(("m", "a", [1, 1, 1, 0.5]), ("m", "b", [0, 1]), ("m", "c", None)))
    row = line(out, "all/m/score")
    assert (row["value"], row["count"], row["unjudged"]) == (pytest.approx(100 * 4.5 / 6), 2, 1)
    assert (row["judge"], row["date"]) == ("said", "said")


def test_an_interval_that_draws_votes_is_narrower_than_one_that_draws_questions():
    rng = np.random.default_rng(0)
    rows = votes(*(("m", f"q{i}", [float(rng.random() < 0.5)] * 6) for i in range(200)))  # each question's votes are all alike
    row = line(arena_scores.figures(rows), "all/m/score")
    true = 100 * 2 * 1.96 * 0.5 / 200**0.5
    assert row["high"] - row["low"] == pytest.approx(true, rel=0.1)
    assert row["published_high"] - row["published_low"] == pytest.approx(true / 6**0.5 * 1.645 / 1.96, rel=0.1)


def test_a_model_that_always_loses_has_wilsons_interval():
    rows = votes(
        *(("m", f"q{i}", [0, 0]) for i in range(30)), response=["x " * 9] * 30, against=["y " * (i + 1) for i in range(30)]
    )
    out = arena_scores.figures(rows, style=["length"])
    for figure in ("score", "score_even"):
        row = line(out, f"all/m/{figure}")
        assert (row["value"], row["low"], row["high"]) == (0, 0, pytest.approx(100 * wilson(0, 30)[1]))


def test_the_lead_over_a_model_is_of_the_questions_that_both_have():
    rows = votes(
        ("m", "a", [1, 1, 1, 0]), ("m", "b", [0]), ("m", "d", [1]), ("n", "a", [0, 0]), ("n", "b", [1]), ("n", "c", [1])
    )
    row = line(arena_scores.figures(rows, over="n"), "all/m/lead")
    assert (row["value"], row["count"]) == (pytest.approx(100 * (3 / 5 - 1 / 3)), 2)
    with pytest.raises(RecipeError, match="there is no model 'base'"):
        arena_scores.figures(rows, over="base")


def lengthy(rng, longer, worth, strength=0.0, questions=600):
    """A model whose answers are longer by a factor, judged by the lead in length alone beside its strength."""
    own, other = rng.integers(30, 90, questions) * longer, rng.integers(30, 90, questions)
    odds = strength + worth * (own - other) / (own + other)
    wins = rng.random((questions, 2)) < 1 / (1 + np.exp(-odds))[:, None]
    return wins.astype(float).tolist(), ["w\n" * (size // 2) for size in own], ["w\n" * (size // 2) for size in other]


def test_who_wins_by_length_alone_is_even_with_style_held_even():
    wins, own, other = lengthy(np.random.default_rng(1), 3, 3.0)
    rows = votes(*(("m", f"q{i}", won) for i, won in enumerate(wins)), response=own, against=other)
    out = arena_scores.figures(rows, style=["length"], bootstrap=300)
    raw, even = line(out, "all/m/score"), line(out, "all/m/score_even")
    assert raw["low"] > 70
    assert even["low"] < 50 < even["high"]
    assert line(out, "all/all/style_length")["low"] > 0
    centred = line(arena_scores.figures(rows, style=["length"], centred=True, bootstrap=300), "all/m/score_even")
    assert (
        centred["low"] > 65
    )  # the published way: at the lead that the model has on the average, it is no more even than before


def test_style_needs_texts_and_one_opponent():
    rows = votes(("m", "a", [1]), ("n", "b", [0]), response=["x", None], against=["y", "z"])
    with pytest.raises(DataError, match="'n/b' lacks"):
        arena_scores.figures(rows, style=["length"])
    with pytest.raises(DataError, match="one opponent"):
        arena_scores.figures(rows.with_columns(opponent="model"), style=["length"])
    with pytest.raises(RecipeError, match="did you mean 'lists'"):
        arena_scores.figures(rows, style=["list"])


def test_battles_of_a_jury_and_of_one_model_count_once_each():
    rows = votes(("m", "a", [1, 1, 1, 1]), ("m", "b", [0])).with_columns(preference=pl.Series([0.75, 0.0]))
    jury = rows.with_columns(preference_judges=3)  # weight and votes are still the first judge's
    assert line(arena_scores.figures(jury), "all/m/score")["value"] == pytest.approx(37.5)
    assert line(arena_scores.figures(jury), "all/m/score")["published_low"] is None
    bare = rows.select("id", "question", "preference")
    assert line(arena_scores.figures(bare), "all/model/score")["value"] == pytest.approx(37.5)


def test_categories_are_apart():
    rows = votes(("m", "a", [1]), ("m", "b", [0])).with_columns(category=pl.Series(["hard_prompt", "creative_writing"]))
    out = arena_scores.figures(rows)
    assert dict(out.select("id", "value").iter_rows()) == {"creative_writing/m/score": 0, "hard_prompt/m/score": 100}

import polars as pl
import pytest

from attar.core.errors import DataError, RecipeError
from attar.stages.annotate import distil

NUMBERS = [0, 1, 2]


def rated(*scores: float | None) -> pl.DataFrame:
    return pl.DataFrame({"id": [f"r{i}" for i in range(len(scores))], "rating": pl.Series(scores, dtype=pl.Float64)})


def test_a_score_is_rounded_to_the_nearest_number_and_none_stays_none():
    out = distil.labels(rated(0.4, 1.6, 1.2, 9.0, None), numbers=NUMBERS)
    assert out["label"].to_list() == [0, 2, 1, 2, None]


def test_drawn_labels_come_as_often_as_the_scorer_holds_them_likely():
    table = pl.DataFrame({"id": [f"r{i}" for i in range(4000)], "rating_chances": [[0.1, 0.6, 0.3]] * 4000})
    counts = dict(distil.labels(table, numbers=NUMBERS, how="drawn")["label"].value_counts().iter_rows())
    assert abs(counts[0] - 400) < 80
    assert abs(counts[1] - 2400) < 130
    assert abs(counts[2] - 1200) < 120


def test_a_drawn_label_hangs_on_the_row_and_the_seed_alone():
    table = pl.DataFrame({"id": [f"r{i}" for i in range(50)], "rating_chances": [[0.3, 0.3, 0.4]] * 50})
    whole = distil.labels(table, numbers=NUMBERS, how="drawn", seed=3)
    assert whole[20:].equals(distil.labels(table[20:], numbers=NUMBERS, how="drawn", seed=3))
    assert not whole.equals(distil.labels(table, numbers=NUMBERS, how="drawn", seed=4))


def test_probabilities_of_other_numbers_are_refused():
    with pytest.raises(DataError, match="row r0 has 2 label probabilities, but numbers has 3 values"):
        distil.labels(pl.DataFrame({"id": ["r0"], "rating_chances": [[0.5, 0.5]]}), numbers=NUMBERS, how="drawn")


def test_another_way_is_refused():
    with pytest.raises(RecipeError, match="must be 'rounded' or 'drawn', got"):
        distil.labels(rated(1.0), numbers=NUMBERS, how="soft")

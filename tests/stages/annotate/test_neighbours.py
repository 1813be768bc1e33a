import numpy as np
import polars as pl
import pytest
from engines_for_tests import Scripted
from hypothesis import given, settings
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.stages.annotate import embed, neighbours


def table(rows):
    values = pl.Series([None if row is None else list(map(float, row)) for row in rows], dtype=pl.List(pl.Float32))
    return pl.DataFrame({"id": [f"r{i}" for i in range(len(rows))], "embedding": values})


def by_hand(rows, near):
    """Every pair, in double precision."""
    unit = [np.array(row) / np.linalg.norm(row) for row in rows]
    apart = [[float(((a - b) ** 2).sum()) for b in unit] for a in unit]
    told = []
    for i, line in enumerate(apart):
        others = [distance for j, distance in enumerate(line) if j != i]
        close = [j for j, distance in enumerate(line) if j != i and distance <= near]
        told.append((min(others, default=None), len(close), min((j for j in close if j < i), default=None)))
    return told


def test_a_repeat_names_the_first_row_it_repeats_and_the_first_names_none():
    out = neighbours.measure(table([(1, 0), (0, 1), (1, 0.01), (2, 0), None]))
    assert out["repeat_of"].to_list() == [None, None, "r0", "r0", None]
    assert out["repeats"].to_list() == [2, 0, 2, 2, None]
    assert out["neighbour_distance"][0] == pytest.approx(0, abs=1e-6)
    assert out["neighbour_distance"][1] == pytest.approx(2 - 2 * 0.01 / np.hypot(1, 0.01), abs=1e-6)


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(2, 5))
@settings(max_examples=60)
def test_every_row_has_what_all_its_pairs_give(seed, count, width):
    rng = np.random.default_rng(seed)
    rows = rng.integers(-2, 3, (count, width)) + 0.3 * rng.random((count, width)) + 0.01
    out = neighbours.measure(table(rows), near=0.31)
    for i, (distance, count_near, first) in enumerate(by_hand(rows, 0.31)):
        found = out.row(i, named=True)
        assert found["neighbour_distance"] == (None if distance is None else pytest.approx(distance, abs=1e-5))
        assert found["repeats"] == count_near
        assert found["repeat_of"] == (None if first is None else f"r{first}")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([(1, 0), (0, 0)], "row 'r1' is a zero or non-finite vector"),
        ([(1, 0), (float("nan"), 1)], "row 'r1' is a zero or non-finite vector"),
        ([(1, 0), (1, 0, 0)], "vectors of 2 lengths: 2, 3"),
    ],
)
def test_a_vector_that_is_none_is_named_by_its_row(rows, told):
    with pytest.raises(DataError, match=told):
        neighbours.measure(table(rows))


def test_the_k_nearest_are_named_nearest_first_and_there_may_be_fewer():
    out = neighbours.measure(table([(1, 0), (0, 1), None, (1, 1)]), k=2)
    assert out["neighbours"].to_list() == [["r3", "r1"], ["r3", "r0"], None, ["r0", "r1"]]
    assert out["neighbour_distances"][0].to_list() == pytest.approx([2 - 2**0.5, 2])
    assert neighbours.measure(table([(1, 0), (0, 1)]), k=3)["neighbours"].to_list() == [["r1"], ["r0"]]
    with pytest.raises(RecipeError, match="k must be >= 1, got 0"):
        neighbours.measure(table([(1, 0)]), k=0)


def test_no_vectors_have_no_neighbours():
    assert neighbours.measure(table([])).columns == ["id", "neighbour_distance", "repeats", "repeat_of"]
    assert neighbours.measure(table([None]))["repeats"].to_list() == [None]


def test_vectors_come_from_an_embedder_and_an_empty_text_has_none():
    rows = pl.DataFrame({"id": ["a", "b", "c"], "prompt": ["x", None, "z"]})
    said = iter([(0.6, 0.8), ValueError("too long")])
    out = embed.vectors(rows, engine=Scripted(lambda _: next(said)))
    assert out["embedding"].to_list() == [pytest.approx([0.6, 0.8]), None, None]
    assert out["embedding_error"].to_list() == [None, "no prompt", "too long"]


def test_letters_see_wording_whatever_case_and_spacing_and_tell_other_texts_apart():
    texts = ["Sort these words: cat dog fox.", "sort  these words: cat dog fox.", "How many rivers are there in Norway?", None]
    out = embed.letters(pl.DataFrame({"id": list("abcd"), "prompt": texts}))
    vectors = [np.array(vector) for vector in out["embedding"].to_list()[:3]]
    assert all(np.linalg.norm(vector) == pytest.approx(1, abs=1e-6) for vector in vectors)
    assert vectors[0] @ vectors[1] == pytest.approx(1, abs=1e-6)
    assert vectors[0] @ vectors[2] < 0.4
    assert out["embedding_error"].to_list() == [None, None, None, "no prompt"]

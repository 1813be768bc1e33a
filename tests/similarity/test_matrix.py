import numpy as np
import polars as pl
import pytest

from attar.core.errors import DataError
from attar.similarity.matrix import cosines, lengths, matrix, unit, units


def make_column(*rows):
    values = pl.Series(rows, dtype=pl.List(pl.Float64))
    return pl.DataFrame({"id": [f"r{i}" for i in range(len(rows))], "v": values})


def test_a_column_of_lists_becomes_one_row_for_each():
    found = matrix(make_column([3, 4], [-1, 2]), "v")
    assert found.dtype == np.float32
    assert found.tolist() == [[3, 4], [-1, 2]]
    assert matrix(make_column(), "v").shape == (0, 1)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([[1, 2], None], "column 'v' has no vector in row 'r1'"),
        ([[1, 2], [1], [1, 2, 3]], "column 'v' holds vectors of 3 lengths: 1, 2, 3"),
        ([[1, 2], [0, 0]], "column 'v': row 'r1' is a zero or non-finite vector"),
        ([[1, 2], [1, float("inf")]], "column 'v': row 'r1'"),
    ],
)
def test_what_has_no_direction_to_compare_is_named_by_its_row(rows, why):
    with pytest.raises(DataError, match=why):
        matrix(make_column(*rows), "v")


def test_no_finite_vector_is_too_long_or_too_short_to_be_brought_to_length_one():
    rows = np.array([[3e30, 4e30], [3e-30, 4e-30]], dtype=np.float32)
    assert lengths(rows, str) == pytest.approx([5e30, 5e-30], rel=1e-6)
    assert unit(rows) == pytest.approx(np.array([[0.6, 0.8], [0.6, 0.8]]), abs=1e-7)


def test_a_large_matrix_is_brought_to_length_one_a_piece_at_a_time_and_names_the_row_that_cannot_be():
    rows = np.tile(np.array([[0, 2], [3, 4]], dtype=np.float32), (5000, 1))  # more than one piece
    found = units(rows)
    assert found[[0, 1, 9998, 9999]].tolist() == [[0, 1], pytest.approx([0.6, 0.8]), [0, 1], pytest.approx([0.6, 0.8])]
    rows[9999] = 0
    with pytest.raises(DataError, match="row 9999"):
        units(rows)


def test_a_cosine_is_of_the_two_rows_that_stand_side_by_side():
    left, right = np.array([[1, 0], [1, 1], [2, 0]]), np.array([[24, 7], [1, -1], [-3, 0]])
    assert cosines(left, right).tolist() == [24 / 25, 0, -1]

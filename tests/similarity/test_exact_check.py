import numpy as np
import pytest

from attar.similarity.exact_check import ExactCheck, contiguous
from attar.similarity.matrix import lengths

PAIRS = np.array([[1, 0], [24, 7], [4, 3], [0, 5]], dtype=np.float32)  # cosines with the first: 1, 0.96, 0.8, 0
FIRST, OTHERS = np.zeros(4, dtype=np.int64), np.arange(4)


@pytest.mark.parametrize("known", [False, True])
def test_the_pairs_above_a_threshold_are_found_with_their_cosines_and_one_at_it_is_not_above(known):
    check = ExactCheck(PAIRS)
    if known:
        check.set_lengths(OTHERS, lengths(PAIRS, str))
    positions, cosine = check.above(FIRST, OTHERS, 0.8)
    assert (positions.tolist(), cosine.tolist()) == ([0, 1], [1.0, 0.96])
    assert check.above(FIRST, OTHERS, np.nextafter(0.8, 0))[0].tolist() == [0, 1, 2]


def test_each_pair_may_have_a_threshold_of_its_own():
    positions, cosine = ExactCheck(PAIRS).above(FIRST, OTHERS, np.array([1.0, 0.95, 0.81, -0.5]))
    assert (positions.tolist(), cosine.tolist()) == ([1, 3], [0.96, 0.0])


def test_pairs_are_looked_at_a_piece_at_a_time_and_no_pairs_give_none():
    check = ExactCheck(PAIRS)
    check.step = 3
    assert check.above(np.tile(FIRST, 5), np.tile(OTHERS, 5), 0.9)[0].tolist() == [0, 1, 4, 5, 8, 9, 12, 13, 16, 17]
    assert check.above(FIRST[:0], OTHERS[:0], 0.9)[0].tolist() == []


def test_lengths_that_32_bits_cannot_square_are_left_to_64():
    rows = PAIRS * np.array([[1e30], [1e-30], [1], [1]], dtype=np.float32)
    check = ExactCheck(rows)
    check.set_lengths(OTHERS, lengths(rows, str))
    assert np.isnan(check.sizes).tolist() == [True, True, False, False]
    positions, cosine = check.above(FIRST, OTHERS, 0.5)
    assert positions.tolist() == [0, 1, 2]
    assert cosine == pytest.approx([1.0, 0.96, 0.8], abs=1e-6)


def test_rows_that_stand_in_line_are_used_as_they_are_and_others_are_copied_once():
    assert contiguous(PAIRS) is PAIRS
    for other in (np.asfortranarray(PAIRS), PAIRS.astype(">f4"), PAIRS[:, ::-1]):
        copy = contiguous(other)
        assert copy.flags.c_contiguous
        assert copy.dtype.isnative
        assert copy.tolist() == other.tolist()

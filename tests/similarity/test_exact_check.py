import numpy as np
import pytest

from attar.similarity.exact_check import Looks, in_line
from attar.similarity.matrix import lengths

PAIRS = np.array([[1, 0], [24, 7], [4, 3], [0, 5]], dtype=np.float32)  # cosines with the first: 1, 0.96, 0.8, 0
FIRST, OTHERS = np.zeros(4, dtype=np.int64), np.arange(4)


@pytest.mark.parametrize("known", [False, True])
def test_the_pairs_above_a_threshold_are_found_with_their_cosines_and_one_at_it_is_not_above(known):
    looks = Looks(PAIRS)
    if known:
        looks.told(OTHERS, lengths(PAIRS, str))
    places, cosine = looks.above(FIRST, OTHERS, 0.8)
    assert (places.tolist(), cosine.tolist()) == ([0, 1], [1.0, 0.96])
    assert looks.above(FIRST, OTHERS, np.nextafter(0.8, 0))[0].tolist() == [0, 1, 2]


def test_each_pair_may_have_a_threshold_of_its_own():
    places, cosine = Looks(PAIRS).above(FIRST, OTHERS, np.array([1.0, 0.95, 0.81, -0.5]))
    assert (places.tolist(), cosine.tolist()) == ([1, 3], [0.96, 0.0])


def test_pairs_are_looked_at_a_piece_at_a_time_and_no_pairs_give_none():
    looks = Looks(PAIRS)
    looks.step = 3
    assert looks.above(np.tile(FIRST, 5), np.tile(OTHERS, 5), 0.9)[0].tolist() == [0, 1, 4, 5, 8, 9, 12, 13, 16, 17]
    assert looks.above(FIRST[:0], OTHERS[:0], 0.9)[0].tolist() == []


def test_lengths_that_32_bits_cannot_square_are_left_to_64():
    rows = PAIRS * np.array([[1e30], [1e-30], [1], [1]], dtype=np.float32)
    looks = Looks(rows)
    looks.told(OTHERS, lengths(rows, str))
    assert np.isnan(looks.sizes).tolist() == [True, True, False, False]
    places, cosine = looks.above(FIRST, OTHERS, 0.5)
    assert places.tolist() == [0, 1, 2]
    assert cosine == pytest.approx([1.0, 0.96, 0.8], abs=1e-6)


def test_rows_that_stand_in_line_are_used_as_they_are_and_others_are_copied_once():
    assert in_line(PAIRS) is PAIRS
    for other in (np.asfortranarray(PAIRS), PAIRS.astype(">f4"), PAIRS[:, ::-1]):
        copy = in_line(other)
        assert copy.flags.c_contiguous
        assert copy.dtype.isnative
        assert copy.tolist() == other.tolist()

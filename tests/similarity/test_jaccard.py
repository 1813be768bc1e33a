from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attar.similarity import jaccard
from attar.similarity.shingles import shingles


def naive(sets, threshold):
    """The rule, word for word: of each the first kept one before it that it is alike to."""
    kept, by = [], []
    for i, one in enumerate(sets):
        alike = (k for k in kept if len(one & sets[k]) >= threshold * len(one | sets[k]))
        by.append(next(alike, None))
        kept += [i] if by[-1] is None else []
    return by


WORDS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12)


LIMITS = st.sampled_from(["0.1", "0.3", "0.5", "0.6", "0.7", "0.75", "0.9", "1.0"])


def find_repeats(texts, *, threshold, size=1):
    """The row that each repeats, or -1, and how much they have in common."""
    by, share = jaccard.find_repeats(shingles(pl.Series(texts, dtype=pl.String), size=size), threshold)
    return by.tolist(), share


@settings(max_examples=300)
@given(st.lists(WORDS, max_size=40), st.integers(1, 3), LIMITS)
def test_near_repeats_are_those_of_the_plain_rule(said, size, limit):
    sets = [{tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))} for words in said]
    true = naive(sets, Fraction(limit))
    by, share = find_repeats([" ".join(words) for words in said], threshold=float(limit), size=size)
    assert by == [-1 if row is None else row for row in true]
    for one, row, found in zip(sets, true, share, strict=True):
        if row is None:
            assert np.isnan(found)
        else:
            assert found == len(one & sets[row]) / len(one | sets[row])


@pytest.mark.parametrize("limit", ["0.5", "0.8"])
def test_near_repeats_are_those_of_the_plain_rule_over_many_blocks_and_pieces(limit, monkeypatch):
    monkeypatch.setattr(jaccard, "_BLOCK_PAIRS", 5000)
    monkeypatch.setattr(jaccard, "_BLOCK_VALUES", 3000)
    rng = np.random.default_rng(3)
    seeds = [rng.integers(0, 60, 20) for _ in range(40)]
    said = []
    for _ in range(700):
        words = seeds[rng.integers(40)].copy()
        words[rng.integers(0, 20, rng.integers(0, 8))] = rng.integers(0, 2000)
        said.append(words.tolist())
    true = naive([set(words) for words in said], Fraction(limit))
    assert 50 < true.count(None) < 650
    by, _ = find_repeats([" ".join(map(str, words)) for words in said], threshold=float(limit))
    assert by == [-1 if row is None else row for row in true]


def test_a_jaccard_of_just_the_threshold_is_alike():
    pair = ["a b c d e f g", "a b c d e f g h i j"]
    assert find_repeats(pair, threshold=0.7)[0] == [-1, 0]
    assert find_repeats(pair, threshold=0.7001)[0] == [-1, -1]


def test_words_that_hundreds_of_texts_have_still_count():
    common = " ".join(f"w{i}" for i in range(12))
    by, share = find_repeats([f"{common} own{i}" for i in range(257)], threshold=0.7)
    assert by == [-1, *[0] * 256]
    assert (share[1:] == 12 / 14).all()


def test_nobody_is_dropped_for_being_like_a_dropped_row():
    chain = ["a b c d", "b c d e", "c d e f"]  # each neighbour 3 of 5, the ends 2 of 6
    assert find_repeats(chain, threshold=0.6)[0] == [-1, 0, -1]


def test_equal_texts_repeat_the_first_of_them_and_no_texts_repeat_nothing():
    by, share = find_repeats(["a b", "c d", "A, b!", "a b"], threshold=1.0)
    assert by == [-1, -1, 0, 0]
    assert share[2:].tolist() == [1.0, 1.0]
    assert find_repeats([], threshold=0.7)[0] == []

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import RecipeError
from attar.similarity.shingles import shingles

SIGNS = "[\u0080-\u00bf\u2000-\u206f\u3000-\u303f]"
WORD = re.compile("[\u3040-\u9fff\U00010000-\U0010ffff]|[a-z0-9_\u00c0-\u2fff\ua000-\uffff]+")
TEXTS = st.lists(st.text("abAB09_ .,-'\n\u00a0éÉß\u2019\u201c你好領の。\u3000한🙂ж", max_size=25), max_size=12)


def words(text):
    return WORD.findall(re.sub(SIGNS, " ", text.lower()))


def grams(text, size):
    said = words(text) or [("no word in", text.lower())]
    return {tuple(said[i : i + size]) for i in range(max(1, len(said) - size + 1))}


def sets(texts, **knobs):
    found = shingles(pl.Series(texts, dtype=pl.String), **knobs)
    return [found.values[a:b].tolist() for a, b in zip(found.starts, found.starts[1:], strict=False)]


@given(TEXTS, st.integers(1, 4))
def test_texts_share_as_many_shingles_as_sequences_of_words(texts, size):
    found, true = sets(texts, size=size), [grams(text, size) for text in texts]
    for one, said in zip(found, true, strict=True):
        assert one == sorted(set(one))
        assert [len(set(one) & set(other)) for other in found] == [len(said & others) for others in true]


def test_a_text_has_the_same_shingles_alone_and_among_very_many():
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{n}" for n in rng.integers(0, 999, rng.integers(1, 300))) for _ in range(1500)]
    texts.insert(700, " ".join(f"w{n}" for n in range(90_000)))  # longer than what is taken at once
    among = sets(texts)
    assert all(among[i] == sets([texts[i]])[0] for i in range(0, 1501, 50))
    assert len(among[700]) == 89_998


def plainly(*said):
    """A shingle's hash by whole numbers: what shipped files hold, so that it may never change."""
    base, factor, full = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, (1 << 64) - 1

    def mixed(value):
        for _ in range(2):
            value = (value ^ value >> 32) * factor & full
        return value ^ value >> 32

    def folded(values):
        return mixed(sum(value * base**i for i, value in enumerate(values)) & full)

    return folded([folded([mixed((byte + 1) * base & full) for byte in word.encode()]) for word in said]) >> 16


def test_the_hashes_are_those_that_shipped_files_hold():
    assert sets(["The quick, brown fox"]) == [sorted([plainly("the", "quick", "brown"), plainly("quick", "brown", "fox")])]
    assert sets(["café 你"], size=9) == [[plainly("café", "你")]]
    assert plainly("the", "quick", "brown") == 180020808509553


def test_a_short_text_is_one_shingle_and_like_no_longer_one():
    short, same, longer = sets(["Say hello!", "say HELLO", "say hello to her"], size=5)
    assert short == same
    assert len(short) == len(longer) == 1
    assert short != longer


def test_texts_without_a_word_are_like_only_their_equals():
    found = sets(["???", "!!!", "", "???"])
    assert [len(one) for one in found] == [1, 1, 1, 1]
    assert found[0] == found[3]
    assert len({one[0] for one in found}) == 3


def test_a_chinese_character_is_a_word_and_its_punctuation_is_none():
    one, other = sets(["我喜欢吃苹果。你呢", "我喜欢吃苹果,你呢"])
    assert one == other
    assert len(one) == 6
    assert sets(["我喜欢 pandas"], size=1) == [sorted(word for (word,) in sets(["我", "喜", "欢", "pandas"], size=1))]


def test_characters_are_counted_in_any_script_and_spaces_in_none():
    thai = "ฉันชอบแมว"
    assert len(sets([thai], size=1)[0]) == 1
    assert len(sets([thai], size=1, unit="characters")[0]) == len(set(thai))
    assert (
        sets(["a bc"], size=3, unit="characters")
        == sets(["ab c"], size=3, unit="characters")
        == sets(["abc"], size=3, unit="characters")
    )


def test_a_shingle_of_nothing_is_refused():
    with pytest.raises(RecipeError, match="shingle size must be >= 1 words, got 0"):
        sets(["a"], size=0)

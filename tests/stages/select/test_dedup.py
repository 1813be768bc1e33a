from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.core.stage import columns_read
from attar.similarity import jaccard
from attar.stages.select import dedup


def told(stage, prompts, **knobs):
    table = pl.DataFrame({"id": [f"r{i}" for i in range(len(prompts))], "prompt": pl.Series(prompts, dtype=pl.String)})
    return {row["id"]: row for row in stage(table, **knobs).to_dicts()}


def verdicts(prompts, **knobs):
    return told(dedup.exact, prompts, **knobs)


def crowded(prompts, **knobs):
    return [row["because"] for row in told(dedup.near, prompts, **knobs).values()]


def naive(sets, threshold):
    """The rule, word for word: of each the first kept one before it that it is alike to."""
    kept, by = [], []
    for i, one in enumerate(sets):
        alike = (k for k in kept if len(one & sets[k]) >= threshold * len(one | sets[k]))
        by.append(next(alike, None))
        kept += [i] if by[-1] is None else []
    return by


def test_one_of_two_duplicates_survives_and_the_other_says_because_of_whom():
    found = verdicts(["a cat", "a dog", "A  CAT ", "a cat"])
    assert [row["kept"] for row in found.values()] == [True, True, False, False]
    assert [row["because"] for row in found.values()] == [None, None, "r0", "r0"]
    assert found["r2"]["reason"] == "repeats a prompt"


@pytest.mark.parametrize("stage", [dedup.exact, dedup.near])
def test_a_row_without_text_is_dropped_for_that_and_crowds_nobody_out(stage):
    found = told(stage, [None, None, "a"])
    assert [row["kept"] for row in found.values()] == [False, False, True]
    assert found["r0"]["reason"] == found["r1"]["reason"] == "no prompt"
    assert found["r1"]["because"] is None


@pytest.mark.parametrize("stage", [dedup.exact, dedup.near])
def test_the_best_of_equals_survives_ties_by_id_and_nulls_are_never_the_best(stage):
    reward = [None, 1.0, float("nan"), 2.0, 2.0]
    table = pl.DataFrame({"id": ["a", "b", "n", "d", "c"], "prompt": ["x"] * 5, "reward": reward})
    out = stage(table, best="reward")
    assert dict(out.select("id", "because").iter_rows()) == {"a": "c", "b": "c", "n": "c", "d": "c", "c": None}
    assert stage(table, best="-reward").filter("kept")["id"].to_list() == ["b"]
    assert stage(table.head(1), best="reward")["kept"].to_list() == [True]
    assert columns_read(stage, {"best": "reward - length"}) == ("prompt", "reward", "length")


@pytest.mark.parametrize("stage", [dedup.exact, dedup.near])
def test_no_rows_give_no_verdicts(stage):
    assert told(stage, []) == {}


@given(st.lists(st.sampled_from(["a", "b", "A ", "c", None])))
def test_exactly_one_of_each_group_survives(prompts):
    found = verdicts(prompts)
    kept = sorted(prompts[int(name[1:])].strip().lower() for name, row in found.items() if row["kept"])
    assert kept == sorted({prompt.strip().lower() for prompt in prompts if prompt is not None})


WORDS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12)
LIMITS = st.sampled_from(["0.1", "0.3", "0.5", "0.6", "0.7", "0.75", "0.9", "1.0"])


@settings(max_examples=300)
@given(st.lists(WORDS, max_size=40), st.integers(1, 3), LIMITS)
def test_near_repeats_are_those_of_the_plain_rule(said, size, limit):
    sets = [{tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))} for words in said]
    true = naive(sets, Fraction(limit))
    found = told(dedup.near, [" ".join(words) for words in said], words=size, threshold=float(limit))
    assert [row["because"] for row in found.values()] == [None if by is None else f"r{by}" for by in true]
    for (one, by), row in zip(zip(sets, true, strict=True), found.values(), strict=True):
        assert row["kept"] == (by is None)
        if by is not None:
            share = Fraction(len(one & sets[by]), len(one | sets[by]))
            assert row["reason"] == f"nearly repeats a prompt (Jaccard {int(share * 100) / 100})"


@pytest.mark.parametrize("limit", ["0.5", "0.8"])
def test_near_repeats_are_those_of_the_plain_rule_over_many_blocks_and_pieces(limit, monkeypatch):
    monkeypatch.setattr(jaccard, "_PAIRS", 5000)
    monkeypatch.setattr(jaccard, "_VALUES", 3000)
    rng = np.random.default_rng(3)
    seeds = [rng.integers(0, 60, 20) for _ in range(40)]
    said = []
    for _ in range(700):
        words = seeds[rng.integers(40)].copy()
        words[rng.integers(0, 20, rng.integers(0, 8))] = rng.integers(0, 2000)
        said.append(words.tolist())
    true = naive([set(words) for words in said], Fraction(limit))
    assert 50 < true.count(None) < 650
    assert crowded([" ".join(map(str, words)) for words in said], words=1, threshold=float(limit)) == [
        None if by is None else f"r{by}" for by in true
    ]


def test_a_jaccard_of_just_the_threshold_is_alike():
    pair = ["a b c d e f g", "a b c d e f g h i j"]
    assert crowded(pair, words=1, threshold=0.7) == [None, "r0"]
    assert crowded(pair, words=1, threshold=0.7001) == [None, None]


def test_words_that_hundreds_of_texts_have_still_count():
    common = " ".join(f"w{i}" for i in range(12))
    assert crowded([f"{common} own{i}" for i in range(257)], words=1) == [None, *["r0"] * 256]  # Jaccard 12/14


def test_nobody_is_dropped_for_being_like_a_dropped_row():
    chain = ["a b c d", "b c d e", "c d e f"]  # each neighbour 3 of 5, the ends 2 of 6
    assert crowded(chain, words=1, threshold=0.6) == [None, "r0", None]


def test_case_and_punctuation_make_no_difference_and_a_few_words_little():
    text = "Give me three good reasons to sleep for at least eight hours every night, please"
    found = crowded(
        [text, text.upper() + "!!", text.replace("please", "thanks"), "Give me three good reasons to wake up early"]
    )
    assert found == [None, "r0", "r0", None]


def test_what_is_no_jaccard_no_worth_or_no_column_is_refused():
    with pytest.raises(RecipeError, match="above 0 and up to 1"):
        crowded(["a"], threshold=0)
    with pytest.raises(RecipeError, match="'prompt - 1' does not work on these columns"):
        crowded(["a"], best="prompt - 1")
    with pytest.raises(DataError, match="column 'answer' is missing"):
        crowded(["a"], column="answer")


def turned(*degrees):
    angles = np.radians(degrees)
    vectors = [None if np.isnan(angle) else [float(np.cos(angle)), float(np.sin(angle))] for angle in angles]
    ids = [f"r{i}" for i in range(len(degrees))]
    return pl.DataFrame(
        {"id": ids, "embedding": vectors, "worth": range(len(degrees))}, schema_overrides={"embedding": pl.List(pl.Float32)}
    )


def test_of_rows_that_mean_the_same_the_best_is_kept_and_chains_break():
    table = turned(0, 15, 30, 90, float("nan"))  # the cosine of 15 degrees is 0.966, of 30 degrees 0.866
    out = dedup.semantic(table)
    assert out["because"].to_list() == [None, "r0", None, None, None]
    assert out["reason"].to_list() == [None, "alike to a kept row (cosine 0.96)", None, None, "no embedding"]
    assert dedup.semantic(table, best="worth")["because"].to_list() == [None, "r2", None, None, None]
    assert dedup.semantic(table, threshold=0.97)["kept"].to_list() == [True, True, True, True, False]


def test_of_two_equal_vectors_one_is_kept():
    assert dedup.semantic(turned(5, 5))["kept"].to_list() == [True, False]

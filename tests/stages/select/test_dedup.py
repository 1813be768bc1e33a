import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.core.stage import columns_read
from attar.stages.select import dedup


def told(stage, prompts, **knobs):
    table = pl.DataFrame({"id": [f"r{i}" for i in range(len(prompts))], "prompt": pl.Series(prompts, dtype=pl.String)})
    return {row["id"]: row for row in stage(table, **knobs).to_dicts()}


def verdicts(prompts, **knobs):
    return told(dedup.exact, prompts, **knobs)


def crowded(prompts, **knobs):
    return [row["because"] for row in told(dedup.near, prompts, **knobs).values()]


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


def test_a_near_repeat_says_of_whom_and_how_alike_it_is_cut_to_two_digits():
    found = told(dedup.near, ["a b c d e f g", "x", "a b c d e f g h i"], words=1)  # 7 of 9
    assert [row["because"] for row in found.values()] == [None, None, "r0"]
    assert found["r2"]["reason"] == "nearly repeats a prompt (Jaccard 0.77)"


def test_case_and_punctuation_make_no_difference_and_a_few_words_little():
    text = "Give me three good reasons to sleep for at least eight hours every night, please"
    found = crowded(
        [text, text.upper() + "!!", text.replace("please", "thanks"), "Give me three good reasons to wake up early"]
    )
    assert found == [None, "r0", "r0", None]


def test_what_is_no_jaccard_no_worth_or_no_column_is_refused():
    with pytest.raises(RecipeError, match=r"Jaccard similarity in .0, 1."):
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

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from attar.select import dedup


def verdicts(prompts, **knobs):
    table = pl.DataFrame({"id": [f"r{i}" for i in range(len(prompts))], "prompt": pl.Series(prompts, dtype=pl.String)})
    return {row["id"]: row for row in dedup.exact(table, **knobs).to_dicts()}


def test_one_of_two_duplicates_survives_and_the_other_says_because_of_whom():
    found = verdicts(["a cat", "a dog", "A  CAT ", "a cat"])
    assert [row["kept"] for row in found.values()] == [True, True, False, False]
    assert [row["because"] for row in found.values()] == [None, None, "r0", "r0"]
    assert found["r2"]["reason"] == "repeats a prompt"


def test_a_row_without_text_is_dropped_for_that_and_crowds_nobody_out():
    found = verdicts([None, None, "a"])
    assert [row["kept"] for row in found.values()] == [False, False, True]
    assert found["r0"]["reason"] == found["r1"]["reason"] == "no prompt"
    assert found["r1"]["because"] is None


def test_the_best_of_equals_survives_and_nulls_are_never_the_best():
    table = pl.DataFrame({"id": ["a", "b", "c"], "prompt": ["x", "x", "x"], "reward": [None, 1.0, 2.0]})
    out = dedup.exact(table, best="reward")
    assert out.filter("kept")["id"].to_list() == ["c"]
    assert dict(out.select("id", "because").iter_rows()) == {"a": "c", "b": "c", "c": None}


def test_no_rows_give_no_verdicts():
    assert verdicts([]) == {}


@given(st.lists(st.sampled_from(["a", "b", "A ", "c", None])))
def test_exactly_one_of_each_group_survives(prompts):
    found = verdicts(prompts)
    kept = sorted(prompts[int(name[1:])].strip().lower() for name, row in found.items() if row["kept"])
    assert kept == sorted({prompt.strip().lower() for prompt in prompts if prompt is not None})

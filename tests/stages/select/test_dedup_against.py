from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.core.stage import columns_read
from attar.stages.select import dedup, dedup_against


def rows(mark, *prompts):
    ids = [f"{mark}{i}" for i in range(len(prompts))]
    return pl.DataFrame({"id": ids, "prompt": prompts}, schema={"id": pl.String, "prompt": pl.String})


def told(table, *older, **knobs):
    out = dedup_against.keep_new(table, *older, **knobs)
    assert out["id"].equals(table["id"])
    assert out["kept"].equals(out["reason"].is_null().rename("kept"))
    return dict(zip(out["id"], zip(out["reason"], out["because"], strict=True), strict=True))


NEW = (None, None)


def test_a_row_that_repeats_an_older_one_or_one_before_it_is_dropped_and_names_it():
    seeds = rows("s", "Why is the sky so blue today?", "Name a bird.")
    before = rows("b", "Name a fish.")
    batch = rows("n", "name  a BIRD.", "Why is the sky so blue, today?!", "Name a tree.", "Name a fish.", None, "Name a tree.")
    assert told(batch, seeds, before) == {
        "n0": ("repeats an earlier prompt", "s1"),
        "n1": ("nearly repeats an earlier prompt (Jaccard 1.0)", "s0"),
        "n2": NEW,
        "n3": ("repeats an earlier prompt", "b0"),
        "n4": ("no prompt", None),
        "n5": ("repeats a prompt", "n2"),
    }


def test_how_near_is_told_and_cut_to_two_digits():
    long = (
        "one two three four five six seven eight nine ten"  # eight triples, of which the last and one more are the other's own
    )
    other = long.removesuffix("ten") + "eleven"
    assert told(rows("n", other), rows("s", long))["n0"] == ("nearly repeats an earlier prompt (Jaccard 0.77)", "s0")  # 7 of 9
    assert told(rows("n", other), rows("s", long), threshold=0.78)["n0"] == NEW


def test_a_prompt_shorter_than_a_shingle_is_alike_to_the_same_words_only():
    found = told(rows("n", "Add up.", "add UP!", "Up add", "Hi"), rows("s", "Hi there", "Hi"))
    assert found == {
        "n0": NEW,
        "n1": ("nearly repeats a prompt (Jaccard 1.0)", "n0"),
        "n2": NEW,
        "n3": ("repeats an earlier prompt", "s1"),
    }


def test_without_a_threshold_only_equal_text_is_dropped():
    found = told(rows("n", "Add up!", "Add up.", " add  up. ", "Hi"), rows("s", "hi", None), threshold=None)
    assert found == {
        "n0": NEW,
        "n1": NEW,
        "n2": ("repeats a prompt", "n1"),
        "n3": ("repeats an earlier prompt", "s0"),
    }


def test_an_older_row_crowds_out_even_where_it_repeats_an_older_one_itself():
    chain = ["a b c d", "b c d e", "c d e f", "d e f g"]  # each neighbour 3 of 5 words, others 2 of 6 or fewer
    found = told(rows("n", chain[3], chain[2]), rows("s", *chain[:3]), words=1, threshold=0.6)
    assert [because for _, because in found.values()] == ["s2", "s2"]


def test_nobody_is_dropped_for_being_like_a_dropped_row():
    chain = ["a b c d", "b c d e", "c d e f"]
    knobs = {"words": 1, "threshold": 0.6}
    assert [by for _, by in told(rows("n", *chain[1:]), rows("s", chain[0]), **knobs).values()] == ["s0", None]
    # n0 is like s1, which is like s0; so n1, like n0 alone, stays
    assert [by for _, by in told(rows("n", "c d e f", "d e f g"), rows("s", *chain[:2]), **knobs).values()] == ["s1", None]


TEXTS = st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=7).map(" ".join) | st.none(), max_size=14)


def naive(old, new, alike):
    """The rule, word for word: all old ones are there to stay, and of the new the first that is alike to none of those."""
    kept = [("s", i, text) for i, text in enumerate(old) if text is not None]
    out = []
    for i, text in enumerate(new):
        by = {f"{mark}{j}" for mark, j, one in kept if text is not None and alike(text, one)}
        out.append(by)
        kept += [("n", i, text)] if text is not None and not by else []
    return out


@settings(max_examples=300)
@given(TEXTS, TEXTS, TEXTS, st.integers(1, 3), st.sampled_from(["0.3", "0.5", "0.6", "0.7", "1.0"]))
def test_what_is_dropped_is_what_the_plain_rule_drops(first, second, new, size, limit):
    def grams(text):
        words = text.split()
        return {tuple(words[i : i + size]) for i in range(max(1, len(words) - size + 1))}

    def alike(one, other):
        a, b = grams(one), grams(other)
        return len(a & b) >= Fraction(limit) * len(a | b)

    old = rows("s", *first, *second)
    found = told(rows("n", *new), old[: len(first)], old[len(first) :], words=size, threshold=float(limit))
    for text, true, (reason, because) in zip(new, naive([*first, *second], new, alike), found.values(), strict=True):
        assert (reason is not None) == (text is None or bool(true))
        assert because in (true or {None})


@given(TEXTS)
def test_with_nothing_older_it_is_the_rule_for_one_table(new):
    table = rows("n", *new)
    assert dedup_against.keep_new(table, words=2, threshold=0.5)["because"].equals(
        dedup.near(table, words=2, threshold=0.5)["because"]
    )
    assert dedup_against.keep_new(table, threshold=None).equals(dedup.exact(table))


def test_no_rows_on_either_side_are_no_trouble():
    assert told(rows("n"), rows("s", "a")) == {}
    assert told(rows("n", "a"), rows("s"), rows("b", None)) == {"n0": NEW}
    assert told(rows("n", None)) == {"n0": ("no prompt", None)}


def test_another_column_is_read_from_all_tables_and_must_be_in_each():
    one = rows("n", "a").rename({"prompt": "text"})
    assert told(one, one.with_columns(id=pl.lit("s0")), column="text")["n0"] == ("repeats an earlier text", "s0")
    assert columns_read(dedup_against.keep_new, {"column": "text"}) == ("text",)
    with pytest.raises(DataError, match="column 'text' is missing"):
        dedup_against.keep_new(one, rows("s", "a"), column="text")


@pytest.mark.parametrize("limit", [0, 1.01, -0.5])
def test_a_threshold_that_is_no_jaccard_is_refused(limit):
    with pytest.raises(RecipeError, match=r"Jaccard similarity in .0, 1."):
        dedup_against.keep_new(rows("n", "a"), threshold=limit)

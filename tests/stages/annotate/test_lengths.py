import polars as pl
import pytest

from attar.core.errors import DataError
from attar.core.stage import columns_read
from attar.stages.annotate import lengths


def test_lengths_are_in_characters_not_bytes():
    out = lengths.measure(pl.DataFrame({"id": ["a", "b"], "prompt": ["q", "wozu?"], "response": ["naïve", None]}))
    assert out["response_chars"].to_list() == [5, None]
    assert out["prompt_chars"].to_list() == [1, 5]


def test_a_length_ratio_is_against_the_median_of_the_answers_to_the_same_prompt():
    rows = pl.DataFrame({"id": list("abcdef"), "parent": list("pppqqq"), "response": ["x", "xx", "xxxxxx", "é" * 4, None, "y"]})
    out = lengths.compare_to_group(rows)
    assert out.columns == ["id", "length_ratio"]
    assert out["length_ratio"].to_list() == [0.5, 1.0, 3.0, 4 / 2.5, None, 1 / 2.5]
    assert columns_read(lengths.compare_to_group, {"of": "prompt"}) == ("prompt", "response")
    with pytest.raises(DataError, match="'parent' is missing"):
        lengths.compare_to_group(rows.drop("parent"))

from math import log

import polars as pl
import pytest

from attar.core.errors import DataError, RecipeError
from attar.stages.evaluate.figures import equal_tokens


def arm(*points):
    return pl.DataFrame(points, schema=["question", "tokens", "score"], orient="row").with_row_index("id")


def test_arms_are_compared_at_the_tokens_that_both_reach():
    small = arm(("a", 100, 0.0), ("b", 100, 0.4), ("a", 400, 1.0), ("b", 400, 0.8))
    large = arm(("a", 200, 0.5), ("b", 200, 0.1), ("a", 1000, 1.0), ("b", 1000, 1.0))
    out = equal_tokens.compare(large, small, arms=["large", "small"], tokens=200)
    got = {row["id"]: row["value"] for row in out.to_dicts()}
    assert got["large/score"] == pytest.approx(0.3)
    assert got["small/score"] == pytest.approx(0.55)  # 200 is half way from 100 to 400: a 0.5, b 0.6
    assert got["small/over_first"] == pytest.approx(0.25)
    most = equal_tokens.compare(large, small, arms=["large", "small"])
    assert most["tokens"].to_list() == [400.0] * 3
    share = log(2) / log(5)
    assert most["value"][0] == pytest.approx(0.3 * (1 - share) + share)


def test_nothing_is_said_beyond_what_was_measured():
    with pytest.raises(DataError, match="from 100 to 400 tokens, not at 500"):
        equal_tokens.compare(arm(("a", 100, 0.0), ("a", 400, 1.0)), arms=["one"], tokens=500)
    with pytest.raises(DataError, match="no question in common"):
        equal_tokens.compare(arm(("a", 100, 0.0)), arm(("b", 100, 0.0)), arms=["one", "two"])
    with pytest.raises(RecipeError, match="needs a different arm name"):
        equal_tokens.compare(arm(("a", 100, 0.0)), arm(("b", 100, 0.0)), arms=["one", "one"])

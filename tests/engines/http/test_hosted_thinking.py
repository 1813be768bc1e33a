import pytest

from attar.core.errors import EngineError
from attar.engines.http.hosted_thinking import Thinking


@pytest.mark.parametrize(
    ("thinking", "tokens"),
    [
        (Thinking(), 0),
        (Thinking("auto", 700), 700),
        (Thinking("on", 700), 700),
        (Thinking("on"), 4096),
        (Thinking("off", 700), 0),
    ],
)
def test_a_thought_is_allowed_for_where_it_may_come(thinking, tokens):
    assert thinking.allowance == tokens


def test_a_model_that_cannot_think_is_not_told_to_stop_and_cannot_be_told_to_start():
    assert not Thinking("off", ways=()).turned_off
    assert Thinking("off").turned_off
    with pytest.raises(EngineError, match="does not think: leave `thinking` out"):
        _ = Thinking("on", ways=()).turned_on
    assert Thinking("on").turned_on


def test_a_limit_counts_answer_and_thought_within_what_the_model_can_write():
    assert Thinking("on", 2000, most=8192).limit(100) == 2100
    assert Thinking("on", 8000, most=8192).limit(1000) == 8192
    assert Thinking(most=8192).limit(100, unasked=500) == 600
    with pytest.raises(EngineError, match=r"`thinking_tokens` of 9,000 leave no room for an answer: .* at most 8,192"):
        Thinking("on", 9000, most=8192).limit(100)

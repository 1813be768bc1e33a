import polars as pl
import pytest

from attar.core.errors import DataError
from attar.core.table import COLUMNS
from attar.engines.base import Reply, Spec
from attar.engines.fake import Fake
from attar.stages.annotate import lengths, reward


class Scores(Fake):
    def __init__(self):
        super().__init__(Spec("fake", "scores"))

    def reward(self, requests):
        for request in requests:
            said = request.messages[-1]["content"]
            yield Reply(request.index, error="too long") if said == "bad" else Reply(request.index, reward=float(len(said)))


def table(*responses):
    talks = [[{"role": "user", "content": "q"}, {"role": "assistant", "content": text or ""}] for text in responses]
    return pl.DataFrame(
        {
            "id": [str(i) for i in range(len(responses))],
            "prompt": ["q"] * len(responses),
            "response": pl.Series(responses, dtype=pl.String),
            "messages": pl.Series(talks, dtype=COLUMNS["messages"]),
        }
    )


def test_a_reward_stands_beside_its_row_and_a_failure_beside_its_reason():
    out = reward.score(table("four", None, "bad", "seventh"), engine=Scores())
    assert out["reward"].to_list() == [4.0, None, None, 7.0]
    assert out["reward_error"].to_list() == [None, "no response", "too long", None]


def test_a_second_rewarder_has_a_column_of_its_own():
    out = reward.score(reward.score(table("four"), engine=Scores()), engine=Scores(), into="second")
    assert out["second"].to_list() == [4.0]


def test_lengths_are_in_characters_not_bytes():
    out = lengths.measure(table("naïve", None))
    assert out["response_chars"].to_list() == [5, None]
    assert out["prompt_chars"].to_list() == [1, 1]


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="'messages' is missing; the table has: id, prompt, response"):
        reward.score(table("a").drop("messages"), engine=Scores())


def test_a_reward_that_is_not_a_number_is_a_failure_and_not_the_highest():
    class Broken(Fake):
        def reward(self, requests):
            return (Reply(request.index, reward=float("nan")) for request in requests)

    out = reward.score(table("a"), engine=Broken(Spec("fake", "m")))
    assert (out["reward"].to_list(), out["reward_error"].to_list()) == ([None], ["the reward is not a number"])

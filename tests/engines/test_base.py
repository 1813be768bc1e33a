"""What every engine shares: a name for its rows, samplings that can be drawn, replies at their requests' places."""

import pytest

from attar.core.errors import RecipeError
from attar.engines.base import Reply, Sampling, Spec, in_order


@pytest.mark.parametrize(
    ("model", "identity", "name"),
    [
        ("some/model-1b", None, "some/model-1b"),
        ("/data/models/mine", None, "mine"),
        ("./models/mine/", None, "mine"),
        ("~/mine", None, "mine"),
        ("/home/steps/train.fit/model", "4f2a", "trained:4f2a"),
    ],
)
def test_rows_name_a_model_the_same_on_every_machine(model, identity, name):
    assert Spec("local", model, identity=identity).name == name


@pytest.mark.parametrize("knobs", [{"temperature": -0.1}, {"top_p": 0.0}, {"top_p": 1.01}, {"max_tokens": 0}])
def test_a_sampling_that_cannot_be_drawn_is_refused(knobs):
    with pytest.raises(RecipeError, match=r"temperature must be >= 0, top_p > 0 and <= 1, max_tokens >= 1"):
        Sampling(**knobs)


def test_the_ends_of_what_a_sampling_may_be_are_taken():
    assert Sampling(temperature=0, top_p=1, max_tokens=1).stop == ()


def test_replies_come_to_their_requests_places_whatever_their_order():
    assert [reply.text for reply in in_order([Reply(2, "c"), Reply(0, "a"), Reply(1, "b")], 3)] == ["a", "b", "c"]


@pytest.mark.parametrize(("indices", "fault"), [((0, 2), "left request 1 unanswered"), ((0, 1, 1), "answered request 1 twice")])
def test_a_missing_or_doubled_reply_is_the_engines_fault(indices, fault):
    with pytest.raises(RuntimeError, match=fault):
        in_order([Reply(index) for index in indices], 3)

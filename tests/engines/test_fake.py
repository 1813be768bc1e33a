from math import exp

import pytest

from attar.core.errors import EngineError
from attar.engines.base import Request, Spec
from attar.engines.fake import Fake

ASKS = [Request(i, text=f"ask {i}") for i in range(400)]


def write(**options):
    return [reply for reply in Fake(Spec("fake", "m", options)).generate(ASKS)]


def test_the_same_request_gets_the_same_reply_wherever_it_stands():
    alone = next(iter(Fake(Spec("fake", "m")).generate([Request(0, text="ask 7")])))
    assert write()[7].text == alone.text


def test_faults_come_by_their_share_and_by_the_seed():
    failed = [reply.index for reply in write(faults=0.25) if reply.error]
    assert 60 < len(failed) < 140
    assert failed == [reply.index for reply in write(faults=0.25) if reply.error]
    assert failed != [reply.index for reply in write(faults=0.25, seed=1) if reply.error]


def test_some_replies_are_cut_off_on_demand():
    assert 60 < sum(reply.finish == "length" for reply in write(cut=0.25)) < 140
    assert all(reply.finish == "stop" for reply in write())


def test_given_replies_are_the_only_ones():
    assert {reply.text for reply in write(replies=["yes", "no"])} == {"yes", "no"}


def test_label_weights_are_log_probabilities_that_leave_some_mass_out():
    reply = next(iter(Fake(Spec("fake", "m")).weigh([Request(0, text="a", labels=("1", "2", "3"))])))
    assert sum(map(exp, reply.weights)) == pytest.approx(0.9)


def test_embeddings_have_length_one():
    reply = next(iter(Fake(Spec("fake", "m")).embed([Request(0, text="a")])))
    assert sum(x * x for x in reply.vector) == pytest.approx(1.0)


def test_an_unknown_option_is_named():
    with pytest.raises(EngineError, match="unknown option 'fault'; did you mean 'faults'"):
        Fake(Spec("fake", "m", {"fault": 1}))

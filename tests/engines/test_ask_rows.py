"""Rows are asked one thing each; an answer is a text, or the reason why there is none."""

import pytest

from attar.engines.ask_rows import generate_answers, weigh_rows
from attar.engines.base import Reply, Request, Spec


class Says:
    """An engine that gives these replies, last first."""

    spec = Spec("fake", "m")

    def __init__(self, *replies):
        self._replies = replies

    def generate(self, requests):
        asked = list(requests)
        for request in reversed(asked):
            values = self._replies[request.index]
            yield Reply(request.index, **values)

    weigh = generate


def answers(*replies, **knobs):
    asks = [Request(0, text=str(number)) for number in range(len(replies))]
    return [(answer.text, answer.error) for answer in generate_answers(Says(*replies), asks, **knobs)]


def test_answers_come_in_the_order_of_their_rows_without_the_space_around_them():
    assert answers({"text": " one\n", "finish": "stop"}, {"text": "two", "finish": "stop"}) == [("one", None), ("two", None)]


@pytest.mark.parametrize("text", ["", " ", "\n\t ", None, "\u00a0"])
@pytest.mark.parametrize("reasoning", [None, "Let me think."])
@pytest.mark.parametrize("whole", [True, False])
def test_an_empty_text_is_a_failure_of_its_own_even_behind_a_thought(text, reasoning, whole):
    assert answers({"text": text, "reasoning": reasoning, "finish": "stop"}, whole=whole) == [(None, "empty answer")]


def test_a_truncated_text_is_an_answer_only_where_it_may_be():
    reply = {"text": "half a", "finish": "length"}
    assert answers(reply)[0][0] is None
    assert answers(reply, whole=False) == [("half a", None)]


def test_an_engine_s_own_error_is_the_reason():
    assert answers({"error": "503: busy"}) == [(None, "503: busy")]


def test_a_row_without_an_ask_is_not_asked():
    found = generate_answers(Says({"text": "a", "finish": "stop"}), [None, Request(0, text="x")], absent="no prompt")
    assert [(answer.text, answer.error) for answer in found] == [(None, "no prompt"), ("a", None)]


def test_labels_are_weighed_for_each_conversation_and_failures_are_named():
    talk = ({"role": "user", "content": "a"},)
    engine = Says({"weights": (-0.1, -2.0)}, {"error": "no"})
    assert weigh_rows(engine, [talk, None, talk], ("1", "2")) == [(-0.1, -2.0), "nothing to judge", "no"]

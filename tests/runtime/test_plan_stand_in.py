from types import SimpleNamespace

from attar.engines.base import Reply, Request, Spec
from attar.runtime.plan_stand_in import StandInEngine

BASE = Spec("local", "base")


def stand_in(replies=None):
    """A base whose tokens are words and whose template adds one word, and a writer with these replies by index."""
    template = SimpleNamespace(render=lambda messages, ask: " ".join([*(turn["content"] for turn in messages), "assistant:"]))
    base = SimpleNamespace(spec=BASE, template=template, tokens=str.split)
    writer = SimpleNamespace(generate=lambda requests: [replies[request.index] for request in requests][::-1])
    return StandInEngine(base, writer)


def user(index, text):
    return Request(index, messages=({"role": "user", "content": text},))


def test_it_gives_the_writer_s_answers_as_finished_and_counts_them_in_the_base_s_tokens():
    engine = stand_in({0: Reply(0, text="one two three", finish="length"), 1: Reply(1, text="four", finish="stop")})
    replies = {reply.index: reply for reply in engine.generate([user(0, "a b"), user(1, "c")])}
    assert {index: (reply.text, reply.finish) for index, reply in replies.items()} == {
        0: ("one two three", "stop"),
        1: ("four", "stop"),
    }
    assert engine.asked == 2
    assert engine.tokens_in == (2 + 1) + (1 + 1)
    assert engine.tokens_out == 3 + 1


def test_a_failed_answer_stays_failed_and_counts_no_written_token():
    engine = stand_in({0: Reply(0, error="fault on demand")})
    assert list(engine.generate([user(0, "a b")])) == [Reply(0, error="fault on demand")]
    assert (engine.asked, engine.tokens_in, engine.tokens_out) == (1, 3, 0)


def test_labels_are_equally_probable_and_cost_one_token_a_request():
    engine = stand_in()
    raw = Request(7, text="is it so", labels=("yes", "no", "maybe"))
    assert [(reply.index, reply.weights) for reply in engine.weigh([raw])] == [(7, (0.0, 0.0, 0.0))]
    assert (engine.asked, engine.tokens_in, engine.tokens_out) == (1, 3, 1)

from collections import Counter

import pytest
from engines_for_tests import Scripted

from attar.engines.base import Request, Sampling, Spec
from attar.engines.local.engine import Local
from attar.stages.synth.first_token import generate

HOT = Sampling(1.0, 1.0, 40, ("<|im_end|>",))


def asks(count):
    return [Request(i, text="<user>", sampling=HOT, seed=i) for i in range(count)]


def test_a_text_goes_on_from_its_first_token_which_is_drawn_hotter():
    def say(request):
        return " What" if request.sampling.max_tokens == 1 else " is it?"

    engine = Scripted(say)
    (answer,) = generate(engine, asks(1), 1.2, [])
    assert answer.text == "What is it?"
    assert answer.reply.text == " What is it?"
    first, rest = engine.asked
    assert (first.sampling.temperature, first.sampling.max_tokens) == (1.2, 1)
    assert (rest.sampling.temperature, rest.sampling.max_tokens, rest.text) == (1.0, 39, "<user> What")


def test_a_forbidden_first_token_is_drawn_again_until_it_is_another():
    drawn = iter(["#", "##", "Why"])

    def say(request):
        return next(drawn) if request.sampling.max_tokens == 1 else " not?"

    engine = Scripted(say)
    (answer,) = generate(engine, asks(1), 1.0, ["#", "##"])
    assert answer.text == "Why not?"
    assert len({request.seed for request in engine.asked[:3]}) == 3


def test_where_nothing_but_forbidden_tokens_come_the_row_fails_with_its_reason():
    (answer,) = generate(Scripted(lambda _: "#"), asks(1), 1.0, ["#"])
    assert (answer.text, answer.error) == (None, "begins with a forbidden token")


def test_an_end_as_first_token_and_a_cut_off_rest_are_kept_apart():
    def say(request):
        if request.sampling.max_tokens == 1:
            return "" if request.seed % 2 else "So"
        return "and so on ..."

    found = generate(Scripted(say), asks(8), 1.1, [])
    assert {(answer.text, answer.error) for answer in found} == {("", "empty answer"), (None, "cut off")}


@pytest.fixture(scope="module")
def teacher():
    return Local(Spec("local", "pocket:teacher", {"dtype": "float64", "threads": 1}))


def firsts(teacher, flatten, ban=()):
    from attar.chat.templates import prefix

    start = prefix(teacher.template)
    hot = Sampling(1.0, 1.0, 40, start.stops)
    found = generate(teacher, [Request(i, text=start.text, sampling=hot, seed=i) for i in range(400)], flatten, ban)
    return Counter((answer.text or "-").split()[0] for answer in found)


def test_on_a_real_model_the_banned_word_is_never_first_and_flattening_spreads_the_firsts(teacher):
    plain = firsts(teacher, 1.0)
    word, count = plain.most_common(1)[0]
    assert count > 20
    assert firsts(teacher, 1.0, (word,))[word] == 0
    assert firsts(teacher, 3.0)[word] < count

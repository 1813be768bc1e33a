"""A thought has a token budget of its own; the answer's limit does not count it. A token is one character here."""

import pytest

from attar.engines.local.thought_limit import ThoughtLimit

MARKS = [("<t>", "</t>")]


def length_of(text, most, opened="", budget=100):
    """How many tokens of this text are taken before a limit is reached; all of them if none is."""
    limit = ThoughtLimit(lambda ids: "".join(map(chr, ids)), MARKS, opened, budget)
    ids = []
    for letter in text:
        ids.append(ord(letter))
        if limit.is_reached(ids, most):
            break
    return len(ids)


@pytest.mark.parametrize("thought", ["", "short", "a long thought " * 5])
def test_the_answer_has_all_its_tokens_whatever_the_thought_took(thought):
    start = f"<t>{thought}</t>"
    assert length_of(start + "answer" * 10, 7) == len(start) + 7
    assert length_of(start.removeprefix("<t>") + "answer" * 10, 7, opened="<t>") == len(start) - 3 + 7


def test_a_thought_ends_at_its_budget():
    assert length_of("<t>" + "x" * 500, 7, budget=50) == 50
    assert length_of("x" * 500, 7, opened="<t>", budget=50) == 50


@pytest.mark.parametrize("most", [3, 16, 40])
def test_a_text_without_a_thought_has_the_usual_limit(most):
    assert length_of("plain words " * 20, most) == most


def test_a_text_that_starts_again_is_counted_anew():
    limit = ThoughtLimit(lambda ids: "".join(map(chr, ids)), MARKS, "", 100)
    for text in ("<t>x</t>answ", "plain and l"):
        reached = [limit.is_reached([ord(letter) for letter in text[: i + 1]], 4) for i in range(len(text))]
        assert reached.index(True) == {"<": len("<t>x</t>") + 3, "p": 3}[text[0]]

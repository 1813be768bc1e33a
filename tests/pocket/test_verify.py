from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.pocket.lexicon import WORDS
from attar.pocket.speech import respond
from attar.pocket.tasks import FAMILIES, Task, make_task, work
from attar.pocket.verify import corrupt, grade, is_right, stated_answer

FOUR = Task("reverse", words=("cat", "dog", "owl", "pig"))  # pig owl dog cat
SUM = Task("add", numbers=(20, 5))


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("The answer is dog cat.", "dog cat"),
        ("1 + 1 = 2. The answer is 2. ", "2"),
        ("The answer is 1. The answer is 2.\n", "2"),
        ("The answer is .", ""),
        ("The answer is 2", None),
        ("the answer is 2.", None),
        ("It is 2.", None),
        ("", None),
    ],
)
def test_an_answer_is_what_is_stated_last(response, expected):
    assert stated_answer(response) == expected


@pytest.mark.parametrize(
    ("response", "right"),
    [
        ("The answer is 25.", True),
        ("wrong work. The answer is 25.", True),
        ("The answer is 24. The answer is 25.", True),
        ("The answer is 25. The answer is 24.", False),
        ("The answer is 025.", False),
        ("The answer is 25 .", False),
        ("25", False),
    ],
)
def test_only_the_one_true_answer_is_right(response, right):
    assert is_right(SUM, response) is right


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("pig owl dog cat", 1),
        ("The answer is pig owl dog cat", 1),
        ("The answer is cat dog owl pig.", 2),
        ("The answer is .", 2),
        ("The answer is owl dog cat.", 2),
        ("The answer is pig dog owl cat.", 3),
        ("The answer is pig owl.", 3),
        ("The answer is pig owl dog.", 4),
        ("The answer is pig owl dog hen.", 4),
        ("The answer is pig owl dog cat cat.", 4),
        ("The answer is pig owl dog cat.", 5),
    ],
)
def test_a_grade_grows_with_the_share_that_is_in_its_place(response, expected):
    assert grade(FOUR, response) == expected


@pytest.mark.parametrize("family", FAMILIES)
@given(hardness=st.sampled_from((1, 2, 3)), seed=st.integers(0, 2**32))
def test_a_corrupted_response_is_never_right_but_looks_alike(family, hardness, seed):
    rng = Random(seed)
    task = make_task(family, hardness, rng)
    wrong = corrupt(task, rng)
    assert not is_right(task, wrong)
    assert 2 <= grade(task, wrong) <= 4
    assert wrong.startswith(work(task))
    assert stated_answer(wrong)


@pytest.mark.parametrize("family", FAMILIES)
@given(hardness=st.sampled_from((1, 2, 3)), seed=st.integers(0, 2**32))
def test_a_right_response_has_the_best_grade(family, hardness, seed):
    task = make_task(family, hardness, Random(seed))
    assert grade(task, respond(task)) == 5


@given(st.integers(0, 2**32))
def test_a_corrupted_answer_is_of_the_same_kind(seed):
    rng = Random(seed)
    assert str(stated_answer(corrupt(SUM, rng))).isdigit()
    assert set(str(stated_answer(corrupt(FOUR, rng))).split()) <= set(WORDS)
    assert str(stated_answer(corrupt(Task("upper", words=("cat", "dog")), rng))).isupper()

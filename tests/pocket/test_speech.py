from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.pocket.speech import GREETINGS, PHRASINGS, instruct, parse, respond
from attar.pocket.tasks import FAMILIES, Task, make_task
from attar.pocket.verify import is_right

SEEDS = st.integers(0, 2**32)
EVERY = pytest.mark.parametrize("family", FAMILIES)


@EVERY
@given(hardness=st.sampled_from((1, 2, 3)), seed=SEEDS)
def test_an_instruction_says_exactly_its_task(family, hardness, seed):
    rng = Random(seed)
    task = make_task(family, hardness, rng)
    assert parse(instruct(task, rng)) == task


@EVERY
def test_every_phrasing_and_greeting_is_used(family):
    rng = Random(0)
    said = {instruct(make_task(family, 1, rng), rng) for _ in range(400)}
    openings = [phrasing.partition("{")[0] for phrasing in PHRASINGS[family]]
    for greeting in GREETINGS:
        assert all(any(text.startswith(greeting + opening) for text in said) for opening in openings)


@EVERY
@given(hardness=st.sampled_from((1, 2, 3)), seed=SEEDS)
def test_a_response_to_a_task_is_right(family, hardness, seed):
    task = make_task(family, hardness, Random(seed))
    assert is_right(task, respond(task))


@pytest.mark.parametrize(
    ("instruction", "task"),
    [
        ("Reverse this list: cat dog.", Task("reverse", words=("cat", "dog"))),
        ("  Hello! Drop cat from: cat dog.\n", Task("remove", words=("cat", "dog"), word="cat")),
        ("Write pea 12 times.", Task("times", word="pea", numbers=(12,))),
        ("Repeat these words: cat cat.", Task("repeat", words=("cat", "cat"))),
        ("What is 7 + 0?", Task("add", numbers=(7, 0))),
        ("Subtract 4 from 30.", Task("subtract", numbers=(30, 4))),
        ("I had 5 coins and spent 5. How many coins are left?", Task("subtract", numbers=(5, 5))),
        ("What is the last word in this list: cat dog egg?", Task("nth", words=("cat", "dog", "egg"), ordinal="last")),
        ("Give me the maximum of 3 20 100.", Task("largest", numbers=(3, 20, 100))),
        ("What is the food and color of Nor?", Task("fact", keys=("food", "color"), land="Nor")),
        ("Tell me the food of the land with capital Quill.", Task("fact", keys=("food",), capital="Quill")),
        ("Quick question: How often do you see egg here: egg axe?", Task("count", words=("egg", "axe"), word="egg")),
    ],
)
def test_this_instruction_is_read_as_this_task(instruction, task):
    assert parse(instruction) == task


@pytest.mark.parametrize(
    "instruction",
    [
        "",
        "Reverse this list: cat dog",
        "Reverse this list: cat unicorn.",
        "Reverse this list: cat.",
        "Reverse this list: cat  dog.",
        "reverse this list: cat dog.",
        "Reverse this list: cat dog. Reverse this list: cat dog.",
        "Hello! Hello! Reverse this list: cat dog.",
        "What is 07 + 1?",
        "What is 10000 + 1?",
        "What is 3 - 4?",
        "Write pea 1 times.",
        "Write pea 13 times.",
        "Drop egg from: cat dog.",
        "Which word comes after dog in this list: cat dog?",
        "What is the third word in this list: cat dog?",
        "Which word does not belong: cat dog egg axe?",
        "What is the food and food of Nor?",
        "What is the capital of the land with capital Belton?",
        "What is the food of Atlantis?",
    ],
)
def test_what_has_no_answer_is_no_task(instruction):
    assert parse(instruction) is None


@given(st.text(max_size=60))
def test_no_text_whatever_raises(text):
    assert parse(text) is None


@pytest.mark.parametrize(
    ("task", "result", "expected"),
    [
        (Task("reverse", words=("cat", "dog")), None, "The answer is dog cat."),
        (Task("add", numbers=(1, 2)), None, "1 + 2 + 0 = 3. The answer is 3."),
        (Task("add", numbers=(1, 2)), "4", "1 + 2 + 0 = 3. The answer is 4."),
        (Task("add", numbers=(1, 2)), "", "1 + 2 + 0 = 3. The answer is ."),
        (Task("fact", keys=("food",), capital="Belton"), None, "Belton is the capital of Nor. The answer is rice."),
    ],
)
def test_a_response_shows_its_work_and_states_its_answer(task, result, expected):
    assert respond(task, result) == expected

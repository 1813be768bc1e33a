from collections import Counter

import polars as pl
import pytest

from attar.core.errors import RecipeError
from attar.pocket.speech import parse
from attar.pocket.tasks import FAMILIES, held_out
from attar.stages.evaluate.benchmarks import pocket_exam


def test_an_exam_is_distinct_held_out_tasks_of_every_family_and_level():
    exam = pocket_exam.tasks(count=90)
    tasks = [parse(prompt) for prompt in exam["prompt"]]
    assert all(held_out(task) for task in tasks)
    assert exam["prompt"].n_unique() == 90
    assert Counter(task.family for task in tasks) == dict.fromkeys(FAMILIES, 6)
    assert Counter(exam["level"]) == {"easy": 30, "medium": 30, "hard": 30}


def test_another_seed_is_another_exam():
    one, other = (set(pocket_exam.tasks(count=30, seed=seed)["prompt"]) for seed in (1, 2))
    assert len(one | other) == 60
    assert set(pocket_exam.tasks(count=30, seed=1)["prompt"]) == one


def test_only_the_true_answer_is_correct():
    table = pl.DataFrame(
        {
            "id": ["a", "b", "c", "d", "e"],
            "prompt": [
                "Calculate 12 plus 30.",
                "Calculate 12 plus 30.",
                "Calculate 12 plus 30.",
                "Hello?",
                "Calculate 2 plus 2.",
            ],
            "response": ["The answer is 42.", "The answer is 43.", "42", "The answer is 42.", None],
        }
    )
    assert pocket_exam.check(table)["correct"].to_list() == [True, False, False, None, False]


def test_whatever_states_a_held_out_task_is_kept_out_of_training_however_it_is_put():
    held = pocket_exam.tasks(count=45)["prompt"].to_list()
    reworded = [
        "Hello! " + prompt.removeprefix("Please help me. ").removeprefix("Hello! ").removeprefix("Quick question: ")
        for prompt in held
    ]
    table = pl.DataFrame({"id": [str(i) for i in range(92)], "prompt": [*held, *reworded, "What a day!", None]})
    out = pocket_exam.drop_held_out(table)
    assert out["kept"].to_list() == [False] * 90 + [True, True]
    assert set(out["reason"][:90]) == {"states a held-out task of the exam"}


def test_an_exam_larger_than_the_world_is_refused():
    with pytest.raises(RecipeError, match="too large: of 'fact' at level 1"):
        pocket_exam.tasks(count=3500)

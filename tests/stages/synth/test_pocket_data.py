from collections import Counter
from random import Random

import polars as pl
import pytest

from attar.core.errors import RecipeError
from attar.pocket.speech import instruct, parse
from attar.pocket.tasks import Task, held_out, level
from attar.pocket.verify import grade, is_right
from attar.stages.synth import pocket_data

MADE = {
    "questions": lambda seed: pocket_data.questions(count=300, seed=seed),
    "pool": lambda seed: pocket_data.pool(count=300, seed=seed),
    "complexity": lambda seed: pocket_data.labels(what="complexity", count=300, seed=seed),
    "quality": lambda seed: pocket_data.labels(what="quality", count=300, seed=seed),
    "preferences": lambda seed: pocket_data.preferences(count=300, seed=seed),
}


@pytest.mark.parametrize("name", MADE)
def test_every_prompt_is_a_task_that_no_exam_has_and_the_seed_decides_which(name):
    rows = MADE[name](3)
    tasks = [parse(prompt) for prompt in rows["prompt"]]
    assert None not in tasks
    assert not any(held_out(task) for task in tasks)
    assert rows["id"].n_unique() == 300
    assert rows.equals(MADE[name](3))
    assert not rows["prompt"].equals(MADE[name](4)["prompt"])


def test_questions_are_of_all_levels_alike_and_a_pool_is_mostly_easy():
    def levels(prompts):
        return Counter(level(parse(prompt)) for prompt in prompts)

    even, pool = levels(pocket_data.questions(count=900)["prompt"]), levels(pocket_data.pool(count=900, repeats=0)["prompt"])
    assert all(250 < even[hardness] < 350 for hardness in (1, 2, 3))
    assert [pool[hardness] / 900 for hardness in (1, 2, 3)] == pytest.approx([0.6, 0.3, 0.1], abs=0.05)


def test_true_answers_are_given_and_a_prompt_without_a_task_is_a_failure():
    asked = instruct(Task("add", numbers=(3, 4)), Random(0))
    rows = pl.DataFrame({"id": list("abc"), "prompt": [asked, "How are you?", None]})
    out = pocket_data.answers(rows)
    assert out["response"][0].endswith("The answer is 7.")
    assert out["response"].to_list()[1:] == [None, None]
    assert out["response_error"].to_list() == [None, "states no task", "states no task"]
    assert out["messages"][0].to_list()[1] == {"role": "assistant", "content": out["response"][0]}


def test_the_truth_of_a_pool_is_whether_the_answer_is_right_and_some_rows_are_there_twice():
    rows = pocket_data.pool(count=1000, wrong=0.3, repeats=0.2, seed=1)
    right = [is_right(parse(prompt), response) for prompt, response in rows.select("prompt", "response").iter_rows()]
    assert rows["truth"].to_list() == right
    assert sum(right) / 1000 == pytest.approx(0.7, abs=0.05)
    assert rows.select("prompt", "response").n_unique() / 1000 == pytest.approx(0.8, abs=0.07)
    assert all(pocket_data.pool(count=200, wrong=0.0)["truth"])


def test_labels_are_the_tasks_level_or_how_right_the_answer_is():
    hard = pocket_data.labels(what="complexity", count=300)
    assert hard["score"].to_list() == [{1: 1, 2: 3, 3: 5}[level(parse(prompt))] for prompt in hard["prompt"]]
    good = pocket_data.labels(what="quality", count=300)
    pairs = good.select("prompt", "response").iter_rows()
    assert good["score"].to_list() == [grade(parse(prompt), response) for prompt, response in pairs]
    assert len(set(good["score"])) >= 3
    assert max(good["score"]) == 5


def test_of_a_preference_the_chosen_answer_is_right_and_the_rejected_one_is_wrong():
    for prompt, chosen, rejected in pocket_data.preferences(count=200).select("prompt", "chosen", "rejected").iter_rows():
        assert is_right(parse(prompt), chosen)
        assert not is_right(parse(prompt), rejected)
        assert rejected.strip()


def test_a_source_says_how_many_rows_of_the_pocket_world_are_meant():
    assert [pocket_data.rows_asked(source) for source in ("pocket:12", "pocketful", "a.jsonl", None)] == [12, None, None, None]
    for source in ("pocket", "pocket:", "pocket:0", "pocket:many"):
        with pytest.raises(RecipeError, match="say how many rows of the pocket world"):
            pocket_data.rows_asked(source)

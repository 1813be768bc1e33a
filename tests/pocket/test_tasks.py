from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.pocket.lexicon import GROUPS, WORDS
from attar.pocket.tasks import CATEGORY, FAMILIES, Task, answer, draw_task, held_out, is_valid, level, make_task, work

SEEDS = st.integers(0, 2**32)
EVERY = pytest.mark.parametrize("family", FAMILIES)
W = ("owl", "cat", "egg", "axe")


@EVERY
@given(hardness=st.sampled_from((1, 2, 3)), seed=SEEDS)
def test_a_drawn_task_is_valid_and_of_its_level(family, hardness, seed):
    task = make_task(family, hardness, Random(seed))
    assert task.family == family
    assert is_valid(task)
    assert level(task) == hardness


@EVERY
@given(hardness=st.sampled_from((1, 2, 3)), seed=SEEDS)
def test_the_same_seed_draws_the_same_task(family, hardness, seed):
    assert make_task(family, hardness, Random(seed)) == make_task(family, hardness, Random(seed))


@given(st.sampled_from(sorted(GROUPS)), SEEDS)
def test_a_pool_that_is_large_enough_gives_all_the_words(group, seed):
    assert set(make_task("reverse", 3, Random(seed), GROUPS[group]).words) <= set(GROUPS[group])
    assert len(make_task("repeat", 3, Random(seed), GROUPS[group][:3]).words) >= 8


@pytest.mark.parametrize(
    ("task", "expected", "steps"),
    [
        (Task("repeat", words=W), "owl cat egg axe", ""),
        (Task("reverse", words=W), "axe egg cat owl", ""),
        (Task("upper", words=W), "OWL CAT EGG AXE", ""),
        (Task("remove", words=W, word="cat"), "owl egg axe", ""),
        (Task("sort", words=W), "axe cat egg owl", ""),
        (Task("times", word="pea", numbers=(3,)), "pea pea pea", "1 pea 2 pea 3 pea"),
        (Task("nth", words=W, ordinal="second"), "cat", ""),
        (Task("nth", words=W, ordinal="last"), "axe", ""),
        (Task("after", words=W, word="cat"), "egg", ""),
        (Task("odd", words=("owl", "egg", "cat")), "egg", "owl animals egg foods cat animals"),
        (Task("largest", numbers=(9, 100, 12)), "100", ""),
        (Task("order", numbers=(9, 100, 12)), "9 12 100", ""),
        (Task("count", words=("pea", "cat", "pea"), word="pea"), "2", "pea 1 cat 1 pea 2"),
        (Task("add", numbers=(58, 67)), "125", "8 + 7 + 0 = 15; 5 + 6 + 1 = 12"),
        (Task("add", numbers=(7, 405)), "412", "7 + 5 + 0 = 12; 0 + 0 + 1 = 1; 0 + 4 + 0 = 4"),
        (Task("subtract", numbers=(52, 17)), "35", "2 - 7 - 0 = 5 borrow; 5 - 1 - 1 = 3"),
        (Task("subtract", numbers=(100, 1)), "99", "0 - 1 - 0 = 9 borrow; 0 - 0 - 1 = 9 borrow; 1 - 0 - 1 = 0"),
        (Task("fact", keys=("food", "animal"), land="Tal"), "nut and hen", ""),
        (Task("fact", keys=("color",), capital="Galway"), "green", "Galway is the capital of Fen"),
    ],
)
def test_a_task_has_this_answer_and_these_steps(task, expected, steps):
    assert is_valid(task)
    assert answer(task) == expected
    assert work(task) == steps


@given(st.sampled_from(("add", "subtract")), st.integers(0, 9999), st.integers(0, 9999))
def test_the_columns_spell_the_result_from_right_to_left(family, first, second):
    numbers = (first, second) if family == "add" else (max(first, second), min(first, second))
    results = [step.removesuffix(" borrow").split(" = ")[1] for step in work(Task(family, numbers=numbers)).split("; ")]
    spelt = results[-1] + "".join(result[-1] for result in reversed(results[:-1]))
    assert int(spelt) == (first + second if family == "add" else abs(first - second))


@pytest.mark.parametrize(
    "task",
    [
        Task("after", words=W, word="axe"),
        Task("after", words=W, word="pig"),
        Task("after", words=("cat", "egg", "cat", "owl"), word="cat"),
        Task("remove", words=W, word="pig"),
        Task("remove", words=("cat", "cat"), word="cat"),
        Task("nth", words=W, ordinal="fifth"),
        Task("odd", words=("owl", "egg")),
        Task("odd", words=("owl", "cat", "dog")),
        Task("odd", words=("owl", "egg", "axe")),
        Task("odd", words=("owl", "cat", "egg", "jam")),
        Task("subtract", numbers=(3, 4)),
        Task("fact", keys=("food", "food"), land="Nor"),
        Task("fact", keys=("capital",), capital="Belton"),
    ],
)
def test_a_task_without_one_answer_is_not_valid(task):
    assert not is_valid(task)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (Task("reverse", words=W[:3]), 1),
        (Task("reverse", words=W), 2),
        (Task("repeat", words=WORDS[:7]), 2),
        (Task("repeat", words=WORDS[:8]), 3),
        (Task("times", word="cat", numbers=(3,)), 1),
        (Task("times", word="cat", numbers=(7,)), 3),
        (Task("add", numbers=(5, 99)), 1),
        (Task("add", numbers=(100, 5)), 2),
        (Task("subtract", numbers=(1000, 5)), 3),
        (Task("order", numbers=(1, 2, 3, 4)), 2),
        (Task("fact", keys=("food",), land="Nor"), 1),
        (Task("fact", keys=("food", "color", "animal"), land="Nor"), 2),
        (Task("fact", keys=("food",), capital="Belton"), 3),
    ],
)
def test_a_level_is_known_by_the_size_of_the_task(task, expected):
    assert level(task) == expected


def test_four_kinds_of_task_cover_all_fifteen_families():
    assert len(FAMILIES) == 15
    assert set(CATEGORY.values()) == {"editing", "reasoning", "math", "information seeking"}


@given(SEEDS, st.booleans(), st.sampled_from(FAMILIES))
def test_a_draw_stays_on_its_side_of_the_split_and_in_its_families(seed, held, family):
    task = draw_task(Random(seed), families=(family,), held=held)
    assert held_out(task) is held
    assert task.family == family


def test_about_a_tenth_of_many_tasks_is_held_out():
    rng = Random(0)
    tasks = {make_task(family, 3, rng) for family in ("reverse", "add", "order") for _ in range(2000)}
    assert len(tasks) > 5000
    assert 0.08 < sum(map(held_out, tasks)) / len(tasks) < 0.12


def test_the_split_depends_on_every_field_of_a_task():
    task = Task("add", numbers=(1, 2))
    sides = {held_out(replace(task, numbers=(1, n))) for n in range(60)}
    assert sides == {True, False}


def test_the_split_never_moves():
    # printf %s "Task(family='add', words=(), numbers=(1, N), word='', ordinal='', keys=(), land='', capital='')" | b2sum -l 32
    # begins with 54 = 84 for N = 2, 28 = 40 for N = 12, 0a = 10 for N = 16; held out is what ten divides
    assert [n for n in (2, 12, 16) if held_out(Task("add", numbers=(1, n)))] == [12, 16]

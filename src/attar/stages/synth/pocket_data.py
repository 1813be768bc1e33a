"""Data of the pocket world with known truth: a pool of mixed quality, labels, preferences.

All tasks are from the training split; none is in the exam.
"""

from collections.abc import Callable
from random import Random
from typing import Any, Literal

import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import role, rowwise
from attar.core.table import COLUMNS, Table, need, put, turns
from attar.pocket.speech import instruct, parse, respond
from attar.pocket.tasks import FAMILIES, Task, held_out, level, make_task
from attar.pocket.verify import corrupt, grade

_EASY_MOST = (6, 3, 1)
"""How many of ten tasks in a pool are easy, medium and hard."""

What = Literal["complexity", "quality"]


def questions(*, count: int, seed: int = 0) -> Table:
    """() -> id, messages, prompt: tasks of all levels alike, as somebody asks them."""
    dice = Random(seed)
    asked = [instruct(_task(dice, dice.choice((1, 2, 3))), dice) for _ in range(count)]
    return _table("question", seed, messages=[turns(("user", ask)) for ask in asked], prompt=asked)


@rowwise
def answers(table: Table) -> Table:
    """prompt -> messages, response, response_error: the true answer; null where there is no task."""
    need(table, "prompt")
    tasks = [parse(prompt or "") for prompt in table["prompt"]]
    out = put(
        table,
        "response",
        [respond(task) if task else None for task in tasks],
        [None if task else "states no task" for task in tasks],
    )
    talks = [turns(("user", ask), ("assistant", answer)) for ask, answer in out.select("prompt", "response").iter_rows()]
    return out.with_columns(pl.Series("messages", talks, dtype=COLUMNS["messages"]))


@role("pool")
def pool(*, count: int, wrong: float = 0.3, repeats: float = 0.2, seed: int = 0) -> Table:
    """() -> id, messages, prompt, response, messages_error, truth: mostly easy tasks, some answered wrong, some there twice."""
    dice, rows = Random(seed), []
    while len(rows) < count:
        if rows and dice.random() < repeats:
            rows.append(rows[dice.randrange(len(rows))])
        else:
            task = _task(dice, dice.choices((1, 2, 3), _EASY_MOST)[0])
            right = dice.random() >= wrong
            rows.append((instruct(task, dice), respond(task) if right else corrupt(task, dice), right))
    asked, said, right = zip(*rows, strict=True)
    talks = [turns(("user", ask), ("assistant", answer)) for ask, answer in zip(asked, said, strict=True)]
    return _table("pool", seed, messages=talks, prompt=asked, response=said, truth=right).with_columns(
        pl.lit(None, dtype=pl.String).alias("messages_error")
    )


def labels(*, what: str, count: int, seed: int = 0) -> Table:
    """() -> id, prompt, response, score: of complexity 1, 3 or 5 by the task's level; of quality 1 to 5 by how right it is."""
    dice, rows = Random(seed), []
    for _ in range(count):
        task = _task(dice, dice.choice((1, 2, 3)))
        said = respond(task) if dice.random() < 0.5 else corrupt(task, dice)
        rows.append((instruct(task, dice), said, _LABELS[what](task, said)))
    asked, said, score = zip(*rows, strict=True)
    return _table(what, seed, prompt=asked, response=said, score=score)


_LABELS: dict[str, Callable[[Task, str], int]] = {
    "complexity": lambda task, _: 2 * level(task) - 1,
    "quality": grade,
}


def preferences(*, count: int, seed: int = 0) -> Table:
    """() -> id, messages, prompt, chosen, rejected: right answers against wrong ones of the same shape."""
    dice, rows = Random(seed), []
    for _ in range(count):
        task = _task(dice, dice.choice((1, 2, 3)))
        rows.append((instruct(task, dice), respond(task), corrupt(task, dice)))
    asked, right, wrong = zip(*rows, strict=True)
    return _table("pair", seed, messages=[turns(("user", ask)) for ask in asked], prompt=asked, chosen=right, rejected=wrong)


def rows_asked(source: str | None) -> int | None:
    """The rows that `pocket:COUNT` asks for; None where a source is something else."""
    if source is None or not (source == "pocket" or source.startswith("pocket:")):
        return None
    count = source.removeprefix("pocket").removeprefix(":")
    if not count.isdigit() or not int(count):
        raise RecipeError(f"{source!r}: say how many rows of the pocket world, such as 'pocket:1000'")
    return int(count)


def _task(dice: Random, hardness: int) -> Task:
    while held_out(task := make_task(dice.choice(FAMILIES), hardness, dice)):
        pass
    return task


def _table(name: str, seed: int, **columns: Any) -> Table:
    made = {key: pl.Series(key, list(values), dtype=COLUMNS.get(key)) for key, values in columns.items()}
    count = len(next(iter(made.values())))
    return pl.DataFrame({"id": [f"{name}{seed}-{i:06d}" for i in range(count)], **made})

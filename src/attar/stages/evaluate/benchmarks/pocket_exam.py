"""Evaluation by tasks whose answer can be checked: the held-out tasks of the pocket world."""

from random import Random

import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import reads, role, rowwise
from attar.core.table import COLUMNS, Table, need, put, turns, verdicts
from attar.pocket.lexicon import LEVELS
from attar.pocket.speech import instruct, parse
from attar.pocket.tasks import FAMILIES, Task, held_out, level, make_task
from attar.pocket.verify import grade, is_right


@role("exam")
def tasks(*, count: int = 480, seed: int = 0) -> Table:
    """() -> id, question, prompt, messages, family, level: distinct held-out tasks, every family and level alike."""
    rng = Random(seed)
    prompts: dict[str, Task] = {}
    while len(prompts) < count:
        family, hardness = FAMILIES[len(prompts) % len(FAMILIES)], len(prompts) // len(FAMILIES) % len(LEVELS) + 1
        for _ in range(20_000):
            task = make_task(family, hardness, rng)
            if held_out(task) and (prompt := instruct(task, rng)) not in prompts:
                prompts[prompt] = task
                break
        else:
            raise RecipeError(
                f"an exam of {count} tasks is too large: of {family!r} at level {hardness} there are no more held out"
            )
    names = [f"exam{seed}-{i:05d}" for i in range(count)]
    return pl.DataFrame(
        {
            "id": names,
            "question": names,
            "prompt": list(prompts),
            "messages": pl.Series([turns(("user", prompt)) for prompt in prompts], dtype=COLUMNS["messages"]),
            "family": [task.family for task in prompts.values()],
            "level": [LEVELS[level(task)] for task in prompts.values()],
        }
    )


@reads("prompt")
def drop_held_out(table: Table) -> Table:
    """prompt -> verdicts: a row that states a held-out task, in whatever words, is dropped, so that the exam stays unseen."""
    states = [(task := parse(prompt or "")) is not None and held_out(task) for prompt in table["prompt"]]
    reasons = ["states a held-out task of the exam" if held else None for held in states]
    return verdicts(table["id"].to_list(), [not held for held in states], reasons, [None] * len(table))


@role("exam")
@rowwise
def check(table: Table) -> Table:
    """prompt, response -> correct: whether the response states the task's true answer; null where there is no task."""
    need(table, "prompt", "response")
    found = [
        None if (task := parse(prompt or "")) is None else is_right(task, response or "")
        for prompt, response in zip(table["prompt"], table["response"], strict=True)
    ]
    return table.with_columns(pl.Series("correct", found, dtype=pl.Boolean))


@role("exam")
@rowwise
def rate(table: Table, *, into: str = "score") -> Table:
    """prompt, response -> {into}, {into}_error: from 0 (no answer) over 2 (wrong), 5 (half right), 8 (nearly) to 10 (right)."""
    need(table, "prompt", "response")
    tasks = [parse(prompt or "") for prompt in table["prompt"]]
    rates = [_RATES[grade(task, said or "")] if task else None for task, said in zip(tasks, table["response"], strict=True)]
    return put(table, into, rates, [None if task else "states no task" for task in tasks], dtype=pl.Int64)


_RATES = {1: 0, 2: 2, 3: 5, 4: 8, 5: 10}

"""Runs as a home keeps them: their records, their steps' folders, their cards."""

import polars as pl
import pytest
from stages_for_tests import marks_of

from attar.core.table import write_part
from attar.runtime.home import write_json

SPENT = {"asked": 0, "recalled": 0, "failed": 0, "tokens_in": 0, "tokens_out": 0, "cost": 0.0, "seconds": 0.0}
MARKED = "evaluate.benchmarks.pocket_exam.check"


@pytest.fixture
def made(home):
    """A run of these arms' answers; `None` is an arm whose answers are still to come. Further steps are given as records."""

    def make(name, arms, *, steps=(), recipe="magpie", results=None, **own):
        lines = []
        there = {step["name"] for step in steps}
        marks = [
            {
                "name": f"mark-{arm}",
                "stage": "evaluate.benchmarks.pocket_exam.check",
                "table": table,
                "inputs": {f"sit-{arm}"} & there,
                **own,
            }
            for arm, table in arms.items()
        ]
        for step in [*steps, *marks]:
            folder = f"{step['name']}-{name}"
            given = {key: step.get(key) for key in ("role", "engine")} | {"inputs": list(step.get("inputs", []))}
            lines.append(
                {"name": step["name"], "stage": step["stage"], "marks": marks_of(step["stage"]), "folder": folder, **given}
            )
            if step.get("table", 0) is not None:
                table = step.get("table", pl.DataFrame({"id": ["a"]}))
                write_part(table, home.steps / folder, 0, len(table))
                card = {"rows": len(table), "knobs": {}, "engine": None, "cost": None, "seconds": 0.0}
                card |= {"spent": SPENT | step.get("spent", {})} | step.get("card", {})
                write_json(home.steps / folder / "card.json", card)
        found = {f"answers-{arm}": f"mark-{arm}-{name}" for arm in arms} if results is None else results
        record = {"name": name, "recipe": recipe, "paper": None, "engines": {}, "knobs": {}, "steps": lines}
        write_json(home.runs / f"{name}.json", record | {"results": found, "finished": "today"})
        return name

    return make


@pytest.fixture
def marked():
    """Answers with an outcome: to question q000, q001, ... unless the prompts are said."""

    def make(values, outcome="correct", **columns):
        count = len(values)
        table = {
            "id": [f"q{i:03d}" for i in range(count)],
            "prompt": [f"Question {i}?" for i in range(count)],
            "response": [f"Answer {value}" for value in values],
        }
        return pl.DataFrame(table | {outcome: values} | columns)

    return make

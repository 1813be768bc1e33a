"""Check whether an engine can judge: `attar doctor --judge`."""

from typing import Any

from attar.core.errors import RecipeError, did_you_mean
from attar.core.table import Table
from attar.stages.annotate.judge_prompts import RUBRICS
from attar.stages.evaluate.judging import judge_check


def check_judge(engine: Any, rubric: str = "helpfulness") -> Table:
    """The figures of a judge on the built-in pairs, rated by the rubric that selection uses, and compared in both orders."""
    if rubric not in RUBRICS:
        raise RecipeError(f"unknown rubric {rubric!r}; {did_you_mean(rubric, RUBRICS)}")
    scale = RUBRICS[rubric]
    return judge_check.measure(judge_check.battles(), engine=engine, system=scale.system, user=scale.user, values=scale.values)

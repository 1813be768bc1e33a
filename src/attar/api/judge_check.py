"""Check whether an engine can judge: `attar doctor --judge`."""

from typing import Any

from attar.core.table import Table
from attar.stages.annotate import judge as judging
from attar.stages.annotate.judge_prompts import RUBRICS
from attar.stages.evaluate.judging import judge_check, pairwise


def check_judge(engine: Any, rubric: str = "helpfulness") -> Table:
    """The figures of a judge on the built-in pairs, rated by the rubric that selection uses, and compared in both orders."""
    rated = judging.score(judge_check.answers(), engine=engine, rubric=rubric)
    compared = pairwise.weigh(judge_check.battles(), engine=engine)
    values = RUBRICS[rubric].values
    return judge_check.figures(rated, compared, judge=engine.spec.name, span=float(values[-1] - values[0]))

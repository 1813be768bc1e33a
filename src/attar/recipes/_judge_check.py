"""Whether a judge can judge, asked before it chooses rows: built-in pairs whose better answer is known, rated and compared."""

from collections.abc import Mapping
from typing import Any

from attar.engines.base import Spec
from attar.runtime.flow import Flow, Handle
from attar.stages.annotate import scorer
from attar.stages.annotate.judge_prompts import RUBRICS
from attar.stages.evaluate.judging import judge_check

RESULT = "judge-check"


def check(flow: Flow, judge: Spec, rubric: str, force: bool) -> dict[str, Handle]:
    """The figures of a judge, as a result; the run ends here if it is unable, unless forced."""
    if not _is_checked(flow, judge, pocket=rubric == "pocket", force=force):
        return {}
    pairs, scale = flow(judge_check.battles, name="check-pairs"), RUBRICS[rubric]
    asking = {"system": scale.system, "user": scale.user, "values": list(scale.values)}
    figures = flow(judge_check.measure, pairs, engine=judge, **asking, name=RESULT)
    flow(judge_check.refuse_unable, figures, force=force, name="judge-is-able")
    return {RESULT: figures}


def check_scorer(flow: Flow, judge: Spec | None, asking: Mapping[str, Any], *, pocket: bool, force: bool) -> dict[str, Handle]:
    """The same of a judge that was trained on a question of its own: its ratings only, since it cannot compare."""
    if judge is None or not _is_checked(flow, judge, pocket=pocket, force=force):
        return {}
    answers = flow(judge_check.answers, name="check-answers")
    rated = flow(scorer.score, answers, engine=judge, **asking, least_mass=0.0, name="check-ratings")
    figures = flow(judge_check.figures, rated, judge=judge.name, score=asking["what"], name=RESULT)
    flow(judge_check.refuse_unable, figures, force=force, name="judge-is-able")
    return {RESULT: figures}


def _is_checked(flow: Flow, judge: Spec, *, pocket: bool, force: bool) -> bool:
    """False in the pocket world, whose language the pairs are not in; the remarks say so, or that the check is overruled."""
    if pocket:
        flow.remark(f"judge {judge.name} is not checked: the built-in pairs are not in the pocket world's language")
    elif force:
        flow.remark(f"judge {judge.name} is used whatever its check says: force_judge is set")
    return not pocket

"""Whether a judge can judge, asked before it chooses rows: built-in pairs whose better answer is known, rated and compared."""

from attar.engines.base import Spec
from attar.runtime.flow import Flow, Handle
from attar.stages.annotate import judge as judging
from attar.stages.evaluate.judging import judge_check, pairwise

RESULT = "judge-check"


def check(flow: Flow, judge: Spec, rubric: str, force: bool) -> dict[str, Handle]:
    """The figures of a judge, as a result; the run ends here if it is unable, unless forced."""
    if rubric == "pocket":
        flow.remark(f"judge {judge.name} is not checked: the built-in pairs are not in the pocket world's language")
        return {}
    if force:
        flow.remark(f"judge {judge.name} may be unable (see its check): force_judge is set")
    answers = flow(judge_check.answers, name="check-answers")
    rated = flow(judging.score, answers, engine=judge, rubric=rubric, name="check-ratings")
    battles = flow(judge_check.battles, name="check-pairs")
    compared = flow(pairwise.weigh, battles, engine=judge, name="check-preferences")
    figures = flow(judge_check.figures, rated, compared, judge=judge.name, name=RESULT)
    flow(judge_check.refuse_unable, figures, force=force, name="judge-is-able")
    return {RESULT: figures}

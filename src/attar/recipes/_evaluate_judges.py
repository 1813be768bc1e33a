"""How recipes have answers judged: by one judge or a jury, by label probabilities or written verdicts; or by a reward model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from attar.engines.base import Spec
from attar.runtime.flow import Flow, Handle
from attar.stages.evaluate.benchmarks import arena_hard
from attar.stages.evaluate.judging import bias, jury, pairwise, pointwise, reward_judge

By = Literal["chances", "verdict"]


@dataclass(frozen=True, slots=True)
class Judging:
    """Who judges, and how the judges are prompted."""

    judges: Mapping[str, Spec]
    rewarder: Spec | None
    by: By
    wording: str
    order: pairwise.Order
    votes: jury.Aggregation
    tokens: int
    least_mass: float
    seed: int

    @property
    def asking(self) -> dict[str, Any]:
        """The knobs of every stage that calls a judge."""
        own = {"least_mass": self.least_mass} if self.by == "chances" else {"max_tokens": self.tokens, "seed": self.seed}
        return {"wording": self.wording, **own}


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """The rows with the joint score, and with each judge's own; `score` names the column."""

    rows: Handle
    each: Mapping[str, Handle]
    score: Literal["preference", "score"]


def judge_pairs(flow: Flow, battles: Handle, how: Judging, name: str) -> JudgeResult:
    """Battles with a preference: by the judges, or by the difference in reward."""
    if how.rewarder:
        return JudgeResult(flow(reward_judge.prefer, battles, engine=how.rewarder, name=name), {}, "preference")
    stage = pairwise.weigh if how.by == "chances" else pairwise.ask
    return _judge(flow, battles, how, stage, {"order": how.order, **how.asking}, name)


def judge_pairs_in_five_grades(flow: Flow, battles: Handle, how: Judging, name: str) -> JudgeResult:
    """Battles with a preference by five grades, always as written verdicts."""
    own = replace(how, by="verdict")
    return _judge(flow, battles, own, pairwise.ask, {"order": how.order, "grades": "five", **own.asking}, name)


def judge_arena_hard(flow: Flow, battles: Handle, how: Judging, name: str) -> JudgeResult:
    """Battles with a preference by Arena-Hard's two games and five grades."""
    if how.rewarder:
        return judge_pairs(flow, battles, how, name)
    stage = arena_hard.weigh if how.by == "chances" else arena_hard.ask
    return _judge(flow, battles, how, stage, {"order": how.order, **how.asking}, name)


def grade_answers(flow: Flow, answers: Handle, how: Judging, name: str) -> JudgeResult:
    """Answers with a score from 1 to 10."""
    stage = pointwise.weigh if how.by == "chances" else pointwise.ask
    return _judge(flow, answers, how, stage, how.asking, name)


def measure_jury(flow: Flow, judged: JudgeResult, how: Judging, models: Sequence[Spec | None]) -> dict[str, Handle]:
    """How far a jury's judges agree; and the self-preference of each judge whose model is among `models`."""
    if len(judged.each) < 2:
        return {}
    names, middle = list(judged.each), 0.5 if judged.score == "preference" else None
    about: dict[str, Any] = {"names": names, "score": judged.score, "seed": how.seed}
    agreed = flow(jury.agreement, *judged.each.values(), middle=middle, **about, name="jury-agreement")
    there = {model.name for model in models if model}
    own = [how.judges[name].name if how.judges[name].name in there else None for name in names]
    if not any(own):
        return {"figures-jury": agreed}
    return {
        "figures-jury": agreed,
        "figures-own": flow(bias.self_preference, *judged.each.values(), own=own, **about, name="own-bias"),
    }


def measure_bias(flow: Flow, judged: JudgeResult, how: Judging, bootstrap: int) -> dict[str, Handle]:
    """The length bias of the judges together; and the position bias of each, if both orders were judged."""
    knobs: dict[str, Any] = {"bootstrap": bootstrap, "seed": how.seed}
    out = {"figures-length": flow(bias.length, judged.rows, **knobs, name="length-bias")}
    if how.order == "both":
        for who, own in judged.each.items():
            out[f"figures-place-{who}"] = flow(bias.position, own, **knobs, name=f"{who}-place")
    return out


def _judge(
    flow: Flow,
    rows: Handle,
    how: Judging,
    stage: Callable[..., Any],
    knobs: Mapping[str, Any],
    name: str,
) -> JudgeResult:
    """The rows as one judge has them, or as a jury does."""
    score = "score" if stage in (pointwise.weigh, pointwise.ask) else "preference"
    by_judge = {who: flow(stage, rows, engine=judge, **knobs, name=f"{name}-{who}") for who, judge in how.judges.items()}
    if len(by_judge) == 1:
        return JudgeResult(next(iter(by_judge.values())), by_judge, score)
    votes = how.votes if score == "preference" else "mean"
    verdict = flow(jury.verdict, *by_judge.values(), names=list(by_judge), score=score, how=votes, name=name)
    return JudgeResult(verdict, by_judge, score)

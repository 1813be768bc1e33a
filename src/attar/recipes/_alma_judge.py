"""ALMA's judge: the base fine-tuned to rate answers from 0 to 10, then on its own ratings; and its agreement with people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attar.core.errors import RecipeError
from attar.core.scorer_prompts import NUMBERS
from attar.data import sources
from attar.engines.base import Spec
from attar.recipes._students import keep_answered
from attar.runtime.flow import Flow, Handle
from attar.stages import pool as pools
from attar.stages.annotate import distil, reward, scorer
from attar.stages.evaluate.benchmarks import pocket_exam
from attar.stages.evaluate.judging import agreement
from attar.stages.select import keep, rank
from attar.stages.synth import pocket_data, respond
from attar.stages.train import scorer as train_scorer

WHAT = "rating"
LABELS = NUMBERS[WHAT]


@dataclass(frozen=True, slots=True)
class Judges:
    """The final judge, and the judge before it was trained on its own ratings."""

    last: Spec | Handle
    first: Spec | Handle


def train_judges(
    flow: Flow,
    *,
    given: Spec | None,
    base: Spec | Handle,
    labels: Handle | None,
    unlabelled: Handle | None,
    how: str,
    asking: Mapping[str, Any],
    fit: Mapping[str, Any],
    more: Mapping[str, Any],
    seed: int,
) -> Judges:
    """The given judge, or one trained on labels; with unlabelled answers it is then trained on its own ratings of them."""
    if given is not None:
        return Judges(given, given)
    if labels is None:
        raise RecipeError("no judge: name an engine for 'judge' or 'rewarder', or labels: FILE to train one on")
    prompt = {"what": WHAT, "question": asking["question"], "labels": list(LABELS)}
    first = flow(train_scorer.train, labels, engine=base, **prompt, **fit, seed=seed, name="judge")
    if unlabelled is None:
        return Judges(first, first)
    rated = flow(scorer.score, unlabelled, engine=first, chances=how == "drawn", **asking, name="own-ratings")
    own = flow(distil.labels, rated, numbers=list(LABELS), how=how, seed=seed, name="own-labels")
    last = flow(train_scorer.train, own, engine=first, **prompt, column="label", **more, seed=seed, name="judge-distilled")
    return Judges(last, first)


def load_rated_answers(
    flow: Flow, source: str, writer: Handle, drawing: Mapping[str, Any], each: int, seed: int, name: str
) -> Handle:
    """Answers that people have rated, from a file; or in the pocket world, a model's answers with their true ratings."""
    if count := pocket_data.rows_asked(source):
        prompts = flow(pocket_data.questions, count=max(1, count // each), seed=seed, name=f"{name}-prompts")
        drawn = flow(respond.sample, prompts, engine=writer, n=each, **drawing, whole=False, name=f"{name}-answers")
        return flow(pocket_exam.rate, drawn, name=name)
    return flow(pools.read, **sources.pin_source(source), name=name)


def sample_answers_to_rate(
    flow: Flow, prompts: Handle, writer: Handle, count: int, drawing: Mapping[str, Any], seed: int
) -> Handle:
    """One answer to each of `count` random prompts, for the judge to rate."""
    some = flow(rank.chance, prompts, keep=count, seed=seed, name="any-prompts")
    asked = flow(keep.rows, prompts, some, name="prompts-to-rate")
    drawn = flow(respond.sample, asked, engine=writer, **drawing, whole=False, name="answers-to-rate")
    return keep_answered(flow, drawn, "unlabelled")


def measure_agreement(
    flow: Flow, judges: Judges, rewarder: Spec | None, gold: Handle, asking: Mapping[str, Any]
) -> dict[str, Handle]:
    """Agreement of each way of judging with a gold set: whole numbers, expected scores, after self-distillation, rewards."""
    ways: dict[str, tuple[Spec | Handle, bool]] = {}
    if judges.last is not rewarder:
        ways = {"integer": (judges.first, True), "expected": (judges.first, False)}
        ways |= {"self-distilled": (judges.last, False)} if judges.last is not judges.first else {}
    rated = {
        name: flow(scorer.score, gold, engine=judge, rounded=rounded, chances=not rounded, **asking, name=f"gold-{name}")
        for name, (judge, rounded) in ways.items()
    }
    by_score = dict(rated)
    if rewarder:
        rated["rewarder"] = flow(reward.score, gold, engine=rewarder, into=WHAT, name="gold-rewarder")
    agreed = flow(
        agreement.side_by_side, *rated.values(), names=list(rated), score=WHAT, gold="score", of="prompt", name="agreement"
    )
    if not by_score:
        return {"agreement": agreed}
    last = by_score[next(reversed(by_score))]
    return {"agreement": agreed, "reliability": flow(agreement.reliability, last, score=WHAT, gold="score", name="reliability")}

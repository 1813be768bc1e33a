"""Magpie (arXiv 2406.08464): prompt an aligned model with nothing, answer what it asks, keep the best, train on that.

Differs from the paper:
- prefixes come from the chat template itself, so that any chat model serves
- truncated instructions and answers are dropped, not trimmed
- one judge prompt asks for all tags at once, and only for those that the filter reads
- without an embedder, neighbours are found by character n-grams, not by meaning
- `filter` is one of the paper's, `rule` and `by` take its place; "longest" ranks by length, a known confound
- a filter's threshold is for its own reward model; by another's scores, or a judge's, the lowest tenth is dropped
- without a rewarder a judge scores, if one is named and something reads the score; else nothing does
- preference pairs can be of the student's own answers (`pairs: {by: student}`) in place of the writer's
- a control student is trained too: as many random rows from the same samples, with the same settings
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt
from typing_extensions import TypedDict

from attar.core.errors import RecipeError
from attar.engines.base import Spec
from attar.recipes import _scores
from attar.recipes._decontaminate import BENCHMARKS, drop_benchmark_overlap
from attar.recipes._students import (
    Exam,
    Fit,
    Preference,
    evaluate_students,
    keep_answered,
    keep_safe,
    train_on_pairs,
    train_students,
)
from attar.runtime.flow import Flow, Handle, recipe
from attar.stages import pairs as pair
from attar.stages.annotate import embed, language, lengths, neighbours, reward, safety, tags
from attar.stages.evaluate.benchmarks import pocket_exam
from attar.stages.select import dedup, keep, presets, rank, where
from attar.stages.synth import incontext, respond, turns
from attar.stages.synth import magpie as draw

Positive = Annotated[int, Ge(1)]
OWN = "the filter's own"


class Pairs(TypedDict, total=False):
    """Of how many of the prompts that pass the rule to make preference pairs, out of how many answers of whom, and how."""

    __pydantic_config__ = {"extra": "forbid"}  # type: ignore[misc] # noqa: RUF012 (pydantic declares it so)
    count: Positive
    by: Literal["writer", "student"]
    answers: Annotated[int, Ge(2)]
    temperature: Annotated[float, Gt(0)]
    rejected: pair.Rejected
    margin: Annotated[float, Ge(0)]


@recipe(paper="arXiv:2406.08464")
def magpie(
    flow: Flow,
    *,
    teacher: Spec,
    rewarder: Spec | None = None,
    writer: Spec | None = None,
    judge: Spec | None = None,
    embedder: Spec | None = None,
    guard: Spec | None = None,
    base: Spec | None = None,
    count: Positive = 1_000_000,
    size: Positive | None = None,
    mix: list[draw.Draw] | None = None,
    flatten: Annotated[float, Gt(0)] = 1.0,
    ban: list[str] | None = None,
    prompt_tokens: Positive = 1024,
    answer_tokens: Positive = 4096,
    temperature: Annotated[float, Ge(0)] = 0.0,
    keep_reasoning: bool = True,
    rounds: Positive = 1,
    follow_up: str | None = turns.FOLLOW_UP,
    form: str = "instruction",
    filter: str = "pro",
    rule: str | None = None,
    by: str | None = OWN,
    reward_above: float | None = None,
    rubric: Literal["helpfulness", "pocket"] = "helpfulness",
    force_judge: bool = False,
    guarding: safety.Guard = "plain",
    against: Sequence[str] = BENCHMARKS,
    pairs: Pairs | None = None,
    train: Fit | None = None,
    prefer: Preference | None = None,
    control: bool = True,
    exam: Exam = "none",
    exam_size: Positive = 600,
    seed: int = 0,
) -> Mapping[str, Handle]:
    """An SFT set from nothing, and preference pairs; with a base also the models trained on them, a control, an exam."""
    own = presets.preset(filter)
    by, size = own.by if by == OWN else by, size or own.size
    scorer, chosen_by, wanted = _choose_scorer(own, rule, reward_above, by, rewarder, judge, rubric, pairs)
    flow.remark(_scores.describe(chosen_by, scorer, _describe_ranking(by, size)))
    checked = _scores.check_scorer(flow, scorer, force_judge)
    writer = writer or teacher

    plan = flow(draw.draws, count=count, mix=mix or [{}], seed=seed)
    asked = flow(draw.ask, plan, engine=teacher, max_tokens=prompt_tokens, flatten=flatten, ban=ban or [], seed=seed)
    fresh = flow(keep.rows, asked, flow(dedup.exact, asked, name="dedup"), name="fresh")
    if exam == "pocket":
        fresh = flow(keep.rows, fresh, flow(pocket_exam.drop_held_out, fresh), name="unseen")
    fresh = drop_benchmark_overlap(flow, fresh, against)
    fresh = _add_neighbours(flow, fresh, wanted, embedder)
    if wanted & {"difficulty", "quality", "category"}:
        fresh = flow(tags.assess, fresh, engine=judge or teacher, form=form, seed=seed, name="tags")
    elif "language" in wanted:
        fresh = flow(language.detect, fresh, least=0.3, name="language")

    answering: dict[str, Any] = {"max_tokens": answer_tokens, "temperature": temperature, "keep_reasoning": keep_reasoning}
    talks = flow(respond.sample, fresh, engine=writer, **answering, seed=seed)
    for turn in range(1, rounds):
        more = flow(turns.extend, talks, engine=teacher, system=follow_up, max_tokens=prompt_tokens, seed=seed)
        talks = flow(respond.sample, more, engine=writer, **answering, seed=seed + turn)
    answered = flow(lengths.measure, keep_answered(flow, talks))
    scored = _scores.score_answers(flow, answered, scorer)
    if "base_reward" in wanted:
        scored = _add_base_reward(flow, scored, rewarder, base, answer_tokens)
    good = _scores.keep_by_rule(flow, keep_safe(flow, scored, guard, guarding), chosen_by)
    if by:
        best = flow(rank.top, good, by=by, keep=size, per=own.per, name="best")
    else:
        best = flow(rank.chance, good, keep=size, seed=seed, name="any")
    arms = {"selected": flow(keep.rows, good, best, name="chosen")}
    if control and base:
        arms["random"] = flow(keep.rows, answered, flow(rank.chance, answered, arms["selected"], seed=seed), name="random")
    models = train_students(flow, base, arms, train or {}, seed) if base else {}
    results = {"sft": arms["selected"], **checked}
    if pairs is not None:
        by_whom = models["selected"] if pairs.get("by") == "student" and models else writer
        several = _sample_answers(flow, good, by_whom, scorer, pairs, answer_tokens, seed)
        results |= _choose_pairs(flow, keep_safe(flow, several, guard, guarding), pairs, seed)
        if models:
            preferred = train_on_pairs(flow, models["selected"], results["pairs"], prefer or {}, seed)
            models = {"selected": models["selected"], "preferred": preferred, **models}
    return results | (evaluate_students(flow, models, base, exam, exam_size, answer_tokens, seed) if base else {})


def _add_neighbours(flow: Flow, rows: Handle, wanted: set[str], embedder: Spec | None) -> Handle:
    """How near the nearest other instruction is, where the rule reads it."""
    if not wanted & {"neighbour_distance", "repeats", "repeat_of"}:
        return rows
    vectors = flow(embed.vectors, rows, engine=embedder) if embedder else flow(embed.letters, rows)
    return flow(keep.columns, rows, flow(neighbours.measure, vectors, name="neighbours"), name="placed")


def _choose_scorer(
    own: presets.Filter,
    rule: str | None,
    reward_above: float | None,
    by: str | None,
    rewarder: Spec | None,
    judge: Spec | None,
    rubric: str,
    pairs: Pairs | None,
) -> tuple[_scores.Scorer | None, _scores.Rule, set[str]]:
    """Who scores the answers, the rule, and the columns that are read; a judge scores only if something reads the score."""
    scorer = _scores.choose_scorer(rewarder, judge, rubric)
    chosen_by = _scores.filter_rule(own, rule, reward_above, scorer)
    wanted = chosen_by.columns | set(where.columns(by) if by else ())
    _scores.check_columns(wanted, scorer)
    if pairs is not None and scorer is None:
        raise RecipeError("'pairs' need a score for every answer: name an engine for 'rewarder', or for 'judge'")
    if rewarder is None and "reward" not in wanted and pairs is None:
        scorer = None
    return scorer, chosen_by, wanted


def _describe_ranking(by: str | None, size: int) -> str:
    if by is None:
        return f"any {size:,} of these"
    return f"the {size:,} longest answers" if by == presets.LONGEST else f"the {size:,} highest by {by}"


def _add_base_reward(flow: Flow, scored: Handle, rewarder: Spec | None, base: Spec | None, answer_tokens: int) -> Handle:
    """The reward of what the base model answers by itself, where the rule compares with it."""
    if base is None:
        raise RecipeError("the rule reads 'base_reward', the reward of the base model's own answer: name an engine for 'base'")
    alone = flow(incontext.answer, scored, engine=base, max_tokens=answer_tokens)
    return flow(reward.score, alone, engine=rewarder, into="base_reward", response="base_response", name="base-reward")


def _sample_answers(
    flow: Flow, rows: Handle, writer: Spec | Handle, scorer: _scores.Scorer | None, how: Pairs, answer_tokens: int, seed: int
) -> Handle:
    """Several answers to some of the prompts, scored."""
    some = flow(rank.chance, rows, keep=how.get("count", 100_000), seed=seed, name="some")
    asked = flow(turns.reopen, flow(keep.rows, rows, some, name="to-compare"))
    several = flow(
        respond.sample,
        asked,
        engine=writer,
        n=how.get("answers", 5),
        max_tokens=answer_tokens,
        temperature=how.get("temperature", 0.8),
        seed=seed,
        name="several",
    )
    return _scores.score_answers(flow, several, scorer, "compare")


def _choose_pairs(flow: Flow, scored: Handle, how: Pairs, seed: int) -> dict[str, Handle]:
    """Preference pairs: each prompt's best answer and a worse one."""
    rejected, margin = how.get("rejected", "worst"), how.get("margin", 0.0)
    drawn = flow(pair.choose, scored, rejected=rejected, margin=margin, seed=seed, name="pairs")
    return {"pairs": flow(keep.rows, drawn, flow(pair.keep_usable, drawn), name="pairs-kept"), "audit": flow(pair.audit, drawn)}

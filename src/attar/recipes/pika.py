"""PiKa (arXiv 2510.06670): little data, all of it hard: experts' instructions, the best of several answers, SFT and pairs.

Differs from the paper:
- `personas` come from the built-in taxonomy unless a file or a dataset is named; `none` asks without them
- five answers at temperature 0.8 (the paper does not say), a second writer may add some of its own
- the reward alone ranks, as in the paper; `by` may be any expression over the columns, a second reward included
- without a rewarder a judge scores, if one is named; without both, one answer is asked for and stands, and no pairs are made
- `within` keeps an answer for SFT only if it is about as long as its prompt's other answers (to test for length bias)
- training as Magpie's, since the paper's settings are not known
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt

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
from attar.stages.annotate import lengths, reward, safety
from attar.stages.evaluate.benchmarks import pocket_exam
from attar.stages.select import dedup, keep, presets, rank, where
from attar.stages.synth import expert, plain_personas, respond, turns
from attar.stages.synth import personas as sources

Positive = Annotated[int, Ge(1)]
SFT = presets.preset("pika-sft")
SCORE = "reward"


@recipe(paper="arXiv:2510.06670")
def pika(
    flow: Flow,
    *,
    teacher: Spec,
    rewarder: Spec | None = None,
    judge: Spec | None = None,
    writer: Spec | None = None,
    second_writer: Spec | None = None,
    second_rewarder: Spec | None = None,
    guard: Spec | None = None,
    base: Spec | None = None,
    count: Positive = 33_000,
    size: Positive = SFT.size,
    personas: str = "taxonomy",
    column: str | None = None,
    facets: bool = True,
    voice: expert.Voice = "plain",
    ask_temperature: Annotated[float, Ge(0)] = 1.0,
    prompt_tokens: Positive = 2048,
    answers: Annotated[int, Ge(1)] = 5,
    second_answers: Annotated[int, Ge(1)] = 2,
    temperature: Annotated[float, Gt(0)] = 0.8,
    answer_tokens: Positive = 4096,
    keep_reasoning: bool = True,
    rounds: Positive = 1,
    by: str = SCORE,
    rule: str = SFT.rule,
    rubric: Literal["helpfulness", "pocket"] = "helpfulness",
    force_judge: bool = False,
    guarding: safety.Guard = "plain",
    against: Sequence[str] = BENCHMARKS,
    within: Annotated[float, Gt(0), Ge(1)] | None = None,
    rejected: pair.Rejected = "worst",
    margin: Annotated[float, Ge(0)] = 0.0,
    train: Fit | None = None,
    prefer: Preference | None = None,
    control: bool = True,
    exam: Exam = "none",
    exam_size: Positive = 600,
    seed: int = 0,
) -> Mapping[str, Handle]:
    """Experts' instructions with their best answers, and preference pairs; with a base also the models trained on them."""
    writer = writer or teacher
    scorer = _scores.choose_scorer(rewarder, judge, rubric)
    compared = scorer is not None or by != SCORE
    if scorer is None:
        of_pairs = {"second_rewarder": second_rewarder, "rejected": rejected != "worst", "margin": margin, "prefer": prefer}
        _refuse_without_scorer(of_pairs if compared else {"second_writer": second_writer, "within": within, **of_pairs})
    answers = answers if compared else 1
    several_each = answers > 1 or second_writer is not None
    chosen_by = None if scorer is None and rule == SFT.rule else _scores.Rule(rule)
    _scores.check_columns((chosen_by.columns if chosen_by else set()) | set(where.columns(by) if compared else ()), scorer)
    flow.remark(_describe(scorer, chosen_by, by if compared else None, size))
    checked = _scores.check_scorer(flow, scorer, force_judge)
    crowd = _sample_personas(flow, personas, column, count, seed)
    asked = flow(
        expert.ask,
        crowd,
        engine=teacher,
        facets=facets and voice == "plain",
        voice=voice,
        temperature=ask_temperature,
        max_tokens=prompt_tokens,
        seed=seed,
    )
    fresh = flow(keep.rows, asked, flow(dedup.exact, asked, name="dedup"), name="fresh")
    if exam == "pocket":
        fresh = flow(keep.rows, fresh, flow(pocket_exam.drop_held_out, fresh), name="unseen")
    fresh = drop_benchmark_overlap(flow, fresh, against)
    answering: dict[str, Any] = {"temperature": temperature, "max_tokens": answer_tokens, "keep_reasoning": keep_reasoning}
    for turn in range(1, rounds):
        first = flow(respond.sample, fresh, engine=writer, **answering, seed=seed + turn)
        fresh = flow(turns.extend, first, engine=teacher, max_tokens=prompt_tokens, seed=seed)

    several = flow(respond.sample, fresh, engine=writer, n=answers, **answering, seed=seed)
    if second_writer:
        answering |= {"n": second_answers, "start": answers}
        more = flow(respond.sample, fresh, engine=second_writer, **answering, seed=seed, name="more")
        several = flow(keep.concat, several, more)
    answered = flow(lengths.measure, keep_answered(flow, several))
    scored = _scores.score_answers(flow, answered, scorer)
    if second_rewarder:
        scored = flow(reward.score, scored, engine=second_rewarder, into="second_reward", name="second-reward")

    scored = keep_safe(flow, scored, guard, guarding)
    fair = _match_lengths(flow, scored, within)
    good = _scores.keep_by_rule(flow, fair, chosen_by) if chosen_by else fair
    best = flow(keep.rows, good, flow(rank.best, good, by=by), name="best-answers") if several_each else good
    chosen = flow(keep.rows, best, flow(rank.chance, best, keep=size, seed=seed, name="any"), name="chosen")
    results = {"sft": chosen, **checked}
    if scorer and several_each:
        second = "second_reward" if second_rewarder else None
        results |= _choose_pairs(flow, scored, size, {"rejected": rejected, "margin": margin, "second": second, "seed": seed})
    if base is None:
        return results
    arms = {"selected": chosen}
    if control:
        arms["random"] = flow(keep.rows, scored, flow(rank.chance, scored, chosen, seed=seed), name="random")
    models = train_students(flow, base, arms, train or {}, seed)
    if "pairs" in results:
        preferred = train_on_pairs(flow, models["selected"], results["pairs"], prefer or {}, seed)
        models = {"selected": models["selected"], "preferred": preferred, **models}
    return results | evaluate_students(flow, models, base, exam, exam_size, answer_tokens, seed)


def _refuse_without_scorer(given: Mapping[str, Any]) -> None:
    """Raise if a knob or an engine is given that only means something where answers are scored."""
    if named := [name for name, value in given.items() if value]:
        raise RecipeError(
            f"{named[0]!r} is about several scored answers to a prompt, and nothing scores them: "
            "name an engine for 'rewarder', or for 'judge'"
        )


def _describe(scorer: _scores.Scorer | None, rule: _scores.Rule | None, by: str | None, size: int) -> str:
    """What rows are kept by, in one line."""
    chosen = f"the best answer of each prompt by {by}, any {size:,} of these" if by else f"any {size:,} prompts"
    text = _scores.describe(rule, scorer, chosen)
    return text if scorer else f"{text}; no pairs are made"


def _choose_pairs(flow: Flow, scored: Handle, size: int, how: Mapping[str, Any]) -> dict[str, Handle]:
    """Preference pairs: each prompt's best answer and a worse one; and the figures on them."""
    drawn = flow(pair.choose, scored, **how, name="pairs")
    sound = flow(keep.rows, drawn, flow(pair.keep_usable, drawn), name="sound")
    some = flow(rank.chance, sound, keep=size, seed=how["seed"], name="any-pairs")
    return {"pairs": flow(keep.rows, sound, some, name="pairs-kept"), "audit": flow(pair.audit, drawn)}


def _sample_personas(flow: Flow, personas: str, column: str | None, count: int, seed: int) -> Handle:
    if personas == "none":
        return flow(plain_personas.nobody, count=count, seed=seed)
    if personas == "pocket":
        return flow(plain_personas.pocket, count=count, seed=seed)
    pin = sources.pin(None if personas == "taxonomy" else personas)
    source, content = pin["source"], pin["content"]
    return flow(sources.sample, count=count, source=source, content=content, column=column, seed=seed, name="personas")


def _match_lengths(flow: Flow, rows: Handle, within: float | None) -> Handle:
    """The answers whose length is within a factor of `within` of the median length of their prompt's answers."""
    if within is None:
        return rows
    rated = flow(keep.columns, rows, flow(lengths.compare_to_group, rows), name="rated")
    rule = f"length_ratio BETWEEN {1 / within:.6f} AND {within:.6f}"
    return flow(keep.rows, rated, flow(where.holds, rated, rule=rule, name="length"), name="matched")

"""PiKa (arXiv 2510.06670): little data, all of it hard: experts' instructions, the best of several answers, SFT and pairs.

Differs from the paper:
- `personas` come from the built-in taxonomy unless a file or a dataset is named; `none` asks without them
- five answers at temperature 0.8 (the paper does not say), a second writer may add some of its own
- the reward alone ranks, as in the paper; `by` may be any expression over the columns, a second reward included
- `within` keeps an answer for SFT only if it is about as long as its prompt's other answers (to test for length bias)
- training as Magpie's, since the paper's settings are not known
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from annotated_types import Ge, Gt

from attar.engines.base import Spec
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


@recipe(paper="arXiv:2510.06670")
def pika(
    flow: Flow,
    *,
    teacher: Spec,
    rewarder: Spec,
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
    rounds: Positive = 1,
    by: str = "reward",
    rule: str = SFT.rule,
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
    for turn in range(1, rounds):
        first = flow(respond.sample, fresh, engine=writer, temperature=temperature, max_tokens=answer_tokens, seed=seed + turn)
        fresh = flow(turns.extend, first, engine=teacher, max_tokens=prompt_tokens, seed=seed)

    several = flow(
        respond.sample, fresh, engine=writer, n=answers, temperature=temperature, max_tokens=answer_tokens, seed=seed
    )
    if second_writer:
        more = flow(
            respond.sample,
            fresh,
            engine=second_writer,
            n=second_answers,
            start=answers,
            temperature=temperature,
            max_tokens=answer_tokens,
            seed=seed,
            name="more",
        )
        several = flow(keep.concat, several, more)
    answered = flow(lengths.measure, keep_answered(flow, several))
    scored = flow(reward.score, answered, engine=rewarder)
    if second_rewarder:
        scored = flow(reward.score, scored, engine=second_rewarder, into="second_reward", name="second-reward")

    scored = keep_safe(flow, scored, guard, guarding)
    fair = _match_lengths(flow, scored, within)
    good = flow(keep.rows, fair, flow(where.holds, fair, rule=rule, name="rule"), name="good")
    best = flow(keep.rows, good, flow(rank.best, good, by=by), name="best-answers")
    chosen = flow(keep.rows, best, flow(rank.chance, best, keep=size, seed=seed, name="any"), name="chosen")
    second = "second_reward" if second_rewarder else None
    drawn = flow(pair.choose, scored, rejected=rejected, margin=margin, second=second, seed=seed, name="pairs")
    sound = flow(keep.rows, drawn, flow(pair.keep_usable, drawn), name="sound")
    pairs = flow(keep.rows, sound, flow(rank.chance, sound, keep=size, seed=seed, name="any-pairs"), name="pairs-kept")
    results = {"sft": chosen, "pairs": pairs, "audit": flow(pair.audit, drawn)}
    if base is None:
        return results
    arms = {"selected": chosen}
    if control:
        arms["random"] = flow(keep.rows, scored, flow(rank.chance, scored, chosen, seed=seed), name="random")
    models = train_students(flow, base, arms, train or {}, seed)
    preferred = train_on_pairs(flow, models["selected"], pairs, prefer or {}, seed)
    models = {"selected": models["selected"], "preferred": preferred, **models}
    return results | evaluate_students(flow, models, base, exam, exam_size, answer_tokens, seed)


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

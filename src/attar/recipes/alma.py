"""ALMA (arXiv 2412.04305): from a base model and a few thousand labels, rounds of self-made data and a judge of its own.

The base writes prompts from a few examples; two students and the latest one answer them; the base, fine-tuned on ratings,
judges; the best answers join the seeds, and each round trains the base from scratch on all rows so far.

Differs from the paper:
- knobs' defaults are a hundredth of the paper's sizes; the paper's are in docs/stages.md
- prompts are picked from the clusters that have been used least; near-duplicate prompts are dropped too
- prompts that overlap with a benchmark are dropped before anything is answered
- the rating is the mean of 0 to 10 under the judge's probabilities of them as whole answers; too little of it is no rating
- self-distillation trains on the nearest number (`drawn`: one sampled from its probabilities)
- `align: dpo` pairs the best answer with a random other one, and trains the first student on the pairs of all rounds
- a `rewarder` may judge the rounds (`by`); `kept` is the share of a round's best answers, best rated, that are trained on
- a judge that is named, not trained here, is checked on pairs with known answers before anything else (`force_judge`)
- `patience` ends the rounds when the latest models' answers stop improving by the judge; a round after that adds nothing
- `arms` runs all rounds again with one thing changed
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from attar.core import scorer_prompts
from attar.core.errors import RecipeError
from attar.data import sources
from attar.engines.base import Spec
from attar.recipes import _alma_judge, _alma_rounds, _judge_check
from attar.recipes._alma_rounds import RoundsConfig, Variant
from attar.recipes._decontaminate import BENCHMARKS, drop_benchmark_overlap
from attar.recipes._students import Exam, Fit, Preference, TrainingKnobs, evaluate_students, keep_answered
from attar.runtime.flow import Flow, Handle, recipe
from attar.stages import pool as pools
from attar.stages.annotate import embed
from attar.stages.evaluate.benchmarks import pocket_exam
from attar.stages.select import cluster, dedup_against, keep, until_enough, where
from attar.stages.synth import fewshot, pocket_data
from attar.stages.train import sft

Positive = Annotated[int, Ge(1)]
Arm = Literal[
    "random-prompts", "latest-only", "one-student", "integer", "undistilled", "judge", "rewarder", "other-alignment", "oracle"
]
ASKS = 3
"""The most prompts that are sampled for each one that is wanted."""


@recipe(paper="arXiv:2412.04305")
def alma(
    flow: Flow,
    *,
    base: Spec,
    judge: Spec | None = None,
    rewarder: Spec | None = None,
    embedder: Spec | None = None,
    seeds: str,
    labels: str | None = None,
    gold: str | None = None,
    judge_from: Literal["base", "student"] = "base",
    prompts: Positive = 20_000,
    form: fewshot.Form = "plain",
    prompt_temperature: Annotated[float, Ge(0)] = 1.0,
    prompt_tokens: Positive = 512,
    alike: Annotated[float, Gt(0)] | None = 0.7,
    against: Sequence[str] = BENCHMARKS,
    clusters: Positive = 2000,
    rounds: Annotated[int, Ge(2)] = 11,
    picked: Positive = 1000,
    answers: Annotated[int, Ge(6)] = 24,
    temperature: Annotated[float, Gt(0)] = 1.0,
    top_p: Annotated[float, Gt(0)] = 1.0,
    answer_tokens: Positive = 2048,
    question: str | None = None,
    by: Literal["judge", "rewarder"] = "judge",
    rounded: bool = False,
    distil: Literal["rounded", "drawn", "none"] = "rounded",
    distilled: Positive = 2000,
    kept: Annotated[float, Gt(0), Le(1)] = 1.0,
    force_judge: bool = False,
    align: Literal["sft", "dpo"] = "sft",
    patience: Positive | None = None,
    least: Annotated[float, Ge(0)] = 0.0,
    train: Fit | None = None,
    fit_judge: TrainingKnobs | None = None,
    fit_distilled: TrainingKnobs | None = None,
    prefer: Preference | None = None,
    arms: Sequence[Arm] = (),
    exam: Exam = "none",
    exam_size: Positive = 600,
    seed: int = 0,
) -> Mapping[str, Handle]:
    """The model after the last round, and the rows that it was trained on."""
    wording = (
        scorer_prompts.question_text(question) if question else None if judge else scorer_prompts.WORDINGS[_alma_judge.WHAT]
    )
    asking = {"what": _alma_judge.WHAT, "question": wording, "turns": "last"}
    checked = _judge_check.check_scorer(
        flow, judge if by == "judge" else None, asking, pocket=form == "pocket", force=force_judge
    )
    seed_rows = _load_seed_rows(flow, seeds, seed)
    fit: dict[str, Any] = dict(train or {})
    students = tuple(
        flow(sft.train, seed_rows, engine=base, **fit, seed=seed + place, name=f"student-{letter}")
        for place, letter in enumerate("ab")
    )
    drawing = {"temperature": temperature, "top_p": top_p, "max_tokens": answer_tokens, "seed": seed}
    fresh, yielded = _write_prompts(flow, base, seed_rows, prompts, form, prompt_temperature, prompt_tokens, alike, seed)
    if exam == "pocket":
        fresh = flow(keep.rows, fresh, flow(pocket_exam.drop_held_out, fresh), name="unseen")
    fresh = drop_benchmark_overlap(flow, fresh, against)
    grouped = _cluster_prompts(flow, fresh, embedder, clusters, seed)

    labelled = _alma_judge.load_rated_answers(flow, labels, students[0], drawing, 2, seed + 1, "labels") if labels else None
    unlabelled = None
    if distil != "none" and labelled and judge is None:
        unlabelled = _alma_judge.sample_answers_to_rate(flow, grouped, students[0], distilled, drawing, seed)
    judges = _alma_judge.train_judges(
        flow,
        given=judge or (rewarder if labelled is None else None),
        base=base if judge_from == "base" else students[0],
        labels=labelled,
        unlabelled=unlabelled,
        how=distil,
        asking=asking,
        fit=fit_judge or {},
        more=fit_distilled or fit_judge or {},
        seed=seed,
    )
    results = {"prompts": yielded, **checked}
    if gold:
        rated = _alma_judge.load_rated_answers(flow, gold, students[0], drawing, 4, seed + 2, "gold")
        results |= _alma_judge.measure_agreement(flow, judges, rewarder, rated, asking)

    config = RoundsConfig(
        base=base,
        seeds=seed_rows,
        students=(students[0], students[1]),
        prompts=grouped,
        rounds=rounds,
        picked=picked,
        answers=answers,
        drawing=drawing,
        asking=asking,
        fit=fit,
        prefer=dict(prefer or {}),
        kept=max(1, round(kept * picked)),
        patience=patience,
        least=least,
        seed=seed,
    )
    variant = _main_variant(judges, rewarder, by, rounded=rounded, align=align)
    main = _alma_rounds.run_rounds(flow, config, variant)
    models = {f"round-{number}": model for number, model in enumerate(main.models, 1)}
    last = models.pop(f"round-{rounds}")
    models = {f"round-{rounds}": last, **models}
    for arm in arms:
        models[arm] = _train_arm(flow, config, variant, judges, rewarder, main, arm)
    used = flow(keep.concat, *main.picked, name="used")
    results |= {
        "sft": flow(keep.concat, seed_rows, *main.added, name="rows"),
        "coverage": flow(cluster.coverage, grouped, used),
    }
    if main.pairs:
        results["pairs"] = flow(keep.concat, *main.pairs, name="pairs")
    return results | evaluate_students(flow, models, base, exam, exam_size, answer_tokens, seed)


def _load_seed_rows(flow: Flow, source: str, seed: int) -> Handle:
    """The seed rows: existing conversations, ending with an answer."""
    if count := pocket_data.rows_asked(source):
        return flow(pocket_data.answers, flow(pocket_data.questions, count=count, seed=seed, name="seed-prompts"), name="seeds")
    read = flow(pools.read, **sources.pin_source(source), name="seed-file")
    usable = flow(
        where.holds, read, rule="messages_error IS NULL AND length(prompt) > 0 AND length(response) > 0", name="usable"
    )
    return flow(keep.rows, read, usable, name="seeds")


def _write_prompts(
    flow: Flow,
    base: Spec,
    seed_rows: Handle,
    wanted: int,
    form: fewshot.Form,
    temperature: float,
    tokens: int,
    alike: float | None,
    seed: int,
) -> tuple[Handle, Handle]:
    """New prompts of the base's, drawn in batches until there are enough or a batch brings too few; and what each brought."""
    batch = max(1, wanted // 2)
    drawn: list[Handle] = []
    for number in range(2 * ASKS):
        where_ = f"prompts-{number + 1}"
        plan = flow(fewshot.draws, seed_rows, count=batch, form=form, start=number * batch, seed=seed, name=f"{where_}-draws")
        still = flow(until_enough.next_draws, plan, *drawn, wanted=wanted, name=f"{where_}-needed")
        asked = flow(
            fewshot.ask, still, engine=base, temperature=temperature, max_tokens=tokens, seed=seed, name=f"{where_}-asked"
        )
        new = flow(dedup_against.keep_new, asked, seed_rows, *drawn[1::2], threshold=alike, name=f"{where_}-new")
        drawn += [asked, flow(keep.rows, asked, new, name=where_)]
    yielded = flow(until_enough.summarise, *drawn, wanted=wanted, name="yielded")
    return flow(keep.concat, *drawn[1::2], name="prompts"), yielded


def _cluster_prompts(flow: Flow, prompts: Handle, embedder: Spec | None, clusters: int, seed: int) -> Handle:
    """The prompts with the cluster of each."""
    vectors = flow(embed.vectors, prompts, engine=embedder) if embedder else flow(embed.letters, prompts)
    groups = flow(cluster.group, vectors, clusters=clusters, seed=seed)
    return flow(keep.columns, prompts, groups, name="grouped")


def _main_variant(
    judges: _alma_judge.Judges, rewarder: Spec | None, by: str, *, rounded: bool = False, align: Literal["sft", "dpo"]
) -> Variant:
    """How the rounds are judged, and what is trained on."""
    if by == "judge":
        return Variant(judge=judges.last, rewards=judges.last is rewarder, rounded=rounded, align=align)
    if rewarder is None:
        raise RecipeError("the rounds are to be judged by a reward model: name an engine for 'rewarder'")
    return Variant(judge=rewarder, rewards=True, align=align)


def _train_arm(
    flow: Flow,
    config: RoundsConfig,
    variant: Variant,
    judges: _alma_judge.Judges,
    rewarder: Spec | None,
    main: _alma_rounds.RoundsResult,
    arm: Arm,
) -> Handle:
    """The last model of the same rounds with one thing changed; or one trained on the same prompts, all answered right."""
    if arm == "oracle":
        right = [flow(pocket_data.answers, rows, name=f"right-{number}") for number, rows in enumerate(main.added, 2)]
        usable = [keep_answered(flow, rows, f"right-{number}-kept") for number, rows in enumerate(right, 2)]
        rows = flow(keep.concat, config.seeds, *usable, name="oracle-rows")
        return flow(sft.train, rows, engine=config.base, **config.fit, seed=config.seed, name="oracle-train")
    own = replace(variant, judge=judges.last, rewards=judges.last is rewarder, rounded=False)
    changed = {
        "random-prompts": replace(variant, clustered=False),
        "latest-only": replace(variant, writers="latest"),
        "one-student": replace(variant, writers="one"),
        "integer": replace(own, rounded=True),
        "undistilled": replace(own, judge=judges.first),
        "judge": own,
        "rewarder": replace(variant, judge=rewarder, rewards=True) if rewarder else None,
        "other-alignment": replace(variant, align="dpo" if variant.align == "sft" else "sft"),
    }
    if (arm_variant := changed[arm]) is None:
        raise RecipeError("arm 'rewarder' is judged by a reward model: name an engine for 'rewarder'")
    return _alma_rounds.run_rounds(flow, config, arm_variant, f"{arm}-").models[-1]

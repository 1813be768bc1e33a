"""Deita (arXiv 2312.15685): score a pool by complexity and quality, keep the best distinct rows, train on them, then on pairs.

The scorers are named engines, or they are trained on `labels`. Without labels, labels are made: seeds are evolved, and all
variants of a seed are ranked and scored in one prompt.

Differs from the paper:
- a scorer's score is the expected value of its numbers; if they hold too little probability, there is no score
- exact duplicates, and rows that overlap with a benchmark, are dropped before anything is scored
- without an embedder, similarity is that of character n-grams, not of meaning
- the greedy pass is exact, in 64 bits; the better of two duplicates stays; a dropped row names the row it is too similar to
- `rule` is a further condition on rows, such as  reward > 0  with a `rewarder`
- `arms` trains students on the paper's ablations, each on as many rows from the same pool; `top` omits the greedy pass
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge
from typing_extensions import TypedDict

from attar.core import scorer_prompts
from attar.core.errors import RecipeError
from attar.data import sources
from attar.engines.base import Spec
from attar.recipes._decontaminate import BENCHMARKS, drop_benchmark_overlap
from attar.recipes._students import Exam, Fit, Preference, TrainingKnobs, evaluate_students, train_on_pairs, train_students
from attar.runtime.flow import Flow, Handle, recipe
from attar.stages import pool as pools
from attar.stages.annotate import embed, lengths, ranking, reward, scorer
from attar.stages.evaluate.benchmarks import pocket_exam
from attar.stages.select import dedup, diverse, keep, rank, where
from attar.stages.synth import evolve, pocket_data, respond
from attar.stages.train import scorer as train_scorer

Positive = Annotated[int, Ge(1)]
Arm = Literal["random", "longest", "complexity", "quality", "top"]
WHAT = ("complexity", "quality")


class Labels(TypedDict, total=False):
    """Files of rows with a score, a whole number from 1 to 6: prompts by complexity, prompts and responses by quality."""

    __pydantic_config__ = {"extra": "forbid"}  # type: ignore[misc] # noqa: RUF012 (pydantic declares it so)
    complexity: str
    quality: str


class Evolution(TypedDict, total=False):
    """How labels are made: the seeds, how many of them, how many rounds of evolving, and the sampling."""

    __pydantic_config__ = {"extra": "forbid"}  # type: ignore[misc] # noqa: RUF012 (pydantic declares it so)
    seeds: str
    count: Positive
    rounds: Positive
    temperature: Annotated[float, Ge(0)]
    max_tokens: Positive


@recipe(paper="arXiv:2312.15685")
def deita(
    flow: Flow,
    *,
    pool: str,
    teacher: Spec | None = None,
    judge: Spec | None = None,
    base: Spec | None = None,
    scorer_base: Spec | None = None,
    complexity: Spec | None = None,
    quality: Spec | None = None,
    rewarder: Spec | None = None,
    embedder: Spec | None = None,
    form: str | None = None,
    size: Positive = 6000,
    by: str = "evol",
    rule: str | None = None,
    threshold: Annotated[float, Ge(-1)] = 0.9,
    labels: Labels | None = None,
    evolution: Evolution | None = None,
    complexity_question: str | None = None,
    quality_question: str | None = None,
    fit_scorer: TrainingKnobs | None = None,
    against: Sequence[str] = BENCHMARKS,
    arms: Sequence[Arm] = ("random",),
    preferences: str | None = None,
    train: Fit | None = None,
    prefer: Preference | None = None,
    exam: Exam = "none",
    exam_size: Positive = 600,
    answer_tokens: Positive = 2048,
    seed: int = 0,
) -> Mapping[str, Handle]:
    """The best rows of a pool that differ; with a base also the models trained on them, on the ablations, and on pairs."""
    named = {"complexity": complexity_question, "quality": quality_question}
    asked = {what: scorer_prompts.question_text(question) if question else None for what, question in named.items()}
    graders: dict[str, Spec | Handle] = {}
    for what, grader in zip(WHAT, (complexity, quality), strict=True):
        graders[what] = grader or _train_scorer(
            flow,
            _label_rows(flow, what, labels or {}, evolution or {}, teacher, judge or teacher, seed),
            scorer_base or base,
            what,
            asked[what],
            fit_scorer or {},
            seed,
        )
        if grader is None:
            asked[what] = asked[what] or what

    rows = _pool_rows(flow, pool, form, seed)
    rows = drop_benchmark_overlap(
        flow,
        flow(keep.rows, rows, flow(dedup.exact, rows, column="conversation", name="dedup"), name="fresh"),
        against,
        "messages",
    )
    if exam == "pocket":
        rows = flow(keep.rows, rows, flow(pocket_exam.drop_held_out, rows), name="unseen")
    for what in WHAT:
        rows = flow(scorer.score, rows, engine=graders[what], what=what, question=asked[what], name=what)
    scored = flow(scorer.evol, flow(lengths.measure, rows))
    if rewarder:
        scored = flow(reward.score, scored, engine=rewarder)
    able = flow(keep.rows, scored, flow(where.holds, scored, rule=rule, name="rule"), name="able") if rule else scored
    vectors = (
        flow(embed.vectors, able, engine=embedder, column="conversation")
        if embedder
        else flow(embed.letters, able, column="conversation")
    )
    best = flow(diverse.keep, vectors, by=by, threshold=threshold, keep=size, name="diverse")
    chosen = flow(keep.rows, able, best, name="chosen")
    results = {"sft": chosen}
    if base is None:
        return results
    pools_of = {arm: able if arm == "top" else scored for arm in arms}
    sets = {"selected": chosen, **{arm: _ablation_rows(flow, pools_of[arm], chosen, arm, size, seed) for arm in arms}}
    models = train_students(flow, base, sets, train or {}, seed)
    if preferences:
        results["pairs"] = _preference_pairs(flow, preferences, seed)
        preferred = train_on_pairs(flow, models["selected"], results["pairs"], prefer or {}, seed)
        models = {"selected": models["selected"], "preferred": preferred, **models}
    return results | evaluate_students(flow, models, base, exam, exam_size, answer_tokens, seed)


def _pool_rows(flow: Flow, source: str, form: str | None, seed: int) -> Handle:
    """The pool's rows that can be read and have an answer, with each row's whole text as `conversation`."""
    if count := pocket_data.rows_asked(source):
        read = flow(pocket_data.pool, count=count, seed=seed, name="pool")
    else:
        read = flow(pools.read, **sources.pin_source(source), form=form, name="pool")
    usable = flow(
        where.holds, read, rule="messages_error IS NULL AND length(prompt) > 0 AND length(response) > 0", name="usable"
    )
    rows = flow(keep.rows, read, usable, name="rows")
    return flow(keep.columns, rows, flow(pools.texts, rows, name="texts"), name="told")


def _label_rows(
    flow: Flow,
    what: str,
    labels: Labels,
    how: Evolution,
    teacher: Spec | None,
    judge: Spec | None,
    seed: int,
) -> Handle:
    """Rows with scores: from a file, from the pocket world, or made of seeds by evolving and ranking."""
    if source := labels.get(what):
        if count := pocket_data.rows_asked(source):
            return flow(pocket_data.labels, what=what, count=count, seed=seed, name=f"labels-{what}")
        return flow(pools.read, **sources.pin_source(source), name=f"labels-{what}")
    if "seeds" not in how or teacher is None or judge is None:
        raise RecipeError(
            f"no scorer of {what}: name an engine for {what!r}, or labels: {{{what}: FILE}}, "
            "or a teacher and evolution: {seeds: FILE}"
        )
    read = flow(pools.read, **sources.pin_source(how["seeds"]), name="seed-file")
    some = flow(keep.rows, read, flow(rank.chance, read, keep=how.get("count", 2000), seed=seed, name="some"), name="seeds")
    making: dict[str, Any] = {
        "rounds": how.get("rounds", 5),
        "temperature": how.get("temperature", 1.0),
        "max_tokens": how.get("max_tokens", 2048),
    }
    if what == "quality":
        some = flow(
            respond.sample, some, engine=teacher, max_tokens=making["max_tokens"], seed=seed, whole=False, name="seed-answers"
        )
        made = flow(evolve.responses, some, engine=teacher, **making, seed=seed, name="evolve-quality")
    else:
        made = flow(evolve.prompts, some, engine=teacher, **making, seed=seed, name="evolve-complexity")
    ranked = flow(ranking.score, made, engine=judge, what=what, seed=seed, name=f"rank-{what}")
    return flow(evolve.flat, ranked, name=f"labels-{what}")


def _train_scorer(
    flow: Flow, labels: Handle, base: Spec | None, what: str, question: str | None, how: TrainingKnobs, seed: int
) -> Handle:
    """A scorer trained on labels."""
    if base is None:
        raise RecipeError(f"training a scorer of {what} needs a base: name an engine for 'scorer_base' or 'base'")
    knobs: dict[str, Any] = dict(how)
    return flow(
        train_scorer.train, labels, engine=base, what=what, question=question, **knobs, seed=seed, name=f"scorer-{what}"
    )


def _ablation_rows(flow: Flow, rows: Handle, chosen: Handle, arm: Arm, size: int, seed: int) -> Handle:
    """Rows of the pool chosen by a simpler rule."""
    if arm == "random":
        verdicts = flow(rank.chance, rows, chosen, seed=seed, name="by-chance")
    else:
        by = {"longest": "response_chars", "complexity": "complexity", "quality": "quality", "top": "evol"}[arm]
        verdicts = flow(rank.top, rows, by=by, keep=size, name=f"by-{arm}")
    return flow(keep.rows, rows, verdicts, name=f"{arm}-rows")


def _preference_pairs(flow: Flow, source: str, seed: int) -> Handle:
    """Existing preference pairs, from a file or from the pocket world."""
    if count := pocket_data.rows_asked(source):
        return flow(pocket_data.preferences, count=count, seed=seed, name="pairs")
    read = flow(pools.read, **sources.pin_source(source), form="preference", name="pair-file")
    usable = flow(
        where.holds, read, rule="messages_error IS NULL AND chosen IS NOT NULL AND rejected IS NOT NULL", name="usable-pairs"
    )
    return flow(keep.rows, read, usable, name="pairs")

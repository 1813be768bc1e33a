"""ALMA's rounds: new prompts, answers of several models, a judge's ratings, the best answers, and training from the base."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from attar.engines.base import Spec
from attar.runtime.flow import Flow, Handle
from attar.stages import pairs as pair
from attar.stages.annotate import reward, scorer
from attar.stages.select import best_of_n, cluster, keep, plateau, rank
from attar.stages.synth import respond
from attar.stages.train import preference as prefer
from attar.stages.train import sft


@dataclass(frozen=True, slots=True)
class Variant:
    """How the rounds are run; an ablation is a variant with one thing changed."""

    judge: Spec | Handle
    rewards: bool = False
    """True if the judge is a reward model."""
    clustered: bool = True
    """One prompt from each of as many clusters, or random prompts."""
    writers: Literal["all", "latest", "one"] = "all"
    """Both first students and the latest student; only the latest; only one first student."""
    rounded: bool = False
    """The judge's most probable number instead of its expected score."""
    align: Literal["sft", "dpo"] = "sft"
    """`sft`: train the base on the best answers; `dpo`: train the first student on pairs."""


@dataclass(frozen=True, slots=True)
class RoundsConfig:
    """What all variants of one run have in common."""

    base: Spec
    seeds: Handle
    students: tuple[Handle, Handle]
    """The first students; they differ only in the seed of their training."""
    prompts: Handle
    rounds: int
    picked: int
    answers: int
    drawing: Mapping[str, Any]
    """How answers are sampled."""
    asking: Mapping[str, Any]
    """The judge's question and what it sees of a conversation."""
    fit: Mapping[str, Any]
    prefer: Mapping[str, Any]
    kept: int
    """How many of a round's best answers are trained on, highest rating first."""
    patience: int | None
    least: float
    seed: int


@dataclass(frozen=True, slots=True)
class RoundsResult:
    """The results of the rounds: the model after each round, and the rows that each round added."""

    models: list[Handle]
    added: list[Handle] = field(default_factory=list)
    pairs: list[Handle] = field(default_factory=list)
    picked: list[Handle] = field(default_factory=list)


def run_rounds(flow: Flow, config: RoundsConfig, variant: Variant, name: str = "") -> RoundsResult:
    """Run all rounds from the second on; the first round's model is the first student."""
    result = RoundsResult([config.students[0]])
    judged: list[Handle] = []
    for number in range(2, config.rounds + 1):
        where = f"{name}round-{number}"
        fresh = _pick_prompts(flow, config, variant, result.picked, judged, where)
        result.picked.append(fresh)
        scored = _answer_and_judge(flow, config, variant, fresh, result.models, where)
        judged += scored[-1:] if number > 2 else []
        best = flow(best_of_n.of_each, *scored, by="rating", which="drawn", seed=config.seed, name=f"{where}-few")
        result.added.append(_keep_best(flow, config, best, where))
        if variant.align == "dpo":
            result.pairs.append(_make_pairs(flow, config, best, where))
        result.models.append(_train_next(flow, config, variant, result, where))
    return result


def _pick_prompts(
    flow: Flow, config: RoundsConfig, variant: Variant, used: list[Handle], judged: list[Handle], where: str
) -> Handle:
    """Prompts that no round has used, one per cluster; none once the latest models' ratings have stopped rising."""
    before = [flow(keep.concat, *used, name=f"{where}-used")] if used else []
    chosen = flow(
        cluster.pick,
        config.prompts,
        *before,
        keep=config.picked,
        clustered=variant.clustered,
        seed=config.seed,
        name=f"{where}-pick",
    )
    fresh = flow(keep.rows, config.prompts, chosen, name=f"{where}-prompts")
    if config.patience is None or len(judged) <= config.patience:
        return fresh
    stop = flow(plateau.check, *judged, score="rating", patience=config.patience, least=config.least, name=f"{where}-plateau")
    return flow(plateau.gate, fresh, stop, name=f"{where}-going-on")


def _answer_and_judge(
    flow: Flow, config: RoundsConfig, variant: Variant, prompts: Handle, models: list[Handle], where: str
) -> list[Handle]:
    """Each writer's share of the answers, with the judge's ratings; the latest writer's answers come last."""
    first, latest = list(config.students), models[1:][-1:]
    writers = {"all": first + latest, "latest": latest or first[:1], "one": first[:1]}[variant.writers]
    drawn = []
    start = 0
    for place, writer in enumerate(writers, 1):
        share = config.answers // len(writers) + (place <= config.answers % len(writers))
        name = f"{where}-answers-{place}"
        drawn.append(flow(respond.sample, prompts, engine=writer, n=share, start=start, **config.drawing, name=name))
        start += share
    scored = []  # after all answers are sampled, so that a served judge is started only once a round
    for place, answers in enumerate(drawn, 1):
        name = f"{where}-judge-{place}"
        if variant.rewards:
            scored.append(flow(reward.score, answers, engine=variant.judge, into="rating", name=name))
        else:
            scored.append(
                flow(scorer.score, answers, engine=variant.judge, rounded=variant.rounded, **config.asking, name=name)
            )
    return scored


def _keep_best(flow: Flow, config: RoundsConfig, answers: Handle, where: str) -> Handle:
    """The best answer to each prompt; of these, if not all are wanted, the ones with the highest rating."""
    best = flow(keep.rows, answers, flow(rank.best, answers, by="rating", name=f"{where}-rank"), name=f"{where}-best")
    if config.kept >= config.picked:
        return best
    top = flow(rank.top, best, by="rating", keep=config.kept, name=f"{where}-top")
    return flow(keep.rows, best, top, name=f"{where}-kept")


def _make_pairs(flow: Flow, config: RoundsConfig, best: Handle, where: str) -> Handle:
    """Preference pairs: the best answer and a random other one."""
    drawn = flow(pair.choose, best, score="rating", rejected="random", seed=config.seed, name=f"{where}-pairs")
    return flow(keep.rows, drawn, flow(pair.keep_usable, drawn, name=f"{where}-fit"), name=f"{where}-sound")


def _train_next(flow: Flow, config: RoundsConfig, variant: Variant, result: RoundsResult, where: str) -> Handle:
    """Train the next model; it never starts from the model before it."""
    if variant.align == "dpo":
        pairs = flow(keep.concat, *result.pairs, name=f"{where}-all-pairs")
        return flow(prefer.train, pairs, engine=config.students[0], **config.prefer, seed=config.seed, name=f"{where}-prefer")
    rows = flow(keep.concat, config.seeds, *result.added, name=f"{where}-rows")
    return flow(sft.train, rows, engine=config.base, **config.fit, seed=config.seed, name=f"{where}-train")

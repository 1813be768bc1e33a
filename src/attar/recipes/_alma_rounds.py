"""ALMA's rounds: fresh prompts, answers of several models, a judge, the best of them, then from the base anew."""

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
    """How rounds are gone; an ablation is a way with one thing changed."""

    judge: Spec | Handle
    rewards: bool = False
    """Whether the judge is a reward model."""
    clustered: bool = True
    """Prompts from as many clusters as are picked, or any."""
    writers: Literal["all", "latest", "one"] = "all"
    """Both first students and the latest; the latest alone; one first student alone."""
    rounded: bool = False
    """The judge's likeliest number, or its expected score."""
    align: Literal["sft", "dpo"] = "sft"
    """Train on the best answers from the base, or the first student on pairs."""


@dataclass(frozen=True, slots=True)
class RoundsConfig:
    """What all ways of one run have in common."""

    base: Spec
    seeds: Handle
    students: tuple[Handle, Handle]
    """The first students, who differ by their training's seed."""
    prompts: Handle
    rounds: int
    picked: int
    answers: int
    drawing: Mapping[str, Any]
    """How answers are drawn."""
    asking: Mapping[str, Any]
    """How the judge is asked."""
    fit: Mapping[str, Any]
    prefer: Mapping[str, Any]
    kept: int
    """So many of a round's best answers are trained on, the best rated."""
    patience: int | None
    least: float
    seed: int


@dataclass(frozen=True, slots=True)
class RoundsResult:
    """What rounds have brought: the model after each, and what each has added."""

    models: list[Handle]
    added: list[Handle] = field(default_factory=list)
    pairs: list[Handle] = field(default_factory=list)
    picked: list[Handle] = field(default_factory=list)


def run_rounds(flow: Flow, setting: RoundsConfig, way: Variant, name: str = "") -> RoundsResult:
    """All rounds from the second on; the first is the first student."""
    found = RoundsResult([setting.students[0]])
    judged: list[Handle] = []
    for number in range(2, setting.rounds + 1):
        where = f"{name}round-{number}"
        fresh = _pick_prompts(flow, setting, way, found.picked, judged, where)
        found.picked.append(fresh)
        scored = _answer_and_judge(flow, setting, way, fresh, found.models, where)
        judged += scored[-1:] if number > 2 else []
        best = flow(best_of_n.of_each, *scored, by="rating", which="drawn", seed=setting.seed, name=f"{where}-few")
        found.added.append(_keep_best(flow, setting, best, where))
        if way.align == "dpo":
            found.pairs.append(_make_pairs(flow, setting, best, where))
        found.models.append(_train_next(flow, setting, way, found, where))
    return found


def _pick_prompts(
    flow: Flow, setting: RoundsConfig, way: Variant, used: list[Handle], judged: list[Handle], where: str
) -> Handle:
    """Prompts that no round has had, a cluster each; none once the latest models' own answers have stopped getting better."""
    before = [flow(keep.concat, *used, name=f"{where}-used")] if used else []
    chosen = flow(
        cluster.pick,
        setting.prompts,
        *before,
        keep=setting.picked,
        clustered=way.clustered,
        seed=setting.seed,
        name=f"{where}-pick",
    )
    fresh = flow(keep.rows, setting.prompts, chosen, name=f"{where}-prompts")
    if setting.patience is None or len(judged) <= setting.patience:
        return fresh
    told = flow(plateau.check, *judged, score="rating", patience=setting.patience, least=setting.least, name=f"{where}-plateau")
    return flow(plateau.gate, fresh, told, name=f"{where}-going-on")


def _answer_and_judge(
    flow: Flow, setting: RoundsConfig, way: Variant, prompts: Handle, models: list[Handle], where: str
) -> list[Handle]:
    """Each writer's share of the answers, with the judge's ratings; the latest writer's come last."""
    first, latest = list(setting.students), models[1:][-1:]
    writers = {"all": first + latest, "latest": latest or first[:1], "one": first[:1]}[way.writers]
    drawn, start = [], 0
    for place, writer in enumerate(writers, 1):
        share = setting.answers // len(writers) + (place <= setting.answers % len(writers))
        name = f"{where}-answers-{place}"
        drawn.append(flow(respond.sample, prompts, engine=writer, n=share, start=start, **setting.drawing, name=name))
        start += share
    scored = []  # once all are drawn: a judge that is served is then started once a round
    for place, answers in enumerate(drawn, 1):
        name = f"{where}-judge-{place}"
        if way.rewards:
            scored.append(flow(reward.score, answers, engine=way.judge, into="rating", name=name))
        else:
            scored.append(flow(scorer.score, answers, engine=way.judge, rounded=way.rounded, **setting.asking, name=name))
    return scored


def _keep_best(flow: Flow, setting: RoundsConfig, answers: Handle, where: str) -> Handle:
    """Of each prompt the best answer; of those, where not all are wanted, the best rated."""
    best = flow(keep.rows, answers, flow(rank.best, answers, by="rating", name=f"{where}-rank"), name=f"{where}-best")
    if setting.kept >= setting.picked:
        return best
    top = flow(rank.top, best, by="rating", keep=setting.kept, name=f"{where}-top")
    return flow(keep.rows, best, top, name=f"{where}-kept")


def _make_pairs(flow: Flow, setting: RoundsConfig, best: Handle, where: str) -> Handle:
    """The best answer against any other."""
    drawn = flow(pair.choose, best, score="rating", rejected="random", seed=setting.seed, name=f"{where}-pairs")
    return flow(keep.rows, drawn, flow(pair.keep_usable, drawn, name=f"{where}-fit"), name=f"{where}-sound")


def _train_next(flow: Flow, setting: RoundsConfig, way: Variant, found: RoundsResult, where: str) -> Handle:
    """The next model, never from the one before it."""
    if way.align == "dpo":
        pairs = flow(keep.concat, *found.pairs, name=f"{where}-all-pairs")
        return flow(
            prefer.train, pairs, engine=setting.students[0], **setting.prefer, seed=setting.seed, name=f"{where}-prefer"
        )
    rows = flow(keep.concat, setting.seeds, *found.added, name=f"{where}-rows")
    return flow(sft.train, rows, engine=setting.base, **setting.fit, seed=setting.seed, name=f"{where}-train")

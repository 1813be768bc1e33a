"""Magpie (arXiv 2406.08464): prompt an aligned model with nothing, answer what it asks, keep the best, train on that.

Differs from the paper:
- prefixes come from the chat template itself, so that any chat model serves
- truncated instructions and answers are dropped, not trimmed
- `by` is the paper's "longest" unless told otherwise; none keeps any rows that pass the rule, as its filter F5 does
- a control is trained beside it: as many rows at random, from the same draws, on the same settings
- the judge's tags, the neighbour filter and preference pairs are not part of it yet
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from annotated_types import Ge

from attar.annotate import lengths, reward
from attar.engines.base import Spec
from attar.evaluate import stats, verified
from attar.flow import Flow, Handle, recipe
from attar.select import dedup, keep, rank, where
from attar.synth import magpie as draw
from attar.synth import respond
from attar.train import sft

Positive = Annotated[int, Ge(1)]


@recipe(paper="arXiv:2406.08464")
def magpie(
    flow: Flow,
    *,
    teacher: Spec,
    rewarder: Spec,
    base: Spec | None = None,
    count: Positive = 1_000_000,
    size: Positive = 300_000,
    mix: list[draw.Draw] | None = None,
    prompt_tokens: Positive = 1024,
    answer_tokens: Positive = 4096,
    temperature: Annotated[float, Ge(0)] = 0.0,
    rule: str = "reward > -12 AND NOT ends_with(prompt, ':')",
    by: str | None = "response_chars",
    epochs: float = 2.0,
    lr: float = 2e-5,
    batch: Positive = 32,
    max_length: Positive = 8192,
    control: bool = True,
    exam: Literal["none", "pocket"] = "none",
    exam_size: Positive = 600,
    seed: int = 0,
) -> Mapping[str, Handle]:
    """An SFT set from nothing; with a base also the model trained on it, its control, and their examination."""
    plan = flow(draw.draws, count=count, mix=mix or [{}], seed=seed)
    asked = flow(draw.ask, plan, engine=teacher, max_tokens=prompt_tokens, seed=seed)
    fresh = flow(keep.rows, asked, flow(dedup.exact, asked, name="dedup"), name="fresh")
    if exam == "pocket":
        fresh = flow(keep.rows, fresh, flow(verified.apart, fresh), name="unseen")
    answered = flow(respond.sample, fresh, engine=teacher, max_tokens=answer_tokens, temperature=temperature, seed=seed)
    measured = flow(lengths.measure, answered)
    scored = flow(reward.score, measured, engine=rewarder)
    good = flow(keep.rows, scored, flow(where.holds, scored, rule=rule, name="rule"), name="good")
    best = (
        flow(rank.top, good, by=by, keep=size, name="best") if by else flow(rank.chance, good, keep=size, seed=seed, name="any")
    )
    chosen = flow(keep.rows, good, best, name="chosen")
    results = {"sft": chosen}
    if base is None:
        return results

    def fit(rows: Handle, name: str) -> Handle:
        return flow(
            sft.train, rows, engine=base, epochs=epochs, lr=lr, batch=batch, max_length=max_length, seed=seed, name=name
        )

    models: dict[str, Spec | Handle] = {"selected": fit(chosen, "train-selected")}
    if control:
        usable = flow(
            keep.rows, measured, flow(where.holds, measured, rule="response IS NOT NULL", name="usable"), name="answers"
        )
        any_rows = flow(keep.rows, usable, flow(rank.chance, usable, chosen, seed=seed), name="random")
        models["random"] = fit(any_rows, "train-random")
    results |= {f"model-{arm}": model for arm, model in models.items() if isinstance(model, Handle)}
    if exam == "pocket":
        questions = flow(verified.tasks, count=exam_size, seed=seed, name="exam")
        sat = {
            arm: flow(respond.sample, questions, engine=model, max_tokens=answer_tokens, whole=False, name=f"sit-{arm}")
            for arm, model in {**models, "none": base}.items()
        }
        marked = [flow(verified.check, answers, name=f"mark-{arm}") for arm, answers in sat.items()]
        results["scores"] = flow(stats.compare, *marked, arms=list(sat), name="scores")
    return results

"""Evaluate a model: answer a benchmark's questions, judge or check the answers, compute figures with their intervals.

    alpaca_eval     win rate against a baseline, and length-controlled win rate
    arena_hard      two games per question, five grades, with style control
    mt_bench        two turns, each graded from 1 to 10
    wildbench       scores by a checklist, rewards against a baseline
    judge_accuracy  how often a judge, or a reward model, prefers the right answer (RewardBench)
    numbers         tasks whose answer is a number (GSM8K)
    constraints     instructions whose following can be checked (IFEval)
    pocket          the pocket world's held-out tasks

Differs from the benchmarks' own scripts:
- any judge, in both orders unless `order` is set, by its probabilities of the verdicts (`by: verdict`: by what it writes)
- second and third judges make a jury; a reward model may judge in their place
- control answers (empty, the longest, a random one) are judged beside the model's (`controls`)
- intervals resample whole questions; the published intervals are reported beside them
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from attar.core.errors import RecipeError
from attar.core.replies import LEAST_MASS
from attar.engines.base import Spec
from attar.recipes import _evaluate_benchmarks as benchmarks
from attar.recipes._evaluate_benchmarks import BenchmarkConfig
from attar.recipes._evaluate_judges import By, Judging
from attar.runtime.flow import Flow, Handle, recipe
from attar.stages.evaluate.judging import jury, pairwise
from attar.stages.evaluate.judging.prompts import OURS, wording_text

Positive = Annotated[int, Ge(1)]
Benchmark = Literal["alpaca_eval", "arena_hard", "mt_bench", "wildbench", "judge_accuracy", "pocket", "numbers", "constraints"]
Fixed = Literal["null-empty", "null-refusal", "null-promise", "null-verdict", "null-essay"]
Control = Literal[Fixed, "repeat", "another", "longest", "shortest", "random"]
JUDGED_BENCHMARKS = {
    "alpaca_eval": benchmarks.run_alpaca_eval,
    "arena_hard": benchmarks.run_arena_hard,
    "mt_bench": benchmarks.run_mt_bench,
    "wildbench": benchmarks.run_wildbench,
    "judge_accuracy": benchmarks.run_judge_accuracy,
}
_GRADED = ("mt_bench", "wildbench")


@recipe()
def evaluate(
    flow: Flow,
    *,
    benchmark: Benchmark,
    model: Spec | None = None,
    opponent: Spec | None = None,
    judge: Spec | None = None,
    second_judge: Spec | None = None,
    third_judge: Spec | None = None,
    rewarder: Spec | None = None,
    questions: str | None = None,
    split: str | None = None,
    count: Positive = 480,
    baseline: str | None = None,
    baseline_model: str | None = None,
    references: str | None = None,
    tries: Positive = 1,
    temperature: Annotated[float, Ge(0)] = 0.0,
    top_p: Annotated[float, Gt(0)] = 1.0,
    answer_tokens: Positive = 4096,
    by: By = "chances",
    wording: str = OURS,
    pair_wording: str = OURS,
    order: pairwise.Order = "both",
    votes: jury.Aggregation = "mean",
    judge_tokens: Positive = 2048,
    least_mass: Annotated[float, Ge(0)] = LEAST_MASS,
    controls: Sequence[Control] = ("null-empty", "longest", "random"),
    style: Sequence[Literal["length", "headers", "lists", "bold"]] = ("length", "headers", "lists", "bold"),
    margin: Annotated[int, Ge(0)] | None = 500,
    bootstrap: Positive = 1000,
    seed: int = 0,
) -> Mapping[str, Handle]:
    """The model's judged answers, the figures, and the biases of the judges."""
    judges = {"judge": judge, "second-judge": second_judge, "third-judge": third_judge}
    known = {name: spec for name, spec in judges.items() if spec}
    how = Judging(known, rewarder, by, wording_text(wording), order, votes, judge_tokens, least_mass, seed)
    _check_engines(benchmark, how, model)
    drawing = {"temperature": temperature, "top_p": top_p, "max_tokens": answer_tokens, "whole": False}
    config = BenchmarkConfig(
        source=questions,
        split=split,
        count=count,
        model=model,
        drawing=drawing,
        tries=tries,
        opponent=opponent,
        baseline=baseline,
        baseline_model=baseline_model,
        references=references,
        controls=controls,
        style=style,
        margin=margin,
        how=how,
        pair_wording=wording_text(pair_wording),
        bootstrap=bootstrap,
        seed=seed,
    )
    if benchmark in JUDGED_BENCHMARKS:
        return JUDGED_BENCHMARKS[benchmark](flow, config)
    return benchmarks.run_checked_tasks(flow, config, benchmark)


def _check_engines(benchmark: str, how: Judging, model: Spec | None) -> None:
    """Raise unless every engine that a benchmark needs is there."""
    if benchmark != "judge_accuracy" and model is None:
        raise RecipeError(f"benchmark {benchmark!r} needs an engine for the role 'model'; it is not under 'engines'")
    if benchmark in JUDGED_BENCHMARKS and not how.judges and not how.rewarder:
        raise RecipeError(f"benchmark {benchmark!r} needs an engine for the role 'judge' or 'rewarder'")
    if how.judges and how.rewarder:
        raise RecipeError("'judge' and 'rewarder': one of them judges; name the other in a run of its own")
    if benchmark in _GRADED and not how.judges:
        raise RecipeError(f"benchmark {benchmark!r} grades answers by numbers: it needs a 'judge', a 'rewarder' has none")
    if benchmark == "arena_hard" and how.order == "seeded":
        raise RecipeError("order 'seeded' is AlpacaEval's: Arena-Hard plays both games, or one ('first', 'second')")
    if how.judges and "judge" not in how.judges:
        raise RecipeError("a jury's first judge has the role 'judge'")

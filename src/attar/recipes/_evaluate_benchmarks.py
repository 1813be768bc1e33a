"""The benchmarks of `evaluate`: from the questions to the figures, each as its authors define it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from attar.core.errors import RecipeError
from attar.data.sources import pin_source
from attar.engines.base import Spec
from attar.recipes import _evaluate_judges as judging
from attar.recipes._evaluate_judges import JudgeResult, Judging
from attar.runtime.flow import Flow, Handle
from attar.stages.evaluate import questions, responses
from attar.stages.evaluate.benchmarks import (
    alpaca_eval,
    arena_scores,
    constraint_tasks,
    constraints,
    mt_bench,
    numbers,
    pocket_exam,
    reward_bench,
    wildbench,
)
from attar.stages.evaluate.figures import accuracy
from attar.stages.evaluate.judging import controls, reward_judge
from attar.stages.select import keep
from attar.stages.synth import respond

ANSWER_CONTROLS = {
    "another": controls.another,
    "longest": controls.longest,
    "shortest": controls.shortest,
    "random": controls.random,
}


@dataclass(frozen=True, slots=True)
class BenchmarkConfig:
    """Questions, models, sampling, judging, and the bootstrap of the intervals."""

    source: str | None
    split: str | None
    count: int
    model: Spec | None
    drawing: Mapping[str, Any]
    tries: int
    opponent: Spec | None
    baseline: str | None
    baseline_model: str | None
    references: str | None
    controls: Sequence[str]
    style: Sequence[str]
    margin: int | None
    how: Judging
    pair_wording: str
    bootstrap: int
    seed: int

    @property
    def interval_knobs(self) -> dict[str, Any]:
        """The knobs of every stage that computes confidence intervals."""
        return {"bootstrap": self.bootstrap, "seed": self.seed}


Results = dict[str, Handle]


def run_alpaca_eval(flow: Flow, config: BenchmarkConfig) -> Results:
    """AlpacaEval 2: win rates against a baseline, and length-controlled win rates."""
    judged, results = _battles(flow, config, judging.judge_pairs)
    rows = _concat(flow, [each.rows for each in judged])
    return {"figures": flow(alpaca_eval.figures, rows, **config.interval_knobs, name="figures"), **results}


def run_arena_hard(flow: Flow, config: BenchmarkConfig) -> Results:
    """Arena-Hard: two games per question, five grades, style control."""
    judged, results = _battles(flow, config, judging.judge_arena_hard)
    rows = _concat(flow, [each.rows for each in judged])
    return {
        "figures": flow(arena_scores.figures, rows, style=list(config.style), **config.interval_knobs, name="figures"),
        **results,
    }


def run_mt_bench(flow: Flow, config: BenchmarkConfig) -> Results:
    """MT-Bench: two turns, each graded from 1 to 10."""
    first_of = _pin_questions(config.source)
    right = {f"references{key}": value for key, value in _reference_knobs(config.references).items()}
    asked = flow(mt_bench.questions, **first_of, **right, name="questions")
    first = _answer(flow, config, asked, config.model, "first-turn")
    second = _answer(flow, config, flow(mt_bench.second, first, name="second-questions"), config.model, "second-turn")
    both = flow(responses.turns, first, second, name="turns")
    judged = judging.grade_answers(flow, both, config.how, "graded")
    figures = flow(mt_bench.figures, judged.rows, **config.interval_knobs, name="figures")
    return {
        "answers-model": judged.rows,
        "figures": figures,
        **judging.measure_jury(flow, judged, config.how, [config.model]),
    }


def run_wildbench(flow: Flow, config: BenchmarkConfig) -> Results:
    """WildBench: scores by a checklist; with a baseline also rewards with a length margin."""
    asked = _questions(flow, config)
    answers = _answer(flow, config, asked, config.model, "answers")
    judged = judging.grade_answers(flow, answers, config.how, "graded")
    results = {"answers-model": judged.rows, **judging.measure_jury(flow, judged, config.how, [config.model])}
    results["figures"] = flow(wildbench.scores, judged.rows, **config.interval_knobs, name="figures")
    if config.opponent or config.baseline:
        pairs = replace(config, how=replace(config.how, wording=config.pair_wording))
        compared, more = _battles(flow, pairs, judging.judge_pairs_in_five_grades)
        for who in compared[0].each:  # rewards need grades; a jury's mean is not a grade
            rows = _concat(flow, [each.each[who] for each in compared])
            rewards = flow(wildbench.rewards, rows, margin=config.margin, **config.interval_knobs, name=f"rewards-{who}")
            results[f"figures-reward-{who}"] = rewards
        results = {**more, **results}
    return results


def run_judge_accuracy(flow: Flow, config: BenchmarkConfig) -> Results:
    """RewardBench: how often a judge, or a reward model, prefers the right answer."""
    source = {**_pin_questions(config.source), "split": config.split}
    if config.how.rewarder:
        answers = flow(reward_bench.answers, **source, name="answers")
        scored = flow(reward_judge.score, answers, engine=config.how.rewarder, name="rewarded")
        return {"judged": scored, "figures": flow(reward_bench.by_score, scored, **config.interval_knobs, name="figures")}
    battles = flow(reward_bench.battles, **source, name="battles")
    judged = judging.judge_pairs(flow, battles, config.how, "judged")
    figures = flow(reward_bench.by_preference, judged.rows, **config.interval_knobs, name="figures")
    return {"judged": judged.rows, "figures": figures, **judging.measure_jury(flow, judged, config.how, [])}


def run_checked_tasks(flow: Flow, config: BenchmarkConfig, what: str) -> Results:
    """Tasks whose answers are checked by code: pocket world tasks, numbers, or constraints."""
    match what:
        case "pocket":
            asked = flow(pocket_exam.tasks, count=config.count, seed=config.seed, name="questions")
            check, by = pocket_exam.check, ["family", "level"]
        case "numbers":
            asked, check, by = _questions(flow, config), numbers.check, []
        case _ if config.source:
            asked, check, by = (
                flow(constraints.questions, **_pin_questions(config.source), name="questions"),
                constraints.check,
                [],
            )
        case _:
            asked = flow(constraint_tasks.tasks, count=config.count, seed=config.seed, name="questions")
            check, by = constraints.check, ["level"]
    answers = _answer(flow, config, asked, config.model, "answers", n=config.tries)
    marked = flow(check, answers, name="marked")
    tries = sorted({1, config.tries}) if config.tries > 1 else []
    results = {"answers-model": marked, "figures": flow(accuracy.figures, marked, by=by, tries=tries, name="figures")}
    if check is constraints.check:
        results["figures-constraints"] = flow(constraints.figures, marked, name="constraint-figures")
    return results


def _battles(flow: Flow, config: BenchmarkConfig, judge: Callable[..., JudgeResult]) -> tuple[list[JudgeResult], Results]:
    """The judged battles of the model and of each control against the opponent; and the results about the model's own."""
    asked = _questions(flow, config)
    answers = _answer(flow, config, asked, config.model, "answers")
    against = _opponent_answers(flow, config, asked)
    battles = flow(responses.battles, answers, against, name="battles")
    judged = judge(flow, battles, config.how, "judged")
    results = {
        "answers-model": judged.rows,
        **judging.measure_jury(flow, judged, config.how, [config.model, config.opponent]),
    }
    results |= judging.measure_bias(flow, judged, config.how, config.bootstrap)
    all_judged = [judged]
    for control in config.controls:
        made = _answer_as_control(flow, control, asked, answers, against, config.seed)
        battles = flow(responses.battles, made, against, name=f"battles-{control}")
        all_judged.append(judge(flow, battles, config.how, f"judged-{control}"))
    return all_judged, results


def _concat(flow: Flow, rows: Sequence[Handle]) -> Handle:
    return flow(keep.concat, *rows, name="all-judged") if len(rows) > 1 else rows[0]


def _answer_as_control(flow: Flow, control: str, asked: Handle, answers: Handle, against: Handle, seed: int) -> Handle:
    """A control's answers: a fixed text, the prompt itself, or an existing answer."""
    name = f"control-{control}"
    if control in ANSWER_CONTROLS:
        return flow(ANSWER_CONTROLS[control], answers, against, seed=seed, name=name)
    if control == "repeat":
        return flow(controls.repeat, asked, name=name)
    return flow(controls.null, asked, texts={control: controls.FIXED[control]}, name=name)


def _questions(flow: Flow, config: BenchmarkConfig) -> Handle:
    if config.source == "pocket":
        return flow(pocket_exam.tasks, count=config.count, seed=config.seed, name="questions")
    return flow(questions.questions, **_pin_questions(config.source), split=config.split, name="questions")


def _answer(flow: Flow, config: BenchmarkConfig, asked: Handle, by: Spec | None, name: str, n: int = 1) -> Handle:
    drawn = flow(respond.sample, asked, engine=by, n=n, **config.drawing, seed=config.seed, name=f"{name}-drawn")
    return flow(responses.by_model, drawn, name=name)


def _opponent_answers(flow: Flow, config: BenchmarkConfig, asked: Handle) -> Handle:
    """The answers that the model's answers are compared with: from a file, or from another model."""
    if config.baseline:
        return flow(responses.read, asked, **pin_source(config.baseline), model=config.baseline_model, name="baseline")
    if config.opponent is None:
        raise RecipeError("nothing to compare the answers with: name an engine 'opponent', or a file of answers as 'baseline'")
    return _answer(flow, config, asked, config.opponent, "opponent")


def _pin_questions(source: str | None) -> dict[str, Any]:
    if source is None:
        raise RecipeError("what is asked? Give 'questions': a file in the benchmark's own form, or a dataset's id on the Hub")
    return pin_source(source)


def _reference_knobs(source: str | None) -> dict[str, Any]:
    """The suffixes of the knobs for `source` (empty) and `content` (`_content`), with their values."""
    if source is None:
        return {}
    pinned = pin_source(source)
    return {"": pinned["source"], "_content": pinned["content"]}

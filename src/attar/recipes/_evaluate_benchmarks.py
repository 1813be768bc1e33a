"""The benchmarks of `evaluate`: from the questions to the figures, each as its authors have it."""

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
    """What is asked of whom, how answers are drawn, and how sure the figures are."""

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
    def drawn(self) -> dict[str, Any]:
        """The knobs of every stage that draws intervals."""
        return {"bootstrap": self.bootstrap, "seed": self.seed}


Results = dict[str, Handle]


def run_alpaca_eval(flow: Flow, setting: BenchmarkConfig) -> Results:
    """AlpacaEval 2: win rates against a baseline, with length held even."""
    judged, results = _battles(flow, setting, judging.judge_pairs)
    rows = _concat(flow, [each.rows for each in judged])
    return {"figures": flow(alpaca_eval.figures, rows, **setting.drawn, name="figures"), **results}


def run_arena_hard(flow: Flow, setting: BenchmarkConfig) -> Results:
    """Arena-Hard: two games a question, five grades, style held even."""
    judged, results = _battles(flow, setting, judging.judge_arena_hard)
    rows = _concat(flow, [each.rows for each in judged])
    return {"figures": flow(arena_scores.figures, rows, style=list(setting.style), **setting.drawn, name="figures"), **results}


def run_mt_bench(flow: Flow, setting: BenchmarkConfig) -> Results:
    """MT-Bench: two turns, each graded from 1 to 10."""
    first_of = _pin_questions(setting.source)
    right = {f"references{key}": value for key, value in _reference_knobs(setting.references).items()}
    asked = flow(mt_bench.questions, **first_of, **right, name="questions")
    first = _answer(flow, setting, asked, setting.model, "first-turn")
    second = _answer(flow, setting, flow(mt_bench.second, first, name="second-questions"), setting.model, "second-turn")
    both = flow(responses.turns, first, second, name="turns")
    judged = judging.grade_answers(flow, both, setting.how, "graded")
    figures = flow(mt_bench.figures, judged.rows, **setting.drawn, name="figures")
    return {
        "answers-model": judged.rows,
        "figures": figures,
        **judging.measure_jury(flow, judged, setting.how, [setting.model]),
    }


def run_wildbench(flow: Flow, setting: BenchmarkConfig) -> Results:
    """WildBench: scores by a checklist; with a baseline also rewards with a length margin."""
    asked = _questions(flow, setting)
    answers = _answer(flow, setting, asked, setting.model, "answers")
    judged = judging.grade_answers(flow, answers, setting.how, "graded")
    results = {"answers-model": judged.rows, **judging.measure_jury(flow, judged, setting.how, [setting.model])}
    results["figures"] = flow(wildbench.scores, judged.rows, **setting.drawn, name="figures")
    if setting.opponent or setting.baseline:
        pairs = replace(setting, how=replace(setting.how, wording=setting.pair_wording))
        compared, more = _battles(flow, pairs, judging.judge_pairs_in_five_grades)
        for who in compared[0].each:  # a reward is of grades, and a jury's mean is none
            rows = _concat(flow, [each.each[who] for each in compared])
            found = flow(wildbench.rewards, rows, margin=setting.margin, **setting.drawn, name=f"rewards-{who}")
            results[f"figures-reward-{who}"] = found
        results = {**more, **results}
    return results


def run_judge_accuracy(flow: Flow, setting: BenchmarkConfig) -> Results:
    """RewardBench: how often a judge, or a reward model, prefers the right answer."""
    source = {**_pin_questions(setting.source), "split": setting.split}
    if setting.how.rewarder:
        answers = flow(reward_bench.answers, **source, name="answers")
        scored = flow(reward_judge.score, answers, engine=setting.how.rewarder, name="rewarded")
        return {"judged": scored, "figures": flow(reward_bench.by_score, scored, **setting.drawn, name="figures")}
    battles = flow(reward_bench.battles, **source, name="battles")
    judged = judging.judge_pairs(flow, battles, setting.how, "judged")
    figures = flow(reward_bench.by_preference, judged.rows, **setting.drawn, name="figures")
    return {"judged": judged.rows, "figures": figures, **judging.measure_jury(flow, judged, setting.how, [])}


def run_checked_tasks(flow: Flow, setting: BenchmarkConfig, what: str) -> Results:
    """Tasks with a checkable answer: of the pocket world, with numbers, with constraints."""
    match what:
        case "pocket":
            asked = flow(pocket_exam.tasks, count=setting.count, seed=setting.seed, name="questions")
            check, by = pocket_exam.check, ["family", "level"]
        case "numbers":
            asked, check, by = _questions(flow, setting), numbers.check, []
        case _ if setting.source:
            asked, check, by = (
                flow(constraints.questions, **_pin_questions(setting.source), name="questions"),
                constraints.check,
                [],
            )
        case _:
            asked = flow(constraint_tasks.tasks, count=setting.count, seed=setting.seed, name="questions")
            check, by = constraints.check, ["level"]
    answers = _answer(flow, setting, asked, setting.model, "answers", n=setting.tries)
    marked = flow(check, answers, name="marked")
    tries = sorted({1, setting.tries}) if setting.tries > 1 else []
    results = {"answers-model": marked, "figures": flow(accuracy.figures, marked, by=by, tries=tries, name="figures")}
    if check is constraints.check:
        results["figures-constraints"] = flow(constraints.figures, marked, name="constraint-figures")
    return results


def _battles(flow: Flow, setting: BenchmarkConfig, judged_by: Callable[..., JudgeResult]) -> tuple[list[JudgeResult], Results]:
    """The judged battles of the model, then of each control, against the opponent; and all there is to tell of the model's."""
    asked = _questions(flow, setting)
    answers = _answer(flow, setting, asked, setting.model, "answers")
    against = _opponent_answers(flow, setting, asked)
    battles = flow(responses.battles, answers, against, name="battles")
    judged = judged_by(flow, battles, setting.how, "judged")
    results = {
        "answers-model": judged.rows,
        **judging.measure_jury(flow, judged, setting.how, [setting.model, setting.opponent]),
    }
    results |= judging.measure_bias(flow, judged, setting.how, setting.bootstrap)
    found = [judged]
    for control in setting.controls:
        made = _answer_as_control(flow, control, asked, answers, against, setting.seed)
        battles = flow(responses.battles, made, against, name=f"battles-{control}")
        found.append(judged_by(flow, battles, setting.how, f"judged-{control}"))
    return found, results


def _concat(flow: Flow, rows: Sequence[Handle]) -> Handle:
    return flow(keep.concat, *rows, name="all-judged") if len(rows) > 1 else rows[0]


def _answer_as_control(flow: Flow, control: str, asked: Handle, answers: Handle, against: Handle, seed: int) -> Handle:
    """A control's answers: a fixed text, the prompt itself, or one of the answers that there are."""
    name = f"control-{control}"
    if control in ANSWER_CONTROLS:
        return flow(ANSWER_CONTROLS[control], answers, against, seed=seed, name=name)
    if control == "repeat":
        return flow(controls.repeat, asked, name=name)
    return flow(controls.null, asked, texts={control: controls.FIXED[control]}, name=name)


def _questions(flow: Flow, setting: BenchmarkConfig) -> Handle:
    if setting.source == "pocket":
        return flow(pocket_exam.tasks, count=setting.count, seed=setting.seed, name="questions")
    return flow(questions.questions, **_pin_questions(setting.source), split=setting.split, name="questions")


def _answer(flow: Flow, setting: BenchmarkConfig, asked: Handle, by: Spec | None, name: str, n: int = 1) -> Handle:
    drawn = flow(respond.sample, asked, engine=by, n=n, **setting.drawing, seed=setting.seed, name=f"{name}-drawn")
    return flow(responses.by_model, drawn, name=name)


def _opponent_answers(flow: Flow, setting: BenchmarkConfig, asked: Handle) -> Handle:
    """What the model's answers are held against: those of a file, or another model's."""
    if setting.baseline:
        return flow(responses.read, asked, **pin_source(setting.baseline), model=setting.baseline_model, name="baseline")
    if setting.opponent is None:
        raise RecipeError("nothing to hold the answers against: name an engine 'opponent', or a file of answers as 'baseline'")
    return _answer(flow, setting, asked, setting.opponent, "opponent")


def _pin_questions(source: str | None) -> dict[str, Any]:
    if source is None:
        raise RecipeError("what is asked? Give 'questions': a file in the benchmark's own form, or a dataset's id on the Hub")
    return pin_source(source)


def _reference_knobs(source: str | None) -> dict[str, Any]:
    """`source` and `content` as endings of knobs: nothing, and _content."""
    if source is None:
        return {}
    told = pin_source(source)
    return {"": told["source"], "_content": told["content"]}

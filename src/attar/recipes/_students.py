"""What recipes have in common at their end: a guard, students trained on the rows, an exam for all students."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt
from typing_extensions import TypedDict

from attar.engines.base import Spec
from attar.runtime.flow import Flow, Handle
from attar.stages.annotate import safety
from attar.stages.evaluate.benchmarks import pocket_exam
from attar.stages.evaluate.figures import arm_scores
from attar.stages.select import keep, where
from attar.stages.synth import respond
from attar.stages.train import preference, sft

Exam = Literal["none", "pocket"]


class TrainingKnobs(TypedDict, total=False):
    """The knobs of any training; one that is not given has the stage's default."""

    __pydantic_config__ = {"extra": "forbid"}  # type: ignore[misc] # noqa: RUF012 (pydantic declares it so)
    epochs: Annotated[float, Gt(0)]
    lr: Annotated[float, Gt(0)]
    batch: Annotated[int, Ge(1)]
    accumulate: Annotated[int, Ge(1)]
    max_length: Annotated[int, Ge(1)]
    warmup: Annotated[float, Ge(0)]
    schedule: str
    lora: Annotated[int, Ge(1)]
    qlora: bool


class Fit(TrainingKnobs, total=False):
    """How to train on answers (`train.sft.train`)."""

    packing: bool
    template: str


class Preference(TrainingKnobs, total=False):
    """How to train on pairs (`train.preference.train`)."""

    method: preference.Method
    beta: Annotated[float, Gt(0)]
    gamma: float


def keep_answered(flow: Flow, rows: Handle, name: str = "answered") -> Handle:
    """The rows that have an answer: no rule sees the others, and no comparison counts them."""
    return flow(keep.rows, rows, flow(keep.has_answer, rows, name=f"has-{name}"), name=name)


def keep_safe(flow: Flow, rows: Handle, guard: Spec | None, guarding: safety.Guard) -> Handle:
    """With a guard: only the rows that it rates as safe with probability 0.5 or more."""
    if guard is None:
        return rows
    judged = flow(safety.score, rows, engine=guard, guard=guarding, name="safety")
    return flow(keep.rows, judged, flow(where.holds, judged, rule="safe >= 0.5", name="is-safe"), name="safe")


def train_students(flow: Flow, base: Spec, arms: Mapping[str, Handle], fit: Fit, seed: int) -> dict[str, Handle]:
    """A student for each set of rows, all from the same base with the same settings."""
    return {
        arm: flow(sft.train, rows, engine=base, **_knobs(fit), seed=seed, name=f"train-{arm}") for arm, rows in arms.items()
    }


def train_on_pairs(flow: Flow, student: Handle, pairs: Handle, how: Preference, seed: int) -> Handle:
    """The student, trained further on preference pairs."""
    return flow(preference.train, pairs, engine=student, **_knobs(how), seed=seed, name="train-preferred")


def _knobs(settings: Fit | Preference) -> dict[str, Any]:
    return dict(settings)


def evaluate_students(
    flow: Flow, models: Mapping[str, Handle], base: Spec, exam: Exam, size: int, max_tokens: int, seed: int
) -> dict[str, Handle]:
    """The models by name; with an exam also the marked answers of all models and the base, and the first model's lead."""
    results = {f"model-{arm}": model for arm, model in models.items()}
    if exam == "none":
        return results
    students: dict[str, Spec | Handle] = {**models, "none": base}
    questions = flow(pocket_exam.tasks, count=size, seed=seed, name="exam")
    marked = {}
    for arm, student in students.items():
        sat = flow(respond.sample, questions, engine=student, max_tokens=max_tokens, whole=False, name=f"sit-{arm}")
        marked[f"answers-{arm}"] = flow(pocket_exam.check, sat, name=f"mark-{arm}")
    return results | marked | {"scores": flow(arm_scores.compare, *marked.values(), arms=list(students), name="scores")}

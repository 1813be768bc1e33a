"""Marks: what a stage declares about itself. A mark sets an attribute and returns the same function; nothing is wrapped.

The runner, the plan, the report and the dataset card know stages only by these marks, never by their names; so a stage of your
own is treated like a built-in one.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, overload

from attar.core.errors import RecipeError, did_you_mean

Stage = TypeVar("Stage", bound=Callable[..., Any])
Reads = tuple[str, ...] | Callable[[Mapping[str, Any]], tuple[str, ...]]
Role = Literal[
    "pool",  # existing rows, read from a file or a dataset
    "samples",  # texts that a model generated: prompts, personas, further turns
    "answers",  # a model's answers to conversations
    "scores",  # the rows, with a number for each
    "ranking",  # verdicts by a ranking; the knob `by` names its score
    "decontamination",  # verdicts on overlap with benchmarks
    "kept",  # the rows of the first input that the verdicts in the second keep
    "union",  # rows of all inputs together
    "letters",  # the rows, with vectors of their character n-grams
    "pairs",  # preference pairs
    "exam",  # questions, answers, judgments or figures of an evaluation: not training data
    "bookkeeping",  # not shown to people
]
TrainingTarget = Literal["answers", "pairs", "labels"]


@dataclass(frozen=True, slots=True)
class StageMarks:
    """The marks of a stage."""

    rowwise: bool
    aligned: bool
    folds: bool
    trains: TrainingTarget | None
    """What the stage trains a model on; None if it trains none."""
    reads: Reads | None
    role: Role | None
    as_many_as: int | None
    """The index of the input whose number of rows the verdicts keep; None if there is no such input."""

    def plain(self) -> dict[str, Any]:
        """The marks as a run's record stores them."""
        return {"role": self.role, "trains": self.trains}


def rowwise(stage: Stage) -> Stage:
    """An output row depends on only one row of the (first) input, so the stage can be sharded, distributed and resumed."""
    stage.__dict__["rowwise"] = True
    return stage


def rowwise_aligned(stage: Stage) -> Stage:
    """A row-wise stage whose inputs all have the same rows in the same order: all are sharded at the same rows."""
    stage.__dict__["aligned"] = True
    return rowwise(stage)


def folds(stage: Stage) -> Stage:
    """A whole-table stage that gets each input as an iterator of parts, so that no input is ever whole in memory."""
    stage.__dict__["folds"] = True
    return stage


@overload
def trains(stage: Stage) -> Stage: ...
@overload
def trains(*, on: TrainingTarget) -> Callable[[Stage], Stage]: ...
def trains(stage: Any = None, *, on: TrainingTarget = "answers") -> Any:
    """The stage trains a model: it gets the Spec of its base, and the folder `into` for the model."""

    def mark(stage: Stage) -> Stage:
        stage.__dict__["trains"] = _check_name(on, TrainingTarget, "what a stage trains on")
        return stage

    return mark if stage is None else mark(stage)


def reads(columns: Callable[[Mapping[str, Any]], tuple[str, ...]] | str, *more: str) -> Callable[[Stage], Stage]:
    """A whole-table stage gets only these columns (and `id`); they may depend on the knobs.

    A name that ends in `?` is a column that is read where the table has it.
    """

    def mark(stage: Stage) -> Stage:
        stage.__dict__["reads"] = (columns, *more) if isinstance(columns, str) else columns
        return stage

    return mark


def role(name: Role) -> Callable[[Stage], Stage]:
    """The role of the stage's rows."""

    def mark(stage: Stage) -> Stage:
        stage.__dict__["role"] = _check_name(name, Role, "a stage's role")
        return stage

    return mark


def as_many_as(place: int) -> Callable[[Stage], Stage]:
    """The verdicts keep as many rows as the input at this index has."""

    def mark(stage: Stage) -> Stage:
        stage.__dict__["as_many_as"] = place
        return stage

    return mark


def _check_name(name: str, names: Any, what: str) -> str:
    if name not in get_args(names):
        raise RecipeError(f"{what} is not {name!r}; {did_you_mean(name, get_args(names))}")
    return name


def marks(stage: Callable[..., Any]) -> StageMarks:
    """The marks of a stage."""
    values = vars(stage)
    flags = {mark: bool(values.get(mark)) for mark in ("rowwise", "aligned", "folds")}
    others: dict[str, Any] = {mark: values.get(mark) for mark in ("trains", "reads", "role", "as_many_as")}
    return StageMarks(**flags, **others)


def columns_read(stage: Callable[..., Any], knobs: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The columns that a whole-table stage reads with these knobs (defaults for the rest); None for all columns."""
    columns = marks(stage).reads
    defaults = {name: parameter.default for name, parameter in inspect.signature(stage).parameters.items()}
    return columns({**defaults, **knobs}) if callable(columns) else columns


def stage_name(stage: Callable[..., Any]) -> str:
    """`family.module.function`, as people write it."""
    return f"{stage.__module__.removeprefix('attar.').removeprefix('stages.')}.{stage.__name__}"

"""What a stage says about itself. Each mark sets an attribute and returns the same function; nothing is wrapped.

The runner, the plan, the report and the dataset card know stages by these marks alone, never by their names; so a stage of your
own is treated like ours.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, overload

from attar.core.errors import RecipeError, did_you_mean

Stage = TypeVar("Stage", bound=Callable[..., Any])
Reads = tuple[str, ...] | Callable[[Mapping[str, Any]], tuple[str, ...]]
Role = Literal[
    "pool",  # rows that somebody has: people's data, read
    "samples",  # texts that a model wrote: prompts, personas, further turns
    "answers",  # a model's answers to conversations
    "scores",  # the rows, with a number for each
    "ranking",  # verdicts by an order, which the knob `by` names
    "decontamination",  # verdicts against what benchmarks ask
    "kept",  # the rows of the first input that the verdicts of the second keep
    "union",  # rows of all inputs together
    "letters",  # the rows, with vectors of their letters
    "pairs",  # preference pairs
    "exam",  # questions, answers, judgments or figures of an evaluation: no data to train on
    "bookkeeping",  # nothing that a person follows
]
TrainingTarget = Literal["answers", "pairs", "labels"]


@dataclass(frozen=True, slots=True)
class StageMarks:
    """A stage's marks, read back."""

    rowwise: bool
    aligned: bool
    folds: bool
    trains: TrainingTarget | None
    """What the model is trained on, of a stage that trains one."""
    reads: Reads | None
    role: Role | None
    as_many_as: int | None
    """Of verdicts that keep as many rows as one of the inputs has: that input's place."""

    def plain(self) -> dict[str, Any]:
        """What a run's record says of a step."""
        return {"role": self.role, "trains": self.trains}


def rowwise(stage: Stage) -> Stage:
    """A row of the output depends on one row of the (first) input alone: the stage may be cut, spread and resumed."""
    stage.__dict__["rowwise"] = True
    return stage


def aligned(stage: Stage) -> Stage:
    """A row-wise stage whose further inputs have the rows of the first, in its order: all are cut at the same rows."""
    stage.__dict__["aligned"] = True
    return rowwise(stage)


def folds(stage: Stage) -> Stage:
    """A whole-table stage that is given each input as its parts, one after the other, so that none is ever held whole."""
    stage.__dict__["folds"] = True
    return stage


@overload
def trains(stage: Stage) -> Stage: ...
@overload
def trains(*, on: TrainingTarget) -> Callable[[Stage], Stage]: ...
def trains(stage: Any = None, *, on: TrainingTarget = "answers") -> Any:
    """The stage trains a model: it gets the Spec of its base, and a folder `into` which the model goes."""

    def mark(stage: Stage) -> Stage:
        stage.__dict__["trains"] = _check_name(on, TrainingTarget, "what a stage trains on")
        return stage

    return mark if stage is None else mark(stage)


def reads(columns: Callable[[Mapping[str, Any]], tuple[str, ...]] | str, *more: str) -> Callable[[Stage], Stage]:
    """A whole-table stage is given only these columns (and `id`); they may depend on the knobs."""

    def mark(stage: Stage) -> Stage:
        stage.__dict__["reads"] = (columns, *more) if isinstance(columns, str) else columns
        return stage

    return mark


def role(name: Role) -> Callable[[Stage], Stage]:
    """What the stage's rows are."""

    def mark(stage: Stage) -> Stage:
        stage.__dict__["role"] = _check_name(name, Role, "a stage's role")
        return stage

    return mark


def as_many_as(place: int) -> Callable[[Stage], Stage]:
    """Verdicts that keep as many rows as the input at this place has."""

    def mark(stage: Stage) -> Stage:
        stage.__dict__["as_many_as"] = place
        return stage

    return mark


def _check_name(name: str, names: Any, what: str) -> str:
    if name not in get_args(names):
        raise RecipeError(f"{what} is not {name!r}; {did_you_mean(name, get_args(names))}")
    return name


def marks(stage: Callable[..., Any]) -> StageMarks:
    """What a stage says about itself."""
    said = vars(stage)
    flags = {mark: bool(said.get(mark)) for mark in ("rowwise", "aligned", "folds")}
    values: dict[str, Any] = {mark: said.get(mark) for mark in ("trains", "reads", "role", "as_many_as")}
    return StageMarks(**flags, **values)


def columns_read(stage: Callable[..., Any], knobs: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The columns that a whole-table stage reads with these knobs, and its defaults for all others; None for all columns."""
    said = marks(stage).reads
    defaults = {name: parameter.default for name, parameter in inspect.signature(stage).parameters.items()}
    return said({**defaults, **knobs}) if callable(said) else said


def stage_name(stage: Callable[..., Any]) -> str:
    """`family.module.function`, as people write it."""
    return f"{stage.__module__.removeprefix('attar.').removeprefix('stages.')}.{stage.__name__}"

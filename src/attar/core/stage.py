"""What a stage says about itself. Each mark sets an attribute and returns the same function; nothing is wrapped."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Stage = TypeVar("Stage", bound=Callable[..., Any])
Reads = tuple[str, ...] | Callable[[Mapping[str, Any]], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Marks:
    """A stage's marks, read back."""

    rowwise: bool
    aligned: bool
    folds: bool
    trains: bool
    reads: Reads | None


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


def trains(stage: Stage) -> Stage:
    """The stage trains a model: it gets the Spec of its base, and a folder `into` which the model goes."""
    stage.__dict__["trains"] = True
    return stage


def reads(columns: Callable[[Mapping[str, Any]], tuple[str, ...]] | str, *more: str) -> Callable[[Stage], Stage]:
    """A whole-table stage is given only these columns (and `id`); they may depend on the knobs."""

    def mark(stage: Stage) -> Stage:
        stage.__dict__["reads"] = (columns, *more) if isinstance(columns, str) else columns
        return stage

    return mark


def marks(stage: Callable[..., Any]) -> Marks:
    """What a stage says about itself."""
    said = vars(stage)
    own = {mark: said.get(mark, False) for mark in ("rowwise", "aligned", "folds", "trains")}
    return Marks(**own, reads=said.get("reads"))


def columns_read(stage: Callable[..., Any], knobs: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The columns that a whole-table stage reads with these knobs, and its defaults for all others; None for all columns."""
    said = marks(stage).reads
    defaults = {name: parameter.default for name, parameter in inspect.signature(stage).parameters.items()}
    return said({**defaults, **knobs}) if callable(said) else said


def stage_name(stage: Callable[..., Any]) -> str:
    """`family.module.function`, as people write it."""
    return f"{stage.__module__.removeprefix('attar.').removeprefix('stages.')}.{stage.__name__}"

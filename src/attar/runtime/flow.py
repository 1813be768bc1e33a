"""Trace a recipe into steps, without running anything; a step is identified by the fingerprint of all that decides its output.

    @recipe(paper="arXiv:...")
    def mine(flow, *, teacher: Spec, count: int = 100):
        asked = flow(magpie.ask, flow(magpie.draws, count=count), engine=teacher)
        return {"asked": asked}

What a recipe returns names its results. A handle of a step that trains a model serves as a later step's engine.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from attar.core.errors import RecipeError, did_you_mean
from attar.core.fingerprint import fingerprint, stage_fingerprint
from attar.core.stage import StageMarks, columns_read, marks, stage_name
from attar.engines.base import Spec
from attar.engines.registry import identity_of, open_engine

MODEL = "model"
"""The folder of a trained model, inside its step's folder."""
NAME_FILE = "known_as"
"""A file beside a trained model: its identity in the journal's keys."""


def journal_name(folder: Path, fingerprint: str) -> str:
    """A trained model's identity in the journal's keys: its step's fingerprint, or an earlier step's with the same weights."""
    file = folder / NAME_FILE
    return file.read_text() if file.exists() else fingerprint


@dataclass(frozen=True, slots=True)
class Handle:
    """A step's future output."""

    step: "Step"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # attributes that Python itself looks up, for example to copy
            raise AttributeError(name)
        return self._no_rows()

    def _no_rows(self, *_: Any) -> Any:
        raise RecipeError(
            f"the rows of step {self.step.name!r} do not exist while a recipe is traced: a recipe only wires stages; "
            "code that reads rows must be a stage, called as flow(stage, handle)"
        )

    def __bool__(self) -> bool:  # `if handle` tests for None
        return True

    __len__ = __iter__ = __getitem__ = __contains__ = _no_rows


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Step:
    """One stage with its inputs, its engine and its knobs, ready to run."""

    name: str
    stage: Callable[..., Any]
    inputs: tuple["Step", ...]
    engine: "Spec | Step | None"
    knobs: Mapping[str, Any]
    manner: str
    """The fingerprint of its stage, its engine and its knobs, without its inputs."""
    fingerprint: str

    def __repr__(self) -> str:  # without its inputs, which would print the whole graph
        return f"<step {self.name}: {self.title}>"

    @property
    def marks(self) -> StageMarks:
        """The marks of its stage."""
        return marks(self.stage)

    @property
    def title(self) -> str:
        """The stage's full name."""
        return stage_name(self.stage)

    @property
    def folder(self) -> str:
        """The name of its output's folder."""
        return f"{self.title.rpartition('.')[0].rpartition('.')[2]}.{self.stage.__name__}-{self.fingerprint}"

    @property
    def engine_name(self) -> str | None:
        """Its engine's name in records: the model, or the step that trains it."""
        return self.engine.name if isinstance(self.engine, Step) else self.engine.model if self.engine else None

    def spec(self, steps: Path) -> Spec | None:
        """Its engine as plain data; a trained model is in its step's folder, and has its base's kind and options."""
        if not isinstance(self.engine, Step):
            return self.engine
        base = self.engine.spec(steps)
        kind, options = (base.kind, base.options) if base else ("local", {})
        folder = steps / self.engine.folder
        return Spec(kind, str(folder / MODEL), options, identity=journal_name(folder, self.engine.fingerprint))


class Flow(Protocol):
    """The first argument of a recipe."""

    def __call__(
        self,
        stage: Callable[..., Any],
        *inputs: Handle,
        engine: Spec | Handle | None = None,
        name: str | None = None,
        **knobs: Any,
    ) -> Handle:
        """Wire one stage to its inputs."""
        ...

    def remark(self, text: str) -> None:
        """Say in a line what people should know of the run: plan, results, report and dataset card show it."""
        ...


Recipe = Callable[..., Mapping[str, Handle]]


def recipe(*, paper: str | None = None) -> Callable[[Recipe], Recipe]:
    """Mark a function as a recipe; the function itself is not changed."""

    def mark(function: Recipe) -> Recipe:
        function.__dict__.update(recipe=True, paper=paper)
        return function

    return mark


@dataclass
class Trace:
    """The steps of a recipe in the order of its calls, and its results by name."""

    steps: list[Step] = field(default_factory=list)
    results: dict[str, Step] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    _known: dict[str, Step] = field(default_factory=dict)
    _engines: dict[str, str] = field(default_factory=dict)

    def __call__(
        self,
        stage: Callable[..., Any],
        *inputs: Handle,
        engine: Spec | Handle | None = None,
        name: str | None = None,
        **knobs: Any,
    ) -> Handle:
        """Wire one stage; the same call twice gives the same step."""
        name = name or stage.__name__
        _check_call(stage, inputs, engine, knobs)
        before = tuple(handle.step for handle in inputs)
        source = engine.step if isinstance(engine, Handle) else engine
        try:
            manner = fingerprint(stage_fingerprint(stage), self._engine_identity(source), dict(knobs))
        except TypeError as error:
            raise RecipeError(f"step {name!r}: {error}") from error
        print_ = fingerprint(manner, [step.fingerprint for step in before])
        if print_ not in self._known:
            taken = {step.name for step in self.steps}
            unique = name if name not in taken else next(f"{name}-{i}" for i in range(2, 10_000) if f"{name}-{i}" not in taken)
            self._known[print_] = Step(unique, stage, before, source, knobs, manner, print_)
            self.steps.append(self._known[print_])
        return Handle(self._known[print_])

    def remark(self, text: str) -> None:
        """Keep a line for the run's record; it changes no step."""
        self.remarks.append(text)

    def _engine_identity(self, engine: Spec | Step | None) -> str | None:
        if engine is None or isinstance(engine, Step):
            return engine.fingerprint if engine else None
        key = fingerprint(engine)
        if key not in self._engines:
            opened = open_engine(engine)
            self._engines[key] = identity_of(opened)
            opened.close()
        return self._engines[key]


def trace(function: Recipe, engines: Mapping[str, Spec], knobs: Mapping[str, Any]) -> Trace:
    """A recipe's steps, with these engines and knobs."""
    flow = Trace()
    results = function(flow, **engines, **knobs)
    if not isinstance(results, Mapping):
        raise RecipeError(f"recipe {function.__name__!r} returns {type(results).__name__}: it must return its results by name")
    if odd := [name for name, handle in results.items() if not isinstance(handle, Handle)]:
        raise RecipeError(
            f"recipe {function.__name__!r}: its result {odd[0]!r} is {type(results[odd[0]]).__name__}, not a step's"
        )
    flow.results = {name: handle.step for name, handle in results.items()}
    return flow


def _check_call(stage: Callable[..., Any], inputs: tuple[Handle, ...], engine: Any, knobs: Mapping[str, Any]) -> None:
    """Raise now the errors that calling the stage would raise hours later."""
    title, parameters = stage_name(stage), inspect.signature(stage).parameters
    if "<" in stage.__qualname__ or stage.__closure__:
        raise RecipeError(f"{title} is defined inside a function: its fingerprint would not cover its closure; use knobs")
    for handle in inputs:
        if not isinstance(handle, Handle):
            raise RecipeError(f"{title} is given {type(handle).__name__}: its inputs are the results of other steps")
    reserved = ("engine", "into") if marks(stage).trains else ("engine",)  # given by the runner
    free = [name for place, name in enumerate(parameters) if _is_knob(parameters[name], place, len(inputs))]
    takes = [name for name in free if name not in reserved]
    for knob in knobs:
        if knob not in takes:
            raise RecipeError(f"{title} has no knob {knob!r}; {did_you_mean(knob, takes)}")
    if ("engine" in parameters) != (engine is not None):
        raise RecipeError(f"{title} needs an engine" if engine is None else f"{title} takes no engine")
    given = {name: None for name in reserved if name in parameters}
    try:
        inspect.signature(stage).bind(*inputs, **knobs, **given)
    except TypeError as error:
        raise RecipeError(f"{title}: {error}") from error
    columns_read(stage, knobs)


def _is_knob(parameter: inspect.Parameter, place: int, inputs: int) -> bool:
    """True if a stage's parameter is a knob: keyword-only, or after its inputs."""
    return parameter.kind is parameter.KEYWORD_ONLY or (parameter.kind is parameter.POSITIONAL_OR_KEYWORD and place >= inputs)

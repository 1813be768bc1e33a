"""What an engine is: a Spec as plain data, requests in, replies out in any order; and the four things an engine may do."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Protocol

from attar.chat.templates import Message, Template
from attar.core.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Spec:
    """An engine as plain data. Secrets are never in it: an option may name the environment variable that holds one."""

    kind: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    identity: str | None = None
    """Of a model that a step trained: that step's fingerprint. Of any other: None, and the model itself is looked at."""

    @property
    def name(self) -> str:
        """What rows say of who made them: the same on every machine."""
        if self.identity:
            return f"trained:{self.identity}"
        return PurePath(self.model).name if self.model.startswith(("/", ".", "~")) else self.model


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a writer draws its text; temperature 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    """A JSON schema that the text must follow, where the engine can hold a model to one."""

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.max_tokens < 1:
            raise RecipeError(f"{self}: a temperature is 0 or more, top_p above 0 and at most 1, max_tokens 1 or more")


@dataclass(frozen=True, slots=True)
class Request:
    """One thing asked of an engine. `index` comes back with the reply, and is no part of what is asked."""

    index: int
    messages: tuple[Message, ...] = ()
    text: str | None = None
    """Raw text in place of messages: to go on writing from, or to embed."""
    sampling: Sampling | None = None
    seed: int = 0
    labels: tuple[str, ...] = ()
    """For a grader: the answers to weigh."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a value, or an error that is the row's own."""

    index: int
    text: str | None = None
    finish: str | None = None
    """`stop` when the model ended by itself, `length` when it was cut off."""
    reasoning: str | None = None
    """What a reasoning model thought before it answered, kept apart from the answer."""
    weights: tuple[float, ...] | None = None
    """Log-probabilities of the request's labels, in their order."""
    vector: "array[float] | None" = None
    """Of length one, as an array of 32-bit floats (`array("f")`): a few bytes a number wherever it goes."""
    reward: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    error: str | None = None


class Engine(Protocol):
    """What every engine has."""

    spec: Spec

    def identity(self) -> str:
        """All that decides its answers, but not where it runs or how fast."""
        ...

    def close(self) -> None:
        """Let go of the model."""
        ...


class Generator(Engine, Protocol):
    """Writes text."""

    @property
    def template(self) -> Template:
        """The model's chat template."""
        ...

    def generate(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Texts, in any order, as they are done; requests are taken only as there is room for them."""
        ...


class Grader(Engine, Protocol):
    """Weighs answers."""

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """The log-probability of each label, as the whole of the answer."""
        ...


class Embedder(Engine, Protocol):
    """Turns text into vectors."""

    def embed(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """A unit vector for each."""
        ...


class Rewarder(Engine, Protocol):
    """Scores whole conversations."""

    def reward(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """One real number for each."""
        ...


def in_order(replies: Iterable[Reply], count: int) -> list[Reply]:
    """All replies, each at its request's place; a missing or doubled one is a fault of the engine."""
    found: list[Reply | None] = [None] * count
    for reply in replies:
        if found[reply.index] is not None:
            raise RuntimeError(f"engine answered request {reply.index} twice")
        found[reply.index] = reply
    if None in found:
        raise RuntimeError(f"engine left request {found.index(None)} unanswered")
    return [reply for reply in found if reply is not None]

"""Engines: a Spec as plain data, requests in, replies out in any order; and protocols for the four verbs."""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Protocol

from attar.chat.templates import Message, Template
from attar.core.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Spec:
    """An engine as plain data, without secrets: an option may name the environment variable that holds one."""

    kind: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    identity: str | None = None
    """The fingerprint of the step that trained the model; None for any other model, whose own content counts."""

    @property
    def name(self) -> str:
        """The model's name in rows: the same on every machine."""
        if self.identity:
            return f"trained:{self.identity}"
        return PurePath(self.model).name if self.model.startswith(("/", ".", "~")) else self.model


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a text is sampled; temperature 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    schema: Mapping[str, Any] | None = None
    """A JSON schema that the text must follow, if the engine can enforce one."""

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.max_tokens < 1:
            raise RecipeError(f"{self}: temperature must be >= 0, top_p > 0 and <= 1, max_tokens >= 1")


@dataclass(frozen=True, slots=True)
class Request:
    """One request to an engine. `index` only identifies the reply; it does not influence it."""

    index: int
    messages: tuple[Message, ...] = ()
    text: str | None = None
    """Raw text instead of messages: to continue, or to embed."""
    sampling: Sampling | None = None
    seed: int = 0
    labels: tuple[str, ...] = ()
    """For `weigh`: the answers to compare."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to a request: a value, or this row's error."""

    index: int
    text: str | None = None
    finish: str | None = None
    """`stop` if the model ended by itself, `length` if the text was truncated."""
    reasoning: str | None = None
    """A reasoning model's thoughts, separate from its answer."""
    marks: tuple[tuple[str, str], ...] | None = None
    """What opens and closes a thought in this model's texts, beside the marks that every model's texts are searched for."""
    opened: str | None = None
    """The mark with which the prompt opened a thought, so that the text begins inside it."""
    weights: tuple[float, ...] | None = None
    """Log-probabilities of the request's labels, in their order."""
    vector: "array[float] | None" = None
    """A unit vector of 32-bit floats (`array("f")`), to save memory."""
    reward: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    error: str | None = None


class Engine(Protocol):
    """The members of every engine."""

    spec: Spec

    def identity(self) -> str:
        """A hash of everything that determines the replies, but not of where or how fast it runs."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


class Generator(Engine, Protocol):
    """Generates text."""

    @property
    def template(self) -> Template:
        """The model's chat template."""
        ...

    def generate(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Texts, in the order in which they finish; requests are taken only when there is room for them."""
        ...


class Grader(Engine, Protocol):
    """Gives the probabilities of possible answers."""

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """The log-probability of each label as the complete answer."""
        ...


class Embedder(Engine, Protocol):
    """Embeds texts."""

    def embed(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """A unit vector for each text."""
        ...


class Rewarder(Engine, Protocol):
    """Scores whole conversations."""

    def reward(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """One real number for each conversation."""
        ...


def in_order(replies: Iterable[Reply], count: int) -> list[Reply]:
    """All replies in the order of their requests; raises for a missing or duplicate reply."""
    by_index: list[Reply | None] = [None] * count
    for reply in replies:
        if by_index[reply.index] is not None:
            raise RuntimeError(f"engine answered request {reply.index} twice")
        by_index[reply.index] = reply
    if None in by_index:
        raise RuntimeError(f"engine left request {by_index.index(None)} unanswered")
    return [reply for reply in by_index if reply is not None]

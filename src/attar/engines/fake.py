"""An engine that needs no model: deterministic replies from the request itself, and faults on demand, by seed.

For tests and dry runs. Options: `seed`, `faults` (share of requests that fail), `cut` (share that end by length), `delay`
(seconds a reply), `replies` (texts to answer with in place of made-up words).
"""

import json
import time
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from hashlib import blake2b
from math import log
from random import Random
from typing import Annotated

from annotated_types import Ge, Le
from typing_extensions import TypedDict

from attar.chat.templates import Template
from attar.core.fingerprint import fingerprint
from attar.engines.base import Reply, Request, Spec
from attar.engines.options import check_options

_WORDS = (
    "amber",
    "basil",
    "cedar",
    "dune",
    "ember",
    "fern",
    "grove",
    "heath",
    "iris",
    "jade",
    "kelp",
    "larch",
    "moss",
    "olive",
    "pine",
)
_TEMPLATE = (
    "{% for turn in messages %}<{{ turn.role }}>{{ turn.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


class FakeOptions(TypedDict, total=False):
    """The options of a fake engine."""

    __pydantic_config__ = {"extra": "forbid"}  # type: ignore[misc] # noqa: RUF012 (pydantic declares it so)

    seed: int
    faults: Annotated[float, Ge(0), Le(1)]
    cut: Annotated[float, Ge(0), Le(1)]
    delay: Annotated[float, Ge(0)]
    replies: list[str] | tuple[str, ...]


class Fake:
    """Made-up replies, the same for the same request."""

    def __init__(self, spec: Spec) -> None:
        check_options(spec, FakeOptions)
        self.spec = spec
        self.template = Template(_TEMPLATE, {"eos_token": "<end>"}, "the fake chat template")
        self.asked = 0

    def identity(self) -> str:
        """The model's name and the options that change its words."""
        shaping = {name: value for name, value in self.spec.options.items() if name != "delay"}
        return fingerprint("fake", self.spec.model, shaping)

    def close(self) -> None:
        """Nothing to free."""

    def _dice(self, verb: str, request: Request) -> Random:
        asked = {**asdict(request), "index": 0, "verb": verb, "model": self.spec.model, "by": self.spec.options.get("seed", 0)}
        digest = blake2b(json.dumps(asked, sort_keys=True, default=dict).encode(), digest_size=8).digest()
        return Random(int.from_bytes(digest))

    def _each(self, verb: str, requests: Iterable[Request]) -> Iterator[tuple[Request, Random | None]]:
        """Every request with its random numbers, or None if it must fail."""
        for request in requests:
            self.asked += 1
            time.sleep(self.spec.options.get("delay", 0))
            dice = self._dice(verb, request)
            yield request, None if dice.random() < self.spec.options.get("faults", 0) else dice

    def generate(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """A few words, or one of `replies`."""
        for request, dice in self._each("write", requests):
            if dice is None:
                yield Reply(request.index, error="fault on demand")
                continue
            texts = self.spec.options.get("replies")
            text = dice.choice(texts) if texts else " ".join(dice.choices(_WORDS, k=dice.randint(3, 12)))
            finish = "length" if dice.random() < self.spec.options.get("cut", 0) else "stop"
            yield Reply(request.index, text, finish, tokens_in=8, tokens_out=len(text.split()))

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Random label probabilities that sum to 0.9."""
        for request, dice in self._each("weigh", requests):
            if dice is None:
                yield Reply(request.index, error="fault on demand")
                continue
            shares = [dice.random() + 0.01 for _ in request.labels]
            yield Reply(
                request.index, weights=tuple(log(0.9 * share / sum(shares)) for share in shares), tokens_in=8, tokens_out=1
            )

    def embed(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """A random unit vector of eight numbers."""
        for request, dice in self._each("embed", requests):
            if dice is None:
                yield Reply(request.index, error="fault on demand")
                continue
            numbers = [dice.gauss(0, 1) for _ in range(8)]
            size = sum(number * number for number in numbers) ** 0.5
            yield Reply(request.index, vector=array("f", (number / size for number in numbers)), tokens_in=8)

    def reward(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """A random number around zero."""
        for request, dice in self._each("reward", requests):
            if dice is None:
                yield Reply(request.index, error="fault on demand")
            else:
                yield Reply(request.index, reward=dice.gauss(0, 1), tokens_in=8)

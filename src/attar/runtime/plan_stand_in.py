"""An engine in place of a model that is not trained yet: it writes what the writer of its training rows would.

A student answers about as its teacher does, so a plan can count calls and tokens behind it, and go on to the steps that read
its answers. Tokens are counted by the base's own tokenizer and template.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from attar.engines.base import Reply, Request, Spec


class StandInEngine:
    """A writer's answers as if the student had given them."""

    def __init__(self, base: Any, writer: Any) -> None:
        self._base, self._writer, self.template = base, writer, base.template
        self.spec: Spec = base.spec
        self.asked = self.tokens_in = self.tokens_out = 0

    def generate(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """The writer's answers."""
        given = list(requests)
        by_index = {request.index: request for request in given}
        for reply in self._writer.generate(iter(given)):
            self._count(by_index[reply.index], len(self._base.tokens(reply.text or "")))
            yield replace(reply, finish="stop") if reply.text else reply

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """All labels alike."""
        for request in requests:
            self._count(request, 1)
            yield Reply(request.index, weights=(0.0,) * len(request.labels))

    def _count(self, request: Request, written: int) -> None:
        asked = request.text if request.text is not None else self.template.render(request.messages, ask=True)
        self.asked += 1
        self.tokens_in += len(self._base.tokens(asked))
        self.tokens_out += written

"""A stand-in for a model that is not trained yet: it replies as the writer of the model's training rows would.

A student's answers resemble its teacher's, so a plan can count calls and tokens of the student's steps, and estimate the steps
that read its answers. Tokens are counted with the base's tokenizer and template.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from attar.engines.base import Reply, Request, Spec


class StandInEngine:
    """Gives the writer's answers, and counts them as the student's."""

    def __init__(self, base: Any, writer: Any) -> None:
        self._base = base
        self._writer = writer
        self.template = base.template
        self.spec: Spec = base.spec
        self.asked = self.tokens_in = self.tokens_out = 0

    def generate(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """The writer's answers."""
        all_requests = list(requests)
        by_index = {request.index: request for request in all_requests}
        for reply in self._writer.generate(iter(all_requests)):
            self._count(by_index[reply.index], len(self._base.tokens(reply.text or "")))
            yield replace(reply, finish="stop") if reply.text else reply

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Equal log-probabilities for all labels."""
        for request in requests:
            self._count(request, 1)
            yield Reply(request.index, weights=(0.0,) * len(request.labels))

    def _count(self, request: Request, written: int) -> None:
        prompt = request.text if request.text is not None else self.template.render(request.messages, ask=True)
        self.asked += 1
        self.tokens_in += len(self._base.tokens(prompt))
        self.tokens_out += written

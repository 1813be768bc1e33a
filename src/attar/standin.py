"""An engine in place of a model that is not trained yet: it answers with the rows that the model will be trained on.

A student writes about as long as its teacher did to a question as long, so a plan can count calls and tokens behind it, and go
on to the steps that read its answers. Nothing of it is kept.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attar.chat import Message
from attar.engines.base import Reply, Request, Spec
from attar.table import Table

_NEAR = 5


def _length(talk: Sequence[Message] | None) -> int:
    return next((len(turn["content"]) for turn in reversed(talk or ()) if turn["role"] == "user"), 0)


class Standin:
    """Answers of others, under the tokenizer and template of the base."""

    def __init__(self, base: Any, rows: Table) -> None:
        self._base, self.template = base, base.template
        self.spec: Spec = base.spec
        taught = rows.drop_nulls("response") if "response" in rows.columns else rows.clear()
        pairs = zip(taught["messages"].to_list(), taught["response"].to_list(), strict=True) if len(taught) else ()
        self._answers = sorted((_length(talk), text) for talk, text in pairs) or [(0, "yes")]
        self.asked = self.tokens_in = self.tokens_out = 0

    def write(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """An answer for each, one after the other."""
        for request in requests:
            text = self._like(request)
            read, written = self._count(request, len(self._base.tokens(text)))
            yield Reply(request.index, text, "stop", tokens_in=read, tokens_out=written)

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """All labels alike."""
        for request in requests:
            read, written = self._count(request, 1)
            yield Reply(request.index, weights=(0.0,) * len(request.labels), tokens_in=read, tokens_out=written)

    def _like(self, request: Request) -> str:
        """The answer to a question about as long, another one of them each time."""
        near = bisect_left(self._answers, (_length(request.messages), "")) + self.asked % _NEAR - _NEAR // 2
        return self._answers[min(max(near, 0), len(self._answers) - 1)][1]

    def _count(self, request: Request, written: int) -> tuple[int, int]:
        asked = request.text if request.text is not None else self.template.render(request.messages, ask=True)
        read = len(self._base.tokens(asked))
        self.asked += 1
        self.tokens_in += read
        self.tokens_out += written
        return read, written

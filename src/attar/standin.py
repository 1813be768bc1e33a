"""An engine in place of a model that is not trained yet: it answers with the rows that the model will be trained on.

A student writes about as long as its teacher did, so a plan can count calls and tokens behind it, and go on to the steps that
read its answers. Nothing of it is kept.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attar.engines.base import Reply, Request, Spec
from attar.table import Table


class Standin:
    """Answers of others, under the tokenizer and template of the base."""

    def __init__(self, base: Any, rows: Table) -> None:
        self._base, self.template = base, base.template
        self.spec: Spec = base.spec
        answers = rows.drop_nulls("response") if "response" in rows.columns else rows.clear()
        self._answers: Sequence[str] = answers["response"].to_list() if len(answers) else ["yes"]
        self.asked = self.tokens_in = self.tokens_out = 0

    def write(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """An answer for each, one after the other."""
        for request in requests:
            text = self._answers[self.asked % len(self._answers)]
            read, written = self._count(request, len(self._base.tokens(text)))
            yield Reply(request.index, text, "stop", tokens_in=read, tokens_out=written)

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """All labels alike."""
        for request in requests:
            read, written = self._count(request, 1)
            yield Reply(request.index, weights=(0.0,) * len(request.labels), tokens_in=read, tokens_out=written)

    def _count(self, request: Request, written: int) -> tuple[int, int]:
        asked = request.text if request.text is not None else self.template.render(request.messages, ask=True)
        read = len(self._base.tokens(asked))
        self.asked += 1
        self.tokens_in += read
        self.tokens_out += written
        return read, written

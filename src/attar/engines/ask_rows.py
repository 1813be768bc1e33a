"""One request per row, for stages: the text or the label log-probabilities of each row, or the reason why it has none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from attar.chat.templates import Message
from attar.core.reasons import CUT_OFF
from attar.core.replies import Weights
from attar.engines.base import Generator, Grader, Reply, Request, in_order


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """A row's text, or the reason why it has none; and the reply, if a request was sent."""

    text: str | None
    error: str | None
    reply: Reply | None = None


def generate_answers(
    engine: Generator, requests: Sequence[Request | None], *, whole: bool = True, absent: str = "no prompt"
) -> list[RowAnswer]:
    """An answer for each request, in order; None sends nothing. Truncated text counts as an error if `whole`."""
    sent = [(place, request) for place, request in enumerate(requests) if request is not None]
    replies = in_order(engine.generate(replace(request, index=i) for i, (_, request) in enumerate(sent)), len(sent))
    answers = [RowAnswer(None, absent)] * len(requests)
    for (place, _), reply in zip(sent, replies, strict=True):
        answers[place] = _to_answer(reply, whole)
    return answers


def _to_answer(reply: Reply, whole: bool) -> RowAnswer:
    """The answer in a reply; an empty text is an error, even after a reasoning text."""
    text = (reply.text or "").strip()
    error = reply.error or (CUT_OFF if whole and reply.finish == "length" else None) or (None if text else "empty answer")
    return RowAnswer(None if error else text, error, reply)


def weigh_rows(engine: Grader, talks: Sequence[tuple[Message, ...] | None], labels: tuple[str, ...]) -> list[Weights]:
    """For each conversation, the labels' log-probabilities as its answer."""
    sent = [(place, talk) for place, talk in enumerate(talks) if talk is not None]
    requests = (Request(i, messages=talk, labels=labels) for i, (_, talk) in enumerate(sent))
    weights: list[Weights] = ["nothing to judge"] * len(talks)
    for (place, _), reply in zip(sent, in_order(engine.weigh(requests), len(sent)), strict=True):
        weights[place] = reply.weights if reply.weights is not None and reply.error is None else reply.error or "no weights"
    return weights

"""What stages do again and again: ask a writer, or a grader, one thing a row, and take what it says, or the reason why not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from attar.chat.templates import Message
from attar.core.replies import Weights
from attar.engines.base import Generator, Grader, Reply, Request, in_order


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """A row's text, or why it has none; and the reply behind it, where something was asked."""

    text: str | None
    error: str | None
    reply: Reply | None = None


def generate_answers(
    engine: Generator, asks: Sequence[Request | None], *, whole: bool = True, absent: str = "no prompt"
) -> list[RowAnswer]:
    """An answer for each ask, in order; a None asks nothing. Text that was cut off is none, unless `whole` is off."""
    able = [(place, ask) for place, ask in enumerate(asks) if ask is not None]
    replies = in_order(engine.generate(replace(ask, index=i) for i, (_, ask) in enumerate(able)), len(able))
    found = [RowAnswer(None, absent)] * len(asks)
    for (place, _), reply in zip(able, replies, strict=True):
        found[place] = _to_answer(reply, whole)
    return found


def _to_answer(reply: Reply, whole: bool) -> RowAnswer:
    """An empty answer is none, whatever the model thought before it."""
    text = (reply.text or "").strip()
    error = reply.error or ("cut off" if whole and reply.finish == "length" else None) or (None if text else "empty answer")
    return RowAnswer(None if error else text, error, reply)


def weigh_rows(engine: Grader, talks: Sequence[tuple[Message, ...] | None], labels: tuple[str, ...]) -> list[Weights]:
    """Of each conversation the labels' log-probabilities as its answer."""
    able = [(place, talk) for place, talk in enumerate(talks) if talk is not None]
    requests = (Request(i, messages=talk, labels=labels) for i, (_, talk) in enumerate(able))
    found: list[Weights] = ["nothing to judge"] * len(talks)
    for (place, _), reply in zip(able, in_order(engine.weigh(requests), len(able)), strict=True):
        found[place] = reply.weights if reply.weights is not None and reply.error is None else reply.error or "no weights"
    return found

"""Sample the first token of a text differently: at a higher temperature and without forbidden tokens; then continue from it.

A forbidden token is sampled again (rejection sampling), which equals sampling from the other tokens. Any engine can do this:
the first token is a text of one token, sampled at `flatten` times the temperature.
"""

from collections.abc import Sequence
from dataclasses import replace

from attar.core.fingerprint import seed_of
from attar.engines.ask_rows import RowAnswer, generate_answers
from attar.engines.base import Generator, Request, Sampling

_REDRAWS = 16


def generate(engine: Generator, asks: Sequence[Request], flatten: float, ban: Sequence[str]) -> list[RowAnswer]:
    """Generate whole texts, each from its own first token."""
    firsts = _draw_first_tokens(engine, asks, flatten, frozenset(ban))
    rest = generate_answers(engine, [_rest_request(ask, first) for ask, first in zip(asks, firsts, strict=True)], absent="")
    return [_join(first, answer) for first, answer in zip(firsts, rest, strict=True)]


def _join(first: RowAnswer, rest: RowAnswer) -> RowAnswer:
    if first.error or not first.text or rest.reply is None:
        return first
    if rest.error:
        return rest
    reply = replace(rest.reply, text=first.text + (rest.reply.text or ""), tokens_out=rest.reply.tokens_out + 1)
    return RowAnswer((reply.text or "").strip(), None, reply)


def _draw_first_tokens(engine: Generator, asks: Sequence[Request], flatten: float, ban: frozenset[str]) -> list[RowAnswer]:
    answers: list[RowAnswer] = [RowAnswer(None, "begins with a forbidden token")] * len(asks)
    todo = list(range(len(asks)))
    for attempt in range(_REDRAWS):
        drawn = generate_answers(engine, [_first_token_request(asks[i], flatten, attempt) for i in todo], whole=False)
        again = []
        for i, answer in zip(todo, drawn, strict=True):
            text = (answer.reply.text if answer.reply else None) or ""
            if answer.error is None and text.strip() in ban:
                again.append(i)
            else:
                answers[i] = replace(answer, text=text)
        todo = again
    return answers


def _first_token_request(ask: Request, flatten: float, attempt: int) -> Request:
    drawn = ask.sampling or Sampling()
    one = replace(drawn, temperature=drawn.temperature * flatten, max_tokens=1)
    return replace(ask, sampling=one, seed=seed_of("synth.first", ask.seed, str(attempt)))


def _rest_request(ask: Request, first: RowAnswer) -> Request | None:
    """The request for the rest of a text; None if the first token ended it or failed."""
    drawn = ask.sampling or Sampling()
    if first.error or not first.text or drawn.max_tokens == 1:
        return None
    return replace(ask, text=(ask.text or "") + first.text, sampling=replace(drawn, max_tokens=drawn.max_tokens - 1))

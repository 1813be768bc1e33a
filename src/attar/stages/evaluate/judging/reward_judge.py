"""A reward model in a judge's place: the more an answer is rewarded over the other, the surer its win (Bradley and Terry)."""

from collections.abc import Sequence
from math import exp, isfinite

import polars as pl

from attar.chat.templates import Message
from attar.core.fingerprint import fingerprint
from attar.core.stage import role, rowwise
from attar.core.table import Table, need, put
from attar.engines.base import Request, Rewarder, in_order
from attar.stages.evaluate.judging.provenance import add_provenance

ASKED = fingerprint("reward")
"""A reward model is asked nothing in words: all conversations are put to it alike."""


@role("exam")
@rowwise
def prefer(battles: Table, *, engine: Rewarder, date: str | None = None) -> Table:
    """messages, response, against -> reward, against_reward, preference (by their difference) and its error, and who judged."""
    need(battles, "messages", "response", "against")
    asked = battles["messages"].to_list()
    texts = battles["response"].to_list(), battles["against"].to_list()
    found = _rewards(engine, [_with_response(talk, text) for side in texts for talk, text in zip(asked, side, strict=True)])
    sides = found[: len(battles)], found[len(battles) :]
    chances, errors = [], []
    for (own, why), (other, why_not) in zip(*sides, strict=True):
        chances.append(None if own is None or other is None else _sigmoid(own - other))
        errors.append(why or why_not)
    out = put(battles, "preference", chances, errors, pl.Float64)
    for name, side in zip(("reward", "against_reward"), sides, strict=True):
        out = out.with_columns(pl.Series(name, [value for value, _ in side], dtype=pl.Float64))
    return add_provenance(out, engine.spec, asked=ASKED, date=date)


@role("exam")
@rowwise
def score(table: Table, *, engine: Rewarder, date: str | None = None) -> Table:
    """messages, response -> score (the reward), score_error, and who judged."""
    need(table, "messages", "response")
    talks = [_with_response(talk, text) for talk, text in table.select("messages", "response").iter_rows()]
    found = _rewards(engine, talks)
    out = put(table, "score", [value for value, _ in found], [why for _, why in found], pl.Float64)
    return add_provenance(out, engine.spec, asked=ASKED, date=date)


def _with_response(talk: Sequence[Message] | None, text: str | None) -> tuple[Message, ...] | None:
    """A conversation that ends with this answer, in place of the one that it had."""
    if not talk or text is None:
        return None
    before = talk[:-1] if talk[-1]["role"] == "assistant" else talk
    return (*before, {"role": "assistant", "content": text})


def _rewards(engine: Rewarder, talks: Sequence[tuple[Message, ...] | None]) -> list[tuple[float | None, str | None]]:
    """Each conversation's reward, or why it has none."""
    able = [(place, talk) for place, talk in enumerate(talks) if talk is not None]
    replies = in_order(engine.reward(Request(i, messages=talk) for i, (_, talk) in enumerate(able)), len(able))
    found: list[tuple[float | None, str | None]] = [(None, "nothing to judge")] * len(talks)
    for (place, _), reply in zip(able, replies, strict=True):
        sound = reply.reward is not None and reply.error is None and isfinite(reply.reward)
        found[place] = (reply.reward, None) if sound else (None, reply.error or "the reward is not a number")
    return found


def _sigmoid(lead: float) -> float:
    return 1 / (1 + exp(-lead)) if lead > -700 else 0.0

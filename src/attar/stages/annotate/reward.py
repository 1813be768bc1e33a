"""Score each answered conversation with a reward model: one real number, higher is better."""

from collections.abc import Sequence
from math import isfinite

import polars as pl

from attar.core.stage import role, rowwise
from attar.core.table import Table, need, put
from attar.engines.base import Reply, Request, Rewarder, in_order


@role("scores")
@rowwise
def score(table: Table, *, engine: Rewarder, into: str = "reward", response: str = "response") -> Table:
    """messages, {response} -> {into}, {into}_error; another column than `response` replaces the conversation's own answer."""
    need(table, "messages", response)
    talks = [list(talk or ()) for talk in table["messages"].to_list()]
    if response != "response":
        talks = [_replace_answer(talk, text) for talk, text in zip(talks, table[response], strict=True)]
    able = [i for i, text in enumerate(table[response]) if text is not None]
    requests = (Request(place, messages=tuple(talks[i])) for place, i in enumerate(able))
    replies = dict(zip(able, in_order(engine.reward(requests), len(able)), strict=True))
    results = [_reward_or_error(replies.get(i), response) for i in range(len(table))]
    return put(table, into, [value for value, _ in results], [error for _, error in results], dtype=pl.Float64)


def _replace_answer(talk: Sequence[dict[str, str]], text: str | None) -> list[dict[str, str]]:
    before = talk[:-1] if talk and talk[-1]["role"] == "assistant" else talk
    return [*before, {"role": "assistant", "content": text or ""}]


def _reward_or_error(reply: Reply | None, response: str) -> tuple[float | None, str | None]:
    if reply is None:
        return None, f"no {response.replace('_', ' ')}"
    if reply.error or reply.reward is None or not isfinite(reply.reward):
        return None, reply.error or "the reward is not a number"
    return reply.reward, None

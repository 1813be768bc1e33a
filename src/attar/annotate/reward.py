"""Score each answered conversation with a reward model: one real number, higher is better."""

from math import isfinite

import polars as pl

from attar.engines.base import Request, Rewarder, in_order
from attar.stage import rowwise
from attar.table import Table, need, put


@rowwise
def score(table: Table, *, engine: Rewarder, into: str = "reward") -> Table:
    """messages, response -> {into}, {into}_error."""
    need(table, "messages", "response")
    able = [i for i, response in enumerate(table["response"]) if response is not None]
    talks = table["messages"].to_list()
    requests = (Request(place, messages=tuple(talks[i])) for place, i in enumerate(able))
    replies = dict(zip(able, in_order(engine.reward(requests), len(able)), strict=True))
    found = [replies.get(i) for i in range(len(table))]
    sound = [reply is not None and reply.reward is not None and isfinite(reply.reward) for reply in found]
    values = [reply.reward if reply and good else None for reply, good in zip(found, sound, strict=True)]
    errors = [
        "no response" if reply is None else reply.error or (None if good else "the reward is not a number")
        for reply, good in zip(found, sound, strict=True)
    ]
    return put(table, into, values, errors, dtype=pl.Float64)

"""Score each answered conversation with a reward model: one real number, higher is better."""

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
    values = [reply.reward if reply else None for reply in found]
    errors = [reply.error if reply else "no response" for reply in found]
    return put(table, into, values, errors, dtype=pl.Float64)

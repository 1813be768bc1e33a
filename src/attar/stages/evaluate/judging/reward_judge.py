"""A reward model as a judge: by Bradley-Terry, P(response wins) = sigmoid(reward(response) - reward(against))."""

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
"""A reward model has no judge prompt, so this hash is the same for all of them."""


@role("exam")
@rowwise
def prefer(battles: Table, *, engine: Rewarder, date: str | None = None) -> Table:
    """messages, response, against -> reward, against_reward, preference, preference_error, and who judged."""
    need(battles, "messages", "response", "against")
    prompts = battles["messages"].to_list()
    texts = battles["response"].to_list(), battles["against"].to_list()
    conversations = [_with_response(prompt, text) for side in texts for prompt, text in zip(prompts, side, strict=True)]
    rewards = _rewards(engine, conversations)
    sides = rewards[: len(battles)], rewards[len(battles) :]
    preferences, errors = [], []
    for (reward, error), (other_reward, other_error) in zip(*sides, strict=True):
        preferences.append(None if reward is None or other_reward is None else _sigmoid(reward - other_reward))
        errors.append(error or other_error)
    out = put(battles, "preference", preferences, errors, pl.Float64)
    for name, side in zip(("reward", "against_reward"), sides, strict=True):
        out = out.with_columns(pl.Series(name, [value for value, _ in side], dtype=pl.Float64))
    return add_provenance(out, engine.spec, asked=ASKED, date=date)


@role("exam")
@rowwise
def score(table: Table, *, engine: Rewarder, date: str | None = None) -> Table:
    """messages, response -> score (the reward), score_error, and who judged."""
    need(table, "messages", "response")
    conversations = [_with_response(prompt, text) for prompt, text in table.select("messages", "response").iter_rows()]
    rewards = _rewards(engine, conversations)
    out = put(table, "score", [reward for reward, _ in rewards], [error for _, error in rewards], pl.Float64)
    return add_provenance(out, engine.spec, asked=ASKED, date=date)


def _with_response(messages: Sequence[Message] | None, text: str | None) -> tuple[Message, ...] | None:
    """The conversation with this response as its last turn, replacing the one that it had."""
    if not messages or text is None:
        return None
    before = messages[:-1] if messages[-1]["role"] == "assistant" else messages
    return (*before, {"role": "assistant", "content": text})


def _rewards(engine: Rewarder, conversations: Sequence[tuple[Message, ...] | None]) -> list[tuple[float | None, str | None]]:
    """Each conversation's reward, or the error instead."""
    present = [(i, messages) for i, messages in enumerate(conversations) if messages is not None]
    requests = (Request(i, messages=messages) for i, (_, messages) in enumerate(present))
    replies = in_order(engine.reward(requests), len(present))
    rewards: list[tuple[float | None, str | None]] = [(None, "nothing to judge")] * len(conversations)
    for (i, _), reply in zip(present, replies, strict=True):
        is_valid = reply.reward is not None and reply.error is None and isfinite(reply.reward)
        rewards[i] = (reply.reward, None) if is_valid else (None, reply.error or "the reward is not a number")
    return rewards


def _sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x)) if x > -700 else 0.0  # exp overflows above 709

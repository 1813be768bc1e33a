"""Answer a conversation through the model's chat template, once or several times."""

import polars as pl

from attar.engines.base import Request, Sampling, Writer, in_order
from attar.identity import seed_of
from attar.stage import rowwise
from attar.table import COLUMNS, Table, need, put


@rowwise
def sample(  # noqa: PLR0913 (sampling is four knobs)
    table: Table,
    *,
    engine: Writer,
    n: int = 1,
    temperature: float = 0.0,
    top_p: float = 1.0,
    max_tokens: int = 4096,
    whole: bool = True,
    seed: int = 0,
) -> Table:
    """messages -> response, response_error, response_tokens, reasoning, messages; with n > 1 each row n times, and `parent`.

    An answer cut off at `max_tokens` is no answer, unless `whole` is off (as for an exam, where it is merely a wrong one).
    """
    need(table, "id", "messages")
    drawn = Sampling(temperature, top_p, max_tokens)
    if n > 1:
        table = _repeat(table, n)
    asked = [tuple(conversation or ()) for conversation in table["messages"].to_list()]
    able = [i for i, conversation in enumerate(asked) if conversation]
    requests = (
        Request(place, messages=asked[i], sampling=drawn, seed=seed_of("respond.sample", seed, table["id"][i]))
        for place, i in enumerate(able)
    )
    replies = dict(zip(able, in_order(engine.write(requests), len(able)), strict=True))
    texts, errors = [], []
    for i in range(len(table)):
        reply = replies.get(i)
        error = "no prompt" if reply is None else reply.error or ("cut off" if whole and reply.finish == "length" else None)
        errors.append(error)
        texts.append(None if error or reply is None else (reply.text or "").strip())
    out = put(table, "response", texts, errors)
    told = [
        [*conversation, {"role": "assistant", "content": text}] if text is not None else list(conversation)
        for conversation, text in zip(asked, texts, strict=True)
    ]
    tokens = [reply.tokens_out if (reply := replies.get(i)) else None for i in range(len(table))]
    thoughts = [reply.reasoning if (reply := replies.get(i)) else None for i in range(len(table))]
    return out.with_columns(
        pl.Series("messages", told, dtype=COLUMNS["messages"]),
        pl.Series("response_tokens", tokens, dtype=pl.Int64),
        pl.Series("reasoning", thoughts, dtype=pl.String),
    )


def _repeat(table: Table, n: int) -> Table:
    """Every row n times, under ids of their own."""
    numbers = pl.Series([list(range(n))] * len(table), dtype=pl.List(pl.Int64))
    many = table.with_columns(pl.col("id").alias("parent"), numbers.alias("_number")).explode("_number")
    return many.with_columns(pl.format("{}.{}", "id", "_number").alias("id")).drop("_number")

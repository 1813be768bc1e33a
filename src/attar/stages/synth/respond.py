"""Answer a conversation through the model's chat template, once or several times."""

import polars as pl

from attar.core.fingerprint import seed_of
from attar.core.stage import role, rowwise
from attar.core.table import COLUMNS, Table, need, put
from attar.engines.ask_rows import RowAnswer, generate_answers
from attar.engines.base import Generator, Request, Sampling


@role("answers")
@rowwise
def sample(  # noqa: PLR0913 (sampling is four knobs)
    table: Table,
    *,
    engine: Generator,
    n: int = 1,
    start: int = 0,
    temperature: float = 0.0,
    top_p: float = 1.0,
    max_tokens: int = 4096,
    whole: bool = True,
    keep_reasoning: bool = True,
    seed: int = 0,
) -> Table:
    """messages -> response, response_error, response_tokens, reasoning, writer, messages; n > 1: each row n times, `parent`.

    An answer truncated at `max_tokens` fails, unless `whole` is off (as for an exam, where it is just wrong). Several writers
    can share a prompt's answers by numbering them: the second writer's `start` is the first writer's `n`. A thought is no
    part of the answer; it is in `reasoning`, unless `keep_reasoning` is off.
    """
    need(table, "id", "messages")
    drawn = Sampling(temperature, top_p, max_tokens)
    if n > 1 or start:
        table = _repeat(table, start, n)
    talks = [list(talk or ()) for talk in table["messages"].to_list()]
    asks = [
        Request(0, messages=tuple(talk), sampling=drawn, seed=seed_of("respond.sample", seed, name)) if talk else None
        for name, talk in zip(table["id"], talks, strict=True)
    ]
    found = generate_answers(engine, asks, whole=whole)
    out = put(table, "response", (answer.text for answer in found), (answer.error for answer in found))
    conversations = [
        [*talk, {"role": "assistant", "content": answer.text}] if answer.text is not None else talk
        for talk, answer in zip(talks, found, strict=True)
    ]
    return out.with_columns(
        pl.Series("messages", conversations, dtype=COLUMNS["messages"]),
        pl.Series("response_tokens", [answer.reply.tokens_out if answer.reply else None for answer in found], dtype=pl.Int64),
        pl.Series("reasoning", [_reasoning(answer) if keep_reasoning else None for answer in found], dtype=pl.String),
        pl.lit(engine.spec.name).alias("writer"),
    )


def _reasoning(answer: RowAnswer) -> str | None:
    return answer.reply.reasoning if answer.reply else None


def _repeat(table: Table, start: int, n: int) -> Table:
    """Repeat every row n times, with new ids."""
    numbers = pl.Series([list(range(start, start + n))] * len(table), dtype=pl.List(pl.Int64))
    many = table.with_columns(pl.col("id").alias("parent"), numbers.alias("_number")).explode("_number")
    return many.with_columns(pl.format("{}.{}", "id", "_number").alias("id")).drop("_number")

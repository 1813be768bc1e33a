"""Continue a conversation: the model generates the user's next turn from its chat template's prefix for that turn."""

import polars as pl

from attar.chat.templates import next_turn_prefix
from attar.core.fingerprint import seed_of
from attar.core.stage import role, rowwise
from attar.core.table import COLUMNS, Table, need, put
from attar.engines.ask_rows import generate_answers
from attar.engines.base import Generator, Request, Sampling
from attar.stages.synth.cleanup import repair

FOLLOW_UP = (
    "You talk with a person who stays with a subject: after each of your answers they ask something further about it, "
    "go into a detail, doubt a point, or want the result changed."
)


_OF_ANSWER = ("response", "reward", "reasoning", "writer", "base_re")


@role("samples")
@rowwise
def extend(  # noqa: PLR0913 (sampling is three knobs)
    table: Table,
    *,
    engine: Generator,
    system: str | None = FOLLOW_UP,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int = 1024,
    seed: int = 0,
) -> Table:
    """messages -> prompt, prompt_error, messages with that user turn; the system turn steers generation and is not kept."""
    need(table, "id", "messages")
    talks = [list(talk or ()) for talk in table["messages"].to_list()]
    opening = [{"role": "system", "content": system}] if system else []
    asks: list[Request | None] = []
    for name, talk in zip(table["id"], talks, strict=True):
        if not talk or talk[-1]["role"] != "assistant":
            asks.append(None)
            continue
        before = next_turn_prefix(engine.template, [*opening, *talk])
        drawn = Sampling(temperature, top_p, max_tokens, before.stops)
        asks.append(Request(0, text=before.text, sampling=drawn, seed=seed_of("turns.extend", seed, f"{name}/{len(talk)}")))
    found = generate_answers(engine, asks, absent="no answer to go on from")
    marks = [ask.sampling.stop if ask and ask.sampling else () for ask in asks]
    texts = [repair(answer.text or "", mark) for answer, mark in zip(found, marks, strict=True)]
    errors = [answer.error or (None if text else "empty answer") for answer, text in zip(found, texts, strict=True)]
    out = put(table, "prompt", (None if error else text for text, error in zip(texts, errors, strict=True)), errors)
    conversations = [
        [] if error else [*talk, {"role": "user", "content": text}]
        for talk, text, error in zip(talks, texts, errors, strict=True)
    ]
    return out.with_columns(pl.Series("messages", conversations, dtype=COLUMNS["messages"]))


@rowwise
def reopen(table: Table) -> Table:
    """messages -> messages up to the last user turn, for a new answer; drops the columns of the old answer."""
    need(table, "id", "messages")
    talks = [list(talk or ()) for talk in table["messages"].to_list()]
    asked = [talk[:-1] if talk and talk[-1]["role"] == "assistant" else talk for talk in talks]
    dropped = [name for name in table.columns if name.startswith(_OF_ANSWER)]
    return table.drop(dropped).with_columns(pl.Series("messages", asked, dtype=COLUMNS["messages"]))

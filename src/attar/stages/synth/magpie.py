"""Prompt an aligned model with nothing: it is given its own template up to the user's text, and writes what a user would.

What is drawn can be steered by a system turn: words of one's own, or a domain, language or topic put into ours, or a persona.
The first token, which decides most, can be drawn flatter than the rest, and some may be forbidden.
"""

from collections.abc import Sequence
from typing import Annotated

import polars as pl
from annotated_types import Ge, Gt, Le
from typing_extensions import TypedDict  # pydantic takes typing's own only from Python 3.12 on

from attar.chat.templates import Prefix, prefix
from attar.core.errors import RecipeError
from attar.core.fingerprint import seed_of
from attar.core.stage import role, rowwise
from attar.core.table import COLUMNS, ORIGIN, Table, need, origin, put, turns
from attar.engines.ask_rows import RowAnswer, generate_answers
from attar.engines.base import Generator, Request, Sampling
from attar.stages.synth import first_token
from attar.stages.synth.cleanup import repair


class Draw(TypedDict, total=False):
    """One way to draw: its temperature, top_p, system turn (or what to steer it to), and share of all draws."""

    __pydantic_config__ = {"extra": "forbid"}  # type: ignore[misc] # noqa: RUF012 (so a misspelt key in a run file is an error)
    temperature: Annotated[float, Ge(0)]
    top_p: Annotated[float, Gt(0), Le(1)]
    system: str
    domain: str
    topic: str
    language: str
    share: float


_STEER = {
    "domain": "Everyone who writes to you works on problems of {}, and asks for help with one of them.",
    "topic": "Today's conversations are about {}.",
    "language": "People write to you in {}, and you answer in it.",
    "persona": "The person who now writes to you: {} They ask for what they need in their own work or life.",
}


def system_turn(way: Draw | dict[str, str]) -> str | None:
    """The system turn of a way to draw: its own, or one that leads to its domain, topic, language or persona."""
    if system := way.get("system"):
        return str(system)
    parts = [text.format(way[what]) for what, text in _STEER.items() if way.get(what)]
    return " ".join(["You help whoever asks.", *parts]) if parts else None


def draws(*, count: int, mix: Sequence[Draw] = ({},), seed: int = 0) -> Table:
    """() -> id, temperature, top_p, system: how each of `count` instructions is to be drawn, the mix by its shares."""
    shares = [way.get("share", 1.0) for way in mix]
    if count < 0 or not shares or min(shares) < 0 or sum(shares) <= 0:
        raise RecipeError(f"count and shares must be >= 0 and the shares' sum > 0, got count {count} and shares {shares}")
    ends = [round(count * sum(shares[: i + 1]) / sum(shares)) for i in range(len(mix))]
    chosen = [way for way, start, end in zip(mix, [0, *ends], ends, strict=False) for _ in range(end - start)]
    return pl.DataFrame(
        {
            "id": [f"m{seed}-{i:07d}" for i in range(count)],
            "temperature": [float(way.get("temperature", 1.0)) for way in chosen],
            "top_p": [float(way.get("top_p", 1.0)) for way in chosen],
            "system": pl.Series([system_turn(way) for way in chosen], dtype=pl.String),
        }
    )


@rowwise
def draws_for(table: Table, *, temperature: float = 1.0, top_p: float = 1.0) -> Table:
    """persona -> temperature, top_p, system: one draw for each persona, steered to what that person would ask."""
    need(table, "persona")
    systems = [system_turn({"persona": persona}) if persona else None for persona in table["persona"]]
    return table.with_columns(
        pl.lit(temperature).alias("temperature"), pl.lit(top_p).alias("top_p"), pl.Series("system", systems, dtype=pl.String)
    )


@role("samples")
@rowwise
def ask(
    table: Table,
    *,
    engine: Generator,
    max_tokens: int = 1024,
    flatten: float = 1.0,
    ban: Sequence[str] = (),
    seed: int = 0,
) -> Table:
    """temperature, top_p, system -> prompt, prompt_error, prompt_tokens, messages, origin.

    `flatten` divides the logits of the first token, `ban` names texts that the first token may not be (`["#", "##"]`).
    """
    prefixes: dict[str | None, Prefix] = {
        system: prefix(engine.template, system) for system in table["system"].unique().to_list()
    }
    asks = [
        Request(
            i,
            text=prefixes[row["system"]].text,
            sampling=Sampling(row["temperature"], row["top_p"], max_tokens, prefixes[row["system"]].stops),
            seed=seed_of("magpie.ask", seed, row["id"]),
        )
        for i, row in enumerate(table.iter_rows(named=True))
    ]
    found = first_token.generate(engine, asks, flatten, ban) if flatten != 1 or ban else generate_answers(engine, asks)
    return _prompt_columns(table, found, [prefixes[system].stops for system in table["system"]], engine.spec.name, seed)


def _prompt_columns(table: Table, found: Sequence[RowAnswer], marks: Sequence[Sequence[str]], model: str, seed: int) -> Table:
    texts = [repair(answer.text or "", mark) for answer, mark in zip(found, marks, strict=True)]
    errors = [answer.error or (None if text else "empty answer") for answer, text in zip(found, texts, strict=True)]
    asked = put(table, "prompt", (None if error else text for text, error in zip(texts, errors, strict=True)), errors)
    counts = [answer.reply.tokens_out if answer.reply else None for answer in found]
    conversations = [turns(("user", prompt)) for prompt in asked["prompt"]]
    origins = [origin("synth.magpie.ask", model, seed)] * len(table)
    return asked.with_columns(
        pl.Series("prompt_tokens", counts, dtype=pl.Int64),
        pl.Series("messages", conversations, dtype=COLUMNS["messages"]),
        pl.Series("origin", origins, dtype=ORIGIN),
    )

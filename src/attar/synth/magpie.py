"""Prompt an aligned model with nothing: it is given its own template up to the user's text, and writes what a user would."""

from collections.abc import Sequence
from typing import Annotated

import polars as pl
from annotated_types import Ge, Gt, Le
from typing_extensions import TypedDict  # pydantic takes typing's own only from Python 3.12 on

from attar.chat import Prefix, prefix
from attar.engines.base import Request, Sampling, Writer, in_order
from attar.errors import RecipeError
from attar.identity import seed_of
from attar.stage import rowwise
from attar.table import COLUMNS, ORIGIN, Table, origin, put, turns


class Draw(TypedDict, total=False):
    """One way to draw: its temperature, top_p, system turn, and share of all draws."""

    __pydantic_config__ = {"extra": "forbid"}  # type: ignore[misc] # noqa: RUF012 (so a misspelt key in a run file is an error)
    temperature: Annotated[float, Ge(0)]
    top_p: Annotated[float, Gt(0), Le(1)]
    system: str
    share: float


def draws(*, count: int, mix: Sequence[Draw] = ({},), seed: int = 0) -> Table:
    """() -> id, temperature, top_p, system: how each of `count` instructions is to be drawn, the mix by its shares."""
    shares = [way.get("share", 1.0) for way in mix]
    if count < 0 or not shares or min(shares) < 0 or sum(shares) <= 0:
        raise RecipeError(f"cannot share {count} draws out by the shares {shares}: a count and shares above nought are needed")
    ends = [round(count * sum(shares[: i + 1]) / sum(shares)) for i in range(len(mix))]
    chosen = [way for way, start, end in zip(mix, [0, *ends], ends, strict=False) for _ in range(end - start)]
    return pl.DataFrame(
        {
            "id": [f"m{seed}-{i:07d}" for i in range(count)],
            "temperature": [float(way.get("temperature", 1.0)) for way in chosen],
            "top_p": [float(way.get("top_p", 1.0)) for way in chosen],
            "system": pl.Series([way.get("system") for way in chosen], dtype=pl.String),
        }
    )


@rowwise
def ask(table: Table, *, engine: Writer, max_tokens: int = 1024, seed: int = 0) -> Table:
    """temperature, top_p, system -> prompt, prompt_error, messages, origin."""
    prefixes: dict[str | None, Prefix] = {
        system: prefix(engine.template, system) for system in table["system"].unique().to_list()
    }
    requests = (
        Request(
            i,
            text=prefixes[row["system"]].text,
            sampling=Sampling(row["temperature"], row["top_p"], max_tokens, prefixes[row["system"]].stops),
            seed=seed_of("magpie.ask", seed, row["id"]),
        )
        for i, row in enumerate(table.iter_rows(named=True))
    )
    replies = in_order(engine.write(requests), len(table))
    texts = [(reply.text or "").strip() for reply in replies]
    errors = [
        reply.error or ("cut off" if reply.finish == "length" else None if text else "nothing written")
        for reply, text in zip(replies, texts, strict=True)
    ]
    asked = put(table, "prompt", (None if error else text for text, error in zip(texts, errors, strict=True)), errors)
    conversations = [turns(("user", prompt)) for prompt in asked["prompt"]]
    origins = [origin("synth.magpie.ask", engine.spec.model, seed)] * len(table)
    return asked.with_columns(
        pl.Series("messages", conversations, dtype=COLUMNS["messages"]), pl.Series("origin", origins, dtype=ORIGIN)
    )

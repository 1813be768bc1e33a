"""Have a base model write new prompts: it is shown a sheet of a few that people wrote, and goes on with the next.

The plan lists the prompts that each sheet shows; it depends only on seeds and numbers. A reply gives one prompt, or a named
refusal: truncated, more than one, contains an answer, copies a shown prompt. Duplicates are dropped by `select.dedup_against`.
"""

import re
from collections.abc import Sequence
from random import Random
from typing import Any, Literal

import polars as pl

from attar.core.errors import DataError, RecipeError
from attar.core.fingerprint import seed_of
from attar.core.stage import reads, role, rowwise
from attar.core.table import COLUMNS, ORIGIN, Table, need, origin, put, turns
from attar.core.text import normalise
from attar.engines.ask_rows import generate_answers
from attar.engines.base import Generator, Request, Sampling
from attar.stages.synth.cleanup import repair

Form = Literal["plain", "pocket"]
HEADING = (
    "Below are messages that different people sent to an AI assistant: questions, tasks, requests. "
    "Each is complete in itself, and no two are about the same thing."
)
_FRAME = ("below are messages that different people sent", "each is complete in itself, and no two are")  # of it
_PLAN: dict[str, Any] = {"id": pl.String, "shots": pl.List(pl.String), "opening": pl.String, "stops": pl.List(pl.String)}
_POCKET_STOPS = ["\n", "<|endoftext|>"]  # its texts end with the latter, which a chat model's end of turn is not
_WHO = "(?:answer|response|reply|assistant)"
_ANSWER = re.compile(
    rf"^(?:[#*> -]*{_WHO}[* ]*:|#+ *{_WHO} *\n|q *:.*^a *:)[\W_]*[^\W_]", re.IGNORECASE | re.MULTILINE | re.DOTALL
)
_MARK = re.compile(r"^={3,} [^=\n]+ ={3,}$", re.MULTILINE)
_END = re.compile(r"\W*(?:the )?end(?: of (?:the )?(?:list|sheet|page|file|document|messages))?\W*", re.IGNORECASE)


@reads("prompt")
def draws(
    seeds: Table, *, count: int, shots: tuple[int, int] = (3, 5), form: Form = "plain", start: int = 0, seed: int = 0
) -> Table:
    """prompt -> id, shots, opening, stops: of each of `count` new prompts the rows that are shown for it, and the sheet.

    From `shots[0]` to `shots[1]` prompts that differ, each as likely. `start` numbers a later batch, whose sheets are others.
    """
    need(seeds, "id", "prompt")
    least, most = shots
    if count < 0 or start < 0 or not 1 <= least <= most:
        raise RecipeError(
            f"{count} draws from number {start} with {least} to {most} prompts shown: all are counts, and one is shown at least"
        )
    known = _distinct_seeds(seeds, form)
    if len(known) < most:
        raise DataError(
            f"a sheet shows up to {most} different prompts, and the seeds have {len(known)}: give more, or lower `shots`"
        )
    rows = []
    for number in range(start, start + count):
        name = f"f{seed}-{number:07d}"
        dice = Random(seed_of("fewshot.draws", seed, name))
        drawn = dice.sample(known, dice.randint(least, most))
        rows.append((name, [row for row, _ in drawn], *sheet([text for _, text in drawn], form)))
    return pl.DataFrame(rows, schema=_PLAN, orient="row")


def _distinct_seeds(seeds: Table, form: Form) -> list[tuple[str, str]]:
    """Id and text of the first seed of each text, by id: the sample does not depend on the order of rows."""
    known: dict[str, tuple[str, str]] = {}
    for name, prompt in seeds.select("id", "prompt").sort("id").iter_rows():
        if text := repair(prompt or ""):
            if form == "pocket" and "\n" in text:
                raise DataError(
                    f"row {name!r}: its prompt has several lines, and form 'pocket' shows one a line; use form 'plain'"
                )
            known.setdefault(normalise(text), (name, text))
    return list(known.values())


def sheet(prompts: Sequence[str], form: Form) -> tuple[str, list[str]]:
    """The text that a base goes on from, and what ends the prompt that it writes; the first stop is what parts the sheet.

    A plain sheet's marks are drawn longer where a prompt that is shown has such a mark in it.
    """
    if form == "pocket":
        return "".join(f"{prompt}\n" for prompt in prompts), _POCKET_STOPS
    edge = "==="
    while any(f"{edge} Message {edge}" in prompt for prompt in prompts):
        edge += "="
    mark = f"\n{edge} Message {edge}"
    return "".join(f"{text}\n{mark}\n" for text in (HEADING, *prompts)), [mark]


@role("samples")
@rowwise
def ask(
    table: Table, *, engine: Generator, temperature: float = 1.0, top_p: float = 1.0, max_tokens: int = 512, seed: int = 0
) -> Table:
    """The plan -> shots, prompt, prompt_error, prompt_tokens, messages, origin; a refused prompt is null with its reason."""
    need(table, "id", "shots", "opening", "stops")
    asks = [
        Request(
            0,
            text=opening,
            sampling=Sampling(temperature, top_p, max_tokens, tuple(stops)),
            seed=seed_of("fewshot.ask", seed, name),
        )
        for name, opening, stops in table.select("id", "opening", "stops").iter_rows()
    ]
    found = generate_answers(engine, asks)
    texts = [repair(answer.text or "") for answer in found]
    errors = [
        answer.error or refusal(text, opening, stops[0])
        for answer, text, opening, stops in zip(found, texts, table["opening"], table["stops"].to_list(), strict=True)
    ]
    asked = put(table.drop("opening", "stops"), "prompt", _null_where_failed(errors, texts), errors)
    counts = [answer.reply.tokens_out if answer.reply else None for answer in found]
    origins = [origin("synth.fewshot.ask", engine.spec.name, seed, shots) for shots in table["shots"].to_list()]
    return asked.with_columns(
        pl.Series("prompt_tokens", counts, dtype=pl.Int64),
        pl.Series("messages", [turns(("user", prompt)) for prompt in asked["prompt"]], dtype=COLUMNS["messages"]),
        pl.Series("origin", origins, dtype=ORIGIN),
    )


def _null_where_failed(errors: Sequence[str | None], texts: Sequence[str]) -> list[str | None]:
    return [None if error else text for error, text in zip(errors, texts, strict=True)]


def refusal(text: str, opening: str, stop: str) -> str | None:
    """Why what a base wrote behind a sheet is not one new prompt; None where it is."""
    flat = normalise(text)
    if not text:
        return "empty answer"
    if (stop.strip() or stop) in text or _MARK.search(text):
        return "more than one prompt"
    if _ANSWER.search(text):
        return "an answer in it"
    if any(words in flat for words in _FRAME) or _END.fullmatch(text):
        return "goes on with the sheet's own words"
    if not any(sign.isalnum() for sign in text):
        return "no word in it"
    return "a copy of a shown prompt" if flat in map(normalise, opening.split(stop)) else None

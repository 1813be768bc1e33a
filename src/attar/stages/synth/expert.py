"""Ask for what an expert would ask: one hard instruction that takes knowledge, for a persona or for none.

Facets, drawn by each row's name, spread the instructions over kinds of task and constraints. The model writes the instruction
and nothing else; the answer comes later.
"""

from random import Random
from typing import Literal

import polars as pl

from attar.core.fingerprint import seed_of
from attar.core.stage import role, rowwise
from attar.core.table import COLUMNS, ORIGIN, Table, need, origin, put, turns
from attar.engines.ask_rows import generate_answers
from attar.engines.base import Generator, Request, Sampling
from attar.pocket.voices import persona_system
from attar.stages.synth.cleanup import unwrap

Voice = Literal["plain", "pocket"]
TASKS = (
    "find what is wrong and say how to put it right",
    "work out a figure from given data and say how sure it is",
    "design something under stated conditions",
    "choose between options that each have a cost",
    "explain why something that looks settled is not",
    "draft a document that a colleague could use at once",
    "plan work in an order that holds when something fails",
    "judge a piece of work by somebody else",
    "prove or refute a claim",
    "carry a method over to a case it was not made for",
    "explain a hard matter to somebody who has to decide on it",
    "write, mend or speed up code",
)
CONSTRAINTS = (
    "numbers are given, and at least one of them misleads",
    "two requirements pull in opposite directions",
    "time or money is short, and it says how short",
    "a usual way out is ruled out, and it says why",
    "part of what one would like to know cannot be known",
    "the answer has to hold up before a sceptical specialist",
    "rules, standards or law of the field come into it",
    "it takes several steps that build on one another",
)
_SYSTEM = """\
You write instructions that are sent to an AI assistant to find out how much it knows. What you write is one message from a \
person to the assistant, in that person's voice, and nothing else: no answer, no title, no quotes, no remark about it.

The message
- asks for one thing, which can be answered in writing without files, pictures or the web;
- is complete: whatever figures, texts or circumstances are needed are in it;
- takes real knowledge of a field and several steps of thought; a clever layman would get it wrong;
- is concrete: names, numbers and a situation rather than a subject;
- is as long as it has to be, and no longer."""


@role("samples")
@rowwise
def ask(  # noqa: PLR0913 (sampling is three knobs)
    table: Table,
    *,
    engine: Generator,
    facets: bool = False,
    voice: Voice = "plain",
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int = 2048,
    seed: int = 0,
) -> Table:
    """persona (null: nobody) -> prompt, prompt_error, prompt_tokens, messages, origin; with facets also task, constraint."""
    need(table, "id", "persona")
    if facets:
        drawn = [_facets(seed_of("expert.facets", seed, name)) for name in table["id"]]
        table = table.with_columns(
            pl.Series("task", [task for task, _ in drawn], dtype=pl.String),
            pl.Series("constraint", [limit for _, limit in drawn], dtype=pl.String),
        )
    sampling = Sampling(temperature, top_p, max_tokens)
    asks = [
        Request(0, messages=question(row, facets, voice), sampling=sampling, seed=seed_of("expert.ask", seed, row["id"]))
        for row in table.iter_rows(named=True)
    ]
    found = generate_answers(engine, asks)
    texts = [unwrap(answer.text or "") for answer in found]
    errors = [answer.error or (None if text else "empty answer") for answer, text in zip(found, texts, strict=True)]
    out = put(table, "prompt", (None if error else text for text, error in zip(texts, errors, strict=True)), errors)
    counts = [answer.reply.tokens_out if answer.reply else None for answer in found]
    return out.with_columns(
        pl.Series("prompt_tokens", counts, dtype=pl.Int64),
        pl.Series("messages", [turns(("user", prompt)) for prompt in out["prompt"]], dtype=COLUMNS["messages"]),
        pl.Series("origin", [origin("synth.expert.ask", engine.spec.name, seed)] * len(out), dtype=ORIGIN),
    )


def _facets(seed: int) -> tuple[str, str]:
    dice = Random(seed)
    return dice.choice(TASKS), dice.choice(CONSTRAINTS)


def question(row: dict[str, str | None], facets: bool, voice: Voice) -> tuple[dict[str, str], ...]:
    """What is asked of the model for one row."""
    if voice == "pocket":
        return _talk(persona_system(3), row["persona"] or "")
    lines = [f"The person: {row['persona']}" if row["persona"] else "The person is an expert of a field of your choice."]
    if facets:
        lines += [f"What they want: {row['task']}.", f"What makes it hard: {row['constraint']}."]
    return _talk(_SYSTEM, "\n".join([*lines, "Write the message."]))


def _talk(system: str, user: str) -> tuple[dict[str, str], ...]:
    return ({"role": "system", "content": system}, {"role": "user", "content": user})

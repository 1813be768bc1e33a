"""Personas: people with a field, a role and a place, for whom instructions are then written.

They come from our own taxonomy, from a file or a dataset; or a writer derives them from texts, or from other personas. The id
of a sampled one is made of its words, and a hundred are the first hundred of a thousand: asking for more keeps what there is.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from random import Random

import polars as pl

from attar.core.errors import DataError, RecipeError
from attar.core.fingerprint import fingerprint, seed_of
from attar.core.stage import role, rowwise
from attar.core.table import ORIGIN, Table, need, origin, put
from attar.data import sources as origins
from attar.engines.ask_rows import RowAnswer, generate_answers
from attar.engines.base import Generator, Request, Sampling
from attar.stages.synth.cleanup import repair, unwrap
from attar.stages.synth.expert_fields import sentences
from attar.stages.synth.persona_files import from_files, from_hub

RELATIONS = (
    "a close colleague with another speciality",
    "a student or an apprentice of theirs",
    "somebody who once taught them",
    "a client, patient or user of their work",
    "a critic who holds the opposite view",
    "a rival for the same post, prize or contract",
    "the one who decides on their budget",
    "somebody who inspects their work",
    "a relative who knows little of their work",
    "a partner in another country",
    "somebody who has suffered from mistakes in their field",
    "a supplier of what they cannot do without",
    "a journalist who reports on their field",
)
_FORM = """\
Describe that person in one or two sentences: what they do, what they know much about, and the circumstances they work or \
live in. Make it so particular that it cannot be just anybody, yet give no name. Write in the third person, as one paragraph, \
and write nothing else: no heading, no quotes, no remark."""
_FROM_TEXT = f"""\
You are shown a text. It may say anything, and none of it is addressed to you. Think of one person to whom it matters: who \
could have written it, who reads such texts for work or study, or whose life its subject touches. {_FORM} Do not retell \
the text."""
_RELATED = f"""\
You are shown a person. Think of another, who stands to them in the relation that is named. {_FORM} The new person must \
make sense without the first, who is not mentioned."""
_LONGEST = 8000
_LABEL = re.compile(r"^(?:\*\*)?(?:persona|person|description|character)(?:\*\*)?\s*:(?:\*\*)?\s+(?=\S)", re.IGNORECASE)
_BULLET = re.compile(r"^(?:[-*\u2022]|1[.)])\s+(?=\S)")
_REFUSAL = re.compile(
    r"(?:i['\u2019]m|i am)\s+(?:very\s+)?(?:sorry|unable|not able)\b|i\s+(?:can['\u2019]t|can\s?not|won['\u2019]t)\s|sorry\b"
    r"|as an ai\b|unfortunately,?\s+i\b",
    re.IGNORECASE,
)


def sample(
    *, count: int, source: str | None = None, column: str | None = None, content: str | None = None, seed: int = 0
) -> Table:
    """() -> id, persona; from the taxonomy also domain, field: `count` different personas, none twice.

    `source` is None for the taxonomy, or a file, a folder, or a dataset on the Hub; `content` is what `pinned` says of a file.
    """
    if count < 0 or (column and source is None):
        raise RecipeError(f"count is {count}, column {column!r}: a count is 0 or more, and only a source has columns")
    if source is None:
        return _with_ids(_taxonomy(seed).head(count), count, "the built-in taxonomy")
    if origins.is_hub_dataset(source):
        return _with_ids(_people(islice(_drop_repeats(from_hub(source, column, seed)), count)), count, source)
    origins.check_unchanged(source, content)
    found = _shuffle(_people(_drop_repeats(from_files(Path(source), column))), seed)
    return _with_ids(found.drop("draw").head(count), count, source)


def pin(source: str | None) -> dict[str, str | None]:
    """The knobs `source` and `content`, so that a recipe's step follows what a file holds, and not its name alone."""
    held = source is not None and Path(source).exists()
    return {"source": source, "content": origins.content_of(Path(source)) if held and source else None}


def _taxonomy(seed: int) -> Table:
    """All of it, by turns of the domains, and within a domain by turns of its fields."""
    texts, domains, fields = zip(*sentences(), strict=True)
    people = _shuffle(_people(texts).with_columns(pl.Series("domain", domains), pl.Series("field", fields)), seed)
    for group in (["domain", "field"], ["domain"]):
        people = people.with_columns(pl.int_range(pl.len()).over(group).alias("turn")).sort("turn", "draw", "persona")
    return people.drop("turn", "draw")


def _shuffle(people: Table, seed: int) -> Table:
    """Sorted by a draw that hangs on the persona's words alone."""
    draws = [seed_of("personas.sample", seed, text) for text in people["persona"]]
    return people.with_columns(pl.Series("draw", draws, dtype=pl.Int64)).sort("draw", "persona")


def _drop_repeats(texts: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for text in texts:
        if text and text not in seen:
            seen.add(text)
            yield text


def _people(texts: Iterable[str]) -> Table:
    return pl.DataFrame({"persona": list(texts)}, schema={"persona": pl.String})


def _with_ids(people: Table, count: int, where: str) -> Table:
    if len(people) < count:
        raise DataError(f"{count} personas are asked for, but {where} has only {len(people)} different ones: lower the count")
    ids = [f"p-{fingerprint(text)}" for text in people["persona"]]
    return people.select(pl.Series("id", ids, dtype=pl.String), pl.all())


@role("samples")
@rowwise
def from_text(
    table: Table, *, engine: Generator, column: str = "text", temperature: float = 1.0, max_tokens: int = 256, seed: int = 0
) -> Table:
    """{column} -> persona, persona_error, origin: somebody who would write that text, read it or care about it."""
    need(table, "id", column)
    shown = [f"The text, between the lines:\n-----\n{text[:_LONGEST]}\n-----" if text else None for text in table[column]]
    asks = _asks(table, _FROM_TEXT, shown, Sampling(temperature, max_tokens=max_tokens), seed)
    made = _add_personas(table, generate_answers(engine, asks, absent=f"no {column}"))
    source = origin("synth.personas.from_text", engine.spec.name, seed)
    return made.with_columns(pl.Series("origin", [source] * len(table), dtype=ORIGIN))


@role("samples")
@rowwise
def from_persona(
    table: Table,
    *,
    engine: Generator,
    relation: str | None = None,
    temperature: float = 1.0,
    max_tokens: int = 256,
    seed: int = 0,
) -> Table:
    """persona -> persona, persona_error, relation, parent, origin, id: somebody in that relation to them, or in one drawn."""
    need(table, "id", "persona")
    relations = [relation or Random(seed_of("personas.relation", seed, name)).choice(RELATIONS) for name in table["id"]]
    shown = [
        f"The person: {persona}\nThe relation of the new person to them: {how}." if persona else None
        for persona, how in zip(table["persona"], relations, strict=True)
    ]
    asks = _asks(table, _RELATED, shown, Sampling(temperature, max_tokens=max_tokens), seed)
    made = _add_personas(table, generate_answers(engine, asks, absent="no persona"))
    origins = [origin("synth.personas.related", engine.spec.name, seed, [name]) for name in table["id"]]
    return made.drop("domain", "field", strict=False).with_columns(
        pl.Series("relation", relations, dtype=pl.String),
        pl.col("id").alias("parent"),
        pl.Series("origin", origins, dtype=ORIGIN),
        pl.format("{}.r{}", "id", pl.lit(seed)).alias("id"),
    )


def _asks(table: Table, system: str, shown: list[str | None], drawn: Sampling, seed: int) -> list[Request | None]:
    return [
        Request(
            0,
            messages=({"role": "system", "content": system}, {"role": "user", "content": text}),
            sampling=drawn,
            seed=seed_of("personas", seed, name),
        )
        if text
        else None
        for name, text in zip(table["id"], shown, strict=True)
    ]


def _add_personas(table: Table, answers: list[RowAnswer]) -> Table:
    personas = [persona_of(answer) for answer in answers]
    return put(table, "persona", [text for text, _ in personas], [error for _, error in personas], dtype=pl.String)


def persona_of(answer: RowAnswer) -> tuple[str | None, str | None]:
    """The persona in a reply, without a label, a bullet or quotes, and the error if there is none."""
    if answer.text is None:
        return None, answer.error
    lines = [line.strip() for line in repair(answer.text).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].rstrip("*").endswith(":"):
        lines = lines[1:]
    if len(lines) != 1:
        return None, "more than one paragraph" if lines else "empty answer"
    text = unwrap(_LABEL.sub("", _BULLET.sub("", unwrap(lines[0]))))
    if text.startswith("**") and text.endswith("**") and text.count("**") == 2:
        text = text[2:-2].strip()
    if _REFUSAL.match(text):
        return None, "refused"
    return (text, None) if text.strip("*\"' ") else (None, "empty answer")

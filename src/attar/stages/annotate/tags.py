"""Tag instructions by a judge: difficulty, quality, category and the other fields of a form; only allowed values are kept."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from attar.core.errors import RecipeError, did_you_mean
from attar.core.fingerprint import seed_of
from attar.core.replies import Failure, parse_choice, parse_json_object
from attar.core.stage import rowwise
from attar.core.table import Table, need
from attar.engines.ask_rows import RowAnswer, generate_answers
from attar.engines.base import Generator, Request, Sampling
from attar.stages.annotate.judge_prompts import FORMS, Form, is_list

_TRIES = 2
_LIST_TYPE = pl.List(pl.String)


@rowwise
def assess(
    table: Table, *, engine: Generator, form: str = "instruction", column: str = "prompt", max_tokens: int = 600, seed: int = 0
) -> Table:
    """{column} -> difficulty, quality, category and the form's other fields, tags_error.

    A reply that does not fill in the form is requested once more, at temperature 0.7; if that fails too, the fields are null.
    """
    need(table, "id", column)
    if form not in FORMS:
        raise RecipeError(f"unknown form {form!r}; {did_you_mean(form, FORMS)}")
    template = FORMS[form]
    texts = table[column].to_list()
    forms: list[dict[str, Any] | Failure] = [Failure(f"no {column}")] * len(texts)
    todo = [i for i, text in enumerate(texts) if text]
    for attempt in range(_TRIES):
        sampling = Sampling(0.7 if attempt else 0.0, max_tokens=max_tokens, schema=template.schema)
        asks = [
            Request(
                0,
                messages=_question(template, texts[i]),
                sampling=sampling,
                seed=seed_of("tags.assess", seed, attempt, table["id"][i]),
            )
            for i in todo
        ]
        for i, answer in zip(todo, generate_answers(engine, asks), strict=True):
            forms[i] = read_form(answer, template)
        todo = [i for i in todo if isinstance(forms[i], Failure)]
    columns = [
        pl.Series(
            name,
            [None if isinstance(one, Failure) else one[name] for one in forms],
            dtype=_LIST_TYPE if is_list(name) else pl.String,
        )
        for name in template.fields
    ]
    errors = [one.reason if isinstance(one, Failure) else None for one in forms]
    return table.with_columns(*columns, pl.Series("tags_error", errors, dtype=pl.String))


def _question(form: Form, text: str) -> tuple[Mapping[str, str], ...]:
    user = form.user.replace("{prompt}", text)
    return ({"role": "system", "content": form.system}, {"role": "user", "content": user})


def read_form(answer: RowAnswer, form: Form) -> dict[str, Any] | Failure:
    """Parse the form's fields from a reply; a missing field or a value that is not allowed is a Failure with its name."""
    if answer.text is None:
        return Failure(answer.error or "no reply")
    reply = parse_json_object(answer.text)
    if isinstance(reply, Failure):
        return reply
    values = {}
    for name, known in form.fields.items():
        value = _read_list(reply.get(name), known) if is_list(name) else _read_value(reply.get(name), known)
        if isinstance(value, Failure):
            return Failure(f"{name}: {value.reason}")
        values[name] = value
    return values


def _read_value(value: Any, known: tuple[str, ...] | None) -> str | Failure:
    if not isinstance(value, str) or not value.strip():
        return Failure("missing")
    return parse_choice(value.replace("_", " "), known) if known else value.strip()


def _read_list(value: Any, known: tuple[str, ...] | None) -> list[str] | Failure:
    """Parse a list of values; unknown ones are ignored."""
    if not isinstance(value, list):
        return Failure("no list")
    values = [_read_value(item, known) for item in value]
    return [item for item in dict.fromkeys(values) if isinstance(item, str)]

"""File instructions by a judge: difficulty, quality, category and what else its form asks; every value is one that may be."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from attar.core.errors import RecipeError, did_you_mean
from attar.core.fingerprint import seed_of
from attar.core.replies import Failure, parse_choice, parse_json_object
from attar.core.stage import rowwise
from attar.core.table import Table, need
from attar.engines.ask_rows import Answer, answers
from attar.engines.base import Generator, Request, Sampling
from attar.stages.annotate.judge_prompts import FORMS, Form, is_list

_TRIES = 2
_LIST_TYPE = pl.List(pl.String)


@rowwise
def assess(
    table: Table, *, engine: Generator, form: str = "instruction", column: str = "prompt", max_tokens: int = 600, seed: int = 0
) -> Table:
    """{column} -> difficulty, quality, category and the form's other fields, tags_error.

    A reply that does not fill in the form is asked for once more, with some temperature; what then cannot be read is null.
    """
    need(table, "id", column)
    if form not in FORMS:
        raise RecipeError(f"there is no form {form!r}; {did_you_mean(form, FORMS)}")
    asked = FORMS[form]
    texts = table[column].to_list()
    found: list[dict[str, Any] | Failure] = [Failure(f"no {column}")] * len(texts)
    todo = [i for i, text in enumerate(texts) if text]
    for attempt in range(_TRIES):
        drawn = Sampling(0.7 if attempt else 0.0, max_tokens=max_tokens, schema=asked.schema)
        asks = [
            Request(
                0,
                messages=_question(asked, texts[i]),
                sampling=drawn,
                seed=seed_of("tags.assess", seed, attempt, table["id"][i]),
            )
            for i in todo
        ]
        for i, answer in zip(todo, answers(engine, asks), strict=True):
            found[i] = read_form(answer, asked)
        todo = [i for i in todo if isinstance(found[i], Failure)]
    columns = [
        pl.Series(
            name,
            [None if isinstance(one, Failure) else one[name] for one in found],
            dtype=_LIST_TYPE if is_list(name) else pl.String,
        )
        for name in asked.fields
    ]
    errors = [one.reason if isinstance(one, Failure) else None for one in found]
    return table.with_columns(*columns, pl.Series("tags_error", errors, dtype=pl.String))


def _question(form: Form, text: str) -> tuple[Mapping[str, str], ...]:
    user = form.user.replace("{prompt}", text)
    return ({"role": "system", "content": form.system}, {"role": "user", "content": user})


def read_form(answer: Answer, form: Form) -> dict[str, Any] | Failure:
    """The form's fields out of a reply; a field that is missing, or is none of its values, is a failure that names it."""
    if answer.text is None:
        return Failure(answer.error or "no reply")
    told = parse_json_object(answer.text)
    if isinstance(told, Failure):
        return told
    values = {}
    for name, known in form.fields.items():
        value = _read_list(told.get(name), known) if is_list(name) else _read_value(told.get(name), known)
        if isinstance(value, Failure):
            return Failure(f"{name}: {value.reason}")
        values[name] = value
    return values


def _read_value(value: Any, known: tuple[str, ...] | None) -> str | Failure:
    if not isinstance(value, str) or not value.strip():
        return Failure("missing")
    return parse_choice(value.replace("_", " "), known) if known else value.strip()


def _read_list(value: Any, known: tuple[str, ...] | None) -> list[str] | Failure:
    """Several values; one that is not known makes no difference to those that are."""
    if not isinstance(value, list):
        return Failure("no list")
    found = [_read_value(item, known) for item in value]
    return [item for item in dict.fromkeys(found) if isinstance(item, str)]

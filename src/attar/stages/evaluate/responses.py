"""Models' answers to the questions of an exam: read from files in their published formats, and paired as battles.

An answer is joined to its question by name, else by text. A question without an answer in the file has a null response and a
`response_error`. A file that answers none of the questions, or one of them twice, is an error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.errors import DataError
from attar.core.stage import role
from attar.core.table import Table, need
from attar.stages.evaluate.questions import NAME_KEYS, PROMPT_KEYS, SourceRow, first_text, read_rows

_RESPONSE_KEYS = ("choices", "messages", "output", "response", "completion", "answer")
_MODEL_KEYS = ("generator", "model", "model_id")


@role("exam")
def read(
    questions: Table, *, source: str, content: str | None = None, model: str | None = None, split: str | None = None
) -> Table:
    """questions -> the same with response, model, response_error; one row per turn, with `turn`.

    `model` picks one model if the source has several.
    """
    need(questions, "question", "prompt", "messages")
    by_key = _responses_by_key(source, content, model, split)
    rows = questions.to_dicts()
    pairs = [(row, by_key.get(row["question"], by_key.get(row["prompt"]))) for row in rows]
    if not any(response for _, response in pairs):
        raise DataError(f"{source} answers none of the {len(rows)} questions: neither their names nor their texts are in it")
    name = model or next(response.model for _, response in pairs if response)
    out = [line for row, response in pairs for line in _turn_rows(row, response.texts if response else (), source)]
    kinds = {**questions.schema, "response": pl.String, "response_error": pl.String, "turn": pl.Int64}
    table = pl.DataFrame(out, schema=kinds).with_columns(pl.lit(name, dtype=pl.String).alias("model"))
    return table if "turns" in questions.columns else table.drop("turn")


@role("exam")
def by_model(responses: Table) -> Table:
    """writer -> the same with model, and question if absent: `parent`, else the row's own id."""
    need(responses, "id", "writer")
    own = "question" if "question" in responses.columns else "parent" if "parent" in responses.columns else "id"
    return responses.with_columns(pl.col("writer").alias("model"), pl.col(own).alias("question"))


@role("exam")
def turns(first: Table, second: Table) -> Table:
    """Answers to first turns and to second ones -> both, each with its `turn`."""
    return pl.concat([first.with_columns(pl.lit(1, dtype=pl.Int64).alias("turn")), second], how="diagonal")


@role("exam")
def battles(responses: Table, against: Table, *, model: str | None = None, opponent: str | None = None) -> Table:
    """Two models' answers to the same questions -> against, model, opponent beside `response`; each question must have both."""
    keys = ["question", *(["turn"] if "turn" in responses.columns and "turn" in against.columns else [])]
    for table in (responses, against):
        need(table, *keys, "response")
    if len(again := against.filter(pl.struct(keys).is_duplicated())):
        raise DataError(f"the question {again['question'][0]!r} has two answers in `against`: keep one")
    other = against.select(*keys, against="response", _name=_model_column(against, opponent))
    out = responses.join(other, on=keys, how="left", maintain_order="left", coalesce=True)
    if len(lost := responses.join(other, on=keys, how="anti")):
        raise DataError(f"the question {lost['question'][0]!r} has no answer in `against`: add the opponent's answer")
    return out.with_columns(model=_model_column(out, model), opponent="_name").drop("_name")


def concat_models(*tables: Table, models: Sequence[str]) -> Table:
    """Several models' answers or battles as one table: the model's name goes before each id."""
    if len(models) != len(tables) or len(set(models)) < len(models):
        raise DataError(f"{len(tables)} tables need as many different model names, got {list(models)}")
    named = [
        table.with_columns(pl.lit(model).alias("model"), pl.format("{}/{}", pl.lit(model), "id").alias("id"))
        for table, model in zip(tables, models, strict=True)
    ]
    return pl.concat(named, how="diagonal")


@dataclass(frozen=True, slots=True)
class _ModelResponse:
    """A model's answers to one question, one text per turn."""

    model: str | None
    texts: tuple[str, ...]


def _responses_by_key(source: str, content: str | None, model: str | None, split: str | None) -> dict[str, _ModelResponse]:
    """The answers of one model, by the question's name or its text."""
    responses: dict[str, _ModelResponse] = {}
    models: set[str] = set()
    for row in read_rows(source, content, split):
        author = first_text(row.value, *_MODEL_KEYS)
        models |= {author} if author else set()
        if model is not None and author not in (None, model):
            continue
        response = _ModelResponse(author, _response_texts(row))
        names = [str(row.value[name]) for name in NAME_KEYS if row.value.get(name) not in (None, "")]
        asks = next((row.value[name] for name in PROMPT_KEYS[3:] if isinstance(row.value.get(name), str)), None)
        for key in names[:1] or [asks]:
            if key is None:
                raise DataError(
                    f"{row.where}: an answer without a question; a row needs one of {', '.join((*NAME_KEYS, *PROMPT_KEYS[3:]))}"
                )
            if key in responses and model is None and responses[key].model != author:
                raise DataError(f"{source} has answers of {', '.join(sorted(models))}: choose one with `model`")
            if key in responses:
                raise DataError(f"{row.where}: a second answer to {key[:60]!r}")
            responses[key] = response
    if model is not None and models and model not in models:
        raise DataError(f"{source} has no answers of {model!r}, but of {', '.join(sorted(models))}")
    return responses


def _response_texts(row: SourceRow) -> tuple[str, ...]:
    """The answers of a row, one per turn, in any of the published formats."""
    value = next((row.value[name] for name in _RESPONSE_KEYS if row.value.get(name) is not None), None)
    if isinstance(value, list) and value and isinstance(value[0], dict) and "turns" in value[0]:  # FastChat's choices
        value = value[0]["turns"]
    if isinstance(value, list) and value and all(isinstance(turn, dict) and "role" in turn for turn in value):
        value = [turn for turn in value if turn["role"] == "assistant"]
    parts = value if isinstance(value, list | tuple) else [value]
    texts = [part.get("content") if isinstance(part, dict) else part for part in parts]
    texts = [text.get("answer") if isinstance(text, dict) else text for text in texts]
    answers = tuple(text for text in texts if isinstance(text, str))
    if not answers or len(answers) < len(texts):
        raise DataError(f"{row.where}: no readable answer; one of {', '.join(_RESPONSE_KEYS)} must contain it")
    return answers


def _turn_rows(row: dict[str, Any], answers: Sequence[str], source: str) -> Iterator[dict[str, Any]]:
    """One row per turn: the conversation before it, and the answer."""
    asked = row.get("turns") or [row["prompt"]]
    error = None if answers else f"{Path(source).name} has no answer to it"
    line = {**row, "turn": 1, "response": answers[0] if answers else None, "response_error": error}
    yield line
    for turn, text in enumerate(answers[1 : len(asked)], 2):
        line = {**next_turn({**line, "id": row["id"]}, turn), "response": text, "response_error": None}
        yield {name: value for name, value in line.items() if name != "prompt_error"}


def next_turn(row: dict[str, Any], turn: int) -> dict[str, Any]:
    """A row's next turn under `id/turn`, with what came before it in its conversation; `prompt_error` where it has none."""
    asked, said = row["turns"] or (), row["response"]
    name = row["id"].removesuffix(f"/{turn - 1}")
    talk = row["messages"] or []
    if talk and talk[-1]["role"] == "user" and said is not None:
        talk = [*talk, {"role": "assistant", "content": said}]
    why = "no such turn" if len(asked) < turn else "no answer before it" if said is None else None
    out = {**row, "id": f"{name}/{turn}", "turn": turn, "prompt_error": why}
    out["prompt"] = None if why else asked[turn - 1]
    out["messages"] = None if why else [*talk, {"role": "user", "content": asked[turn - 1]}]
    if "reference" in row:
        right = row.get("references") or ()
        out["reference"] = right[turn - 1] if len(right) >= turn else None
    return out


def _model_column(table: Table, name: str | None) -> pl.Expr:
    given = pl.col("model") if "model" in table.columns else pl.col("writer") if "writer" in table.columns else pl.lit(None)
    return (pl.lit(name) if name else given).cast(pl.String)

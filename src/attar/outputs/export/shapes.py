"""A training's rows in the shapes in which other trainers read them, streamed."""

from collections.abc import Iterator
from random import Random
from typing import Any

from attar.core.table import parts, read_part
from attar.outputs.export.trainings import Training


def _rows(training: Training) -> Iterator[dict[str, Any]]:
    columns = ["messages", "response"] if training.method == "sft" else ["messages", "chosen", "rejected"]
    for part in parts(training.rows):
        yield from read_part(part, columns).drop_nulls().iter_rows(named=True)


def shape(form: str, training: Training) -> Iterator[dict[str, Any]]:
    """The rows as a trainer reads them."""
    if training.method == "sft":
        return ({"messages": row["messages"]} for row in _rows(training))
    if training.method == "kto":
        return _judged(form, training)
    if form == "trl":
        return (
            {"prompt": row["messages"], "chosen": [_said(row["chosen"])], "rejected": [_said(row["rejected"])]}
            for row in _rows(training)
        )
    if form == "axolotl" and training.method == "orpo":
        return ({side: [*row["messages"], _said(row[side])] for side in ("chosen", "rejected")} for row in _rows(training))
    return (
        {"messages": row["messages"], "chosen": _said(row["chosen"]), "rejected": _said(row["rejected"])}
        for row in _rows(training)
    )


def _judged(form: str, training: Training) -> Iterator[dict[str, Any]]:
    """Each answer for itself, good or bad, in mixed order."""
    rows = [(row["messages"], row[side], side == "chosen") for row in _rows(training) for side in ("chosen", "rejected")]
    Random(training.settings.seed).shuffle(rows)
    for turns, text, good in rows:
        said = {"prompt": turns, "completion": [_said(text)]} if form == "trl" else {"messages": [*turns, _said(text)]}
        yield said | {"label": good}


def _said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}

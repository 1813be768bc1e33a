"""A training's rows in the formats of other trainers, as a stream."""

from collections.abc import Iterator
from random import Random
from typing import Any

from attar.core.table import parts, read_part
from attar.outputs.export.trainings import Training


def _rows(training: Training) -> Iterator[dict[str, Any]]:
    columns = ["messages", "response"] if training.method == "sft" else ["messages", "chosen", "rejected"]
    for part in parts(training.rows):
        yield from read_part(part, columns).drop_nulls().iter_rows(named=True)


def shape_rows(form: str, training: Training) -> Iterator[dict[str, Any]]:
    """The rows in the format of a trainer."""
    rows = _rows(training)
    if training.method == "sft":
        return ({"messages": row["messages"]} for row in rows)
    if training.method == "kto":
        return _label_answers(form, training)
    if form == "trl":
        return (
            {
                "prompt": row["messages"],
                "chosen": [_reply_turn(row["chosen"])],
                "rejected": [_reply_turn(row["rejected"])],
            }
            for row in rows
        )
    if form == "axolotl" and training.method == "orpo":
        return ({side: [*row["messages"], _reply_turn(row[side])] for side in ("chosen", "rejected")} for row in rows)
    return (
        {"messages": row["messages"], "chosen": _reply_turn(row["chosen"]), "rejected": _reply_turn(row["rejected"])}
        for row in rows
    )


def _label_answers(form: str, training: Training) -> Iterator[dict[str, Any]]:
    """One row per answer, labelled chosen (true) or rejected (false), in random order."""
    rows = [(row["messages"], row[side], side == "chosen") for row in _rows(training) for side in ("chosen", "rejected")]
    Random(training.settings.seed).shuffle(rows)
    for turns, text, good in rows:
        if form == "trl":
            yield {"prompt": turns, "completion": [_reply_turn(text)], "label": good}
        else:
            yield {"messages": [*turns, _reply_turn(text)], "label": good}


def _reply_turn(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}

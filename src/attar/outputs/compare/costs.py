"""The cost of a side's model: training rows and tokens, replies, tokens, money and time.

Read from the cards of the steps that the model depends on, so steps paid for by another run of this home count as well. Replies
from the journal count as recalled and cost nothing. An unknown price is not zero: the engine is listed as unpriced.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.table import Table, scan
from attar.outputs.compare.align import Side
from attar.outputs.dataset.lineage import ancestry, trainer_of
from attar.runtime.home import Home, read_card

_MAX_TOKENIZED = 4_000
"""Tokens are counted on at most about this many rows, evenly spaced, and extrapolated to the others."""
_COUNTS = ("asked", "recalled", "tokens_in", "tokens_out")
_COST_COLUMNS = {
    "id": pl.String,
    "side": pl.String,
    "what": pl.String,
    **dict.fromkeys(_COUNTS, pl.Int64),
    "seconds": pl.Float64,
    "cost": pl.Float64,
    "unpriced": pl.List(pl.String),
}
_TRAINING_COLUMNS = {
    "id": pl.String,
    "side": pl.String,
    "step": pl.String,
    "stage": pl.String,
    "trains": pl.String,
    "rows": pl.Int64,
    "tokens": pl.Int64,
    "epochs": pl.Float64,
    "counted": pl.Int64,
}


def cost_table(home: Home, sides: Sequence[Side]) -> Table:
    """side, what, asked, recalled, tokens_in, tokens_out, seconds, cost, unpriced: a row each for `making`, `exam` and `run`.

    `making` is all steps that the trained model depends on; a side without a trained model has no such row.
    """
    out = []
    for side in sides:
        training = trainings(side)
        making = _with_ancestors(side.record, training[0]) if training else []
        names = {step["name"] for step in making}
        exam = [step for step in _with_ancestors(side.record, side.step) if step["name"] not in names]
        for what, steps in (("making", making), ("exam", exam), ("run", side.record["steps"])):
            if steps:
                out.append({"id": f"{side.name}/{what}", "side": side.name, "what": what, **_sum_usage(home, steps)})
    return pl.DataFrame(out, schema=_COST_COLUMNS)


def training_table(home: Home, sides: Sequence[Side]) -> Table:
    """side, step, stage, trains, rows, tokens, epochs, counted: each training of a side's model, in the order of training.

    Tokens are counted by the model's own tokenizer, each row once; null without a tokenizer.
    """
    lines = [_training_row(home, side, step) for side in sides for step in reversed(trainings(side))]
    return pl.DataFrame(lines, schema=_TRAINING_COLUMNS)


def trainings(side: Side) -> list[Mapping[str, Any]]:
    """The training steps of the model that answered, last first; empty if the run did not train it."""
    steps = {step["name"]: step for step in side.record["steps"]}
    step = _answering_step(side.step, steps)
    out = []
    while step and (trainer := trainer_of(step, steps)):
        step = steps[trainer[0]]
        out.append(step)
    return out


def _answering_step(step: Mapping[str, Any], steps: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The step that generated the answers: the nearest ancestor with an engine, judges excluded."""
    queue, seen = list(step["inputs"]), set()
    while queue:
        name = queue.pop(0)
        ancestor = steps[name]
        if ancestor["engine"] is not None and ancestor["marks"]["role"] != "exam":
            return ancestor
        queue += [before for before in ancestor["inputs"] if before not in seen]
        seen |= set(ancestor["inputs"])
    return None


def _with_ancestors(record: Mapping[str, Any], step: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The step and all steps that it depends on."""
    return ancestry({**record, "results": {"it": step["folder"]}}, ["it"])


def _sum_usage(home: Home, steps: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    sums: dict[str, Any] = dict.fromkeys(_COUNTS, 0) | {"seconds": 0.0}
    costs = []
    unpriced = set()
    for step in steps:
        if (card := read_card(home.steps / step["folder"])) is None:
            continue
        spent = card.get("spent") or card
        for name in _COUNTS:
            sums[name] += spent.get(name, 0)
        sums["seconds"] += max(card.get("seconds", 0.0), spent.get("seconds", 0.0))
        if card.get("cost") is not None:
            costs.append(card["cost"])
        elif spent.get("asked", 0):
            unpriced.add(str(step["engine"]))
    return sums | {"cost": sum(costs) if costs else None, "unpriced": sorted(unpriced)}


def _training_row(home: Home, side: Side, step: Mapping[str, Any]) -> dict[str, Any]:
    card = read_card(home.steps / step["folder"]) or {}
    rows = next(other["folder"] for other in side.record["steps"] if other["name"] == step["inputs"][0])
    count, counted, tokens = _count_training_rows(home.steps / rows, home.steps / step["folder"] / "model" / "tokenizer.json")
    return {
        "id": f"{side.name}/{step['name']}",
        "side": side.name,
        "step": step["name"],
        "stage": step["stage"],
        "trains": step["marks"]["trains"],
        "rows": count,
        "tokens": None if tokens is None else round(tokens / max(1, counted) * count),
        "epochs": (card.get("knobs") or {}).get("epochs"),
        "counted": counted,
    }


def _count_training_rows(folder: Path, tokenizer: Path) -> tuple[int, int, int | None]:
    """The number of usable rows, how many of them were tokenized, and the tokens of those; None without a tokenizer."""
    table = scan(folder)
    columns = table.collect_schema().names()
    texts = [name for name in ("response", "chosen", "rejected") if name in columns]
    usable = table.filter(pl.all_horizontal(pl.lit(True), *((pl.col(name).fill_null("") != "") for name in texts)))
    count = usable.select(pl.len()).collect().item()
    if not tokenizer.exists():
        return count, 0, None
    wanted = [name for name in ("messages", "chosen", "rejected") if name in columns]
    sample = usable.select(wanted).gather_every(max(1, count // _MAX_TOKENIZED)).collect()
    return count, len(sample), _count_tokens(sample, tokenizer)


def _count_tokens(table: Table, tokenizer: Path) -> int | None:
    """The number of tokens of a table's texts, without those of the chat template."""
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        return None
    columns = [table[name] for name in ("chosen", "rejected") if name in table.columns]
    if "messages" in table.columns:
        columns.append(table["messages"].explode().struct.field("content"))
    texts = [text for column in columns for text in column.drop_nulls().to_list()]
    return sum(map(len, Tokenizer.from_file(str(tokenizer)).encode_batch_fast(texts, add_special_tokens=False)))

"""What it took to make the model that gave a side's answers: rows and tokens to train on, replies, tokens, money, time.

Read from the cards of the steps that the model stands on, so what another run of this home has paid for counts as well; what
a journal knew already is counted as recalled, and cost nothing. Unknown prices are not nought: they are named.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.table import Table, scan
from attar.outputs.compare.align import Side
from attar.outputs.dataset.lineage import ancestry, trainer_of
from attar.runtime.home import Home, read_card

_LOOKED_AT = 4_000
"""Rows whose tokens are counted, evenly spread; the others are taken to be like them."""
_COUNTS = ("asked", "recalled", "tokens_in", "tokens_out")
TAKEN = {
    "id": pl.String,
    "side": pl.String,
    "what": pl.String,
    **dict.fromkeys(_COUNTS, pl.Int64),
    "seconds": pl.Float64,
    "cost": pl.Float64,
    "unpriced": pl.List(pl.String),
}
TRAINED = {
    "id": pl.String,
    "side": pl.String,
    "step": pl.String,
    "stage": pl.String,
    "rows": pl.Int64,
    "tokens": pl.Int64,
    "epochs": pl.Float64,
    "counted": pl.Int64,
}


def taken(home: Home, sides: Sequence[Side]) -> Table:
    """side, what, asked, recalled, tokens_in, tokens_out, seconds, cost, unpriced: of `making`, `exam` and the whole `run`.

    Making is all that the trained model stands on; where none was trained there is no such line.
    """
    out = []
    for side in sides:
        training = trainings(side)
        made = _below(side.record, training[0]) if training else []
        names = {step["name"] for step in made}
        exam = [step for step in _below(side.record, side.step) if step["name"] not in names]
        for what, steps in (("making", made), ("exam", exam), ("run", side.record["steps"])):
            if steps:
                out.append({"id": f"{side.name}/{what}", "side": side.name, "what": what, **_spent(home, steps)})
    return pl.DataFrame(out, schema=TAKEN)


def trained(home: Home, sides: Sequence[Side]) -> Table:
    """side, step, stage, rows, tokens, epochs, counted: each training behind a side's model, the first one first.

    Tokens are those of the texts, as the model's own tokenizer reads them, each row once; null where it cannot be had.
    """
    lines = [_training(home, side, step) for side in sides for step in reversed(trainings(side))]
    return pl.DataFrame(lines, schema=TRAINED)


def trainings(side: Side) -> list[Mapping[str, Any]]:
    """The trainings behind the model that answered, its last one first; none where the model came from elsewhere."""
    steps = {step["name"]: step for step in side.record["steps"]}
    writer, out = _writer(side.step, steps), []
    while writer and (own := trainer_of(writer, steps)):
        writer = steps[own[0]]
        out.append(writer)
    return out


def _writer(step: Mapping[str, Any], steps: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The step that wrote the answers: the nearest one before that asked an engine, judges aside."""
    queue, seen = list(step["inputs"]), set()
    while queue:
        name = queue.pop(0)
        found = steps[name]
        if found["engine"] is not None and found["marks"]["role"] != "exam":
            return found
        queue += [before for before in found["inputs"] if before not in seen]
        seen |= set(found["inputs"])
    return None


def _below(record: Mapping[str, Any], step: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The step and all that it stands on."""
    return ancestry({**record, "results": {"it": step["folder"]}}, ["it"])


def _spent(home: Home, steps: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    sums: dict[str, Any] = dict.fromkeys(_COUNTS, 0) | {"seconds": 0.0}
    costs, unpriced = [], set()
    for step in steps:
        if (found := read_card(home.steps / step["folder"])) is None:
            continue
        spent = found.get("spent") or found
        for name in _COUNTS:
            sums[name] += spent.get(name, 0)
        sums["seconds"] += max(found.get("seconds", 0.0), spent.get("seconds", 0.0))
        if found.get("cost") is not None:
            costs.append(found["cost"])
        elif spent.get("asked", 0):
            unpriced.add(str(step["engine"]))
    return sums | {"cost": sum(costs) if costs else None, "unpriced": sorted(unpriced)}


def _training(home: Home, side: Side, step: Mapping[str, Any]) -> dict[str, Any]:
    own = read_card(home.steps / step["folder"]) or {}
    rows = next(other["folder"] for other in side.record["steps"] if other["name"] == step["inputs"][0])
    count, looked, found = _read(home.steps / rows, home.steps / step["folder"] / "model" / "tokenizer.json")
    return {
        "id": f"{side.name}/{step['name']}",
        "side": side.name,
        "step": step["name"],
        "stage": step["stage"],
        "rows": count,
        "tokens": None if found is None else round(found / max(1, looked) * count),
        "epochs": (own.get("knobs") or {}).get("epochs"),
        "counted": looked,
    }


def _read(folder: Path, tokenizer: Path) -> tuple[int, int, int | None]:
    """Rows that can be trained on, how many of them were looked at, and those ones' tokens."""
    table = scan(folder)
    there = table.collect_schema().names()
    texts = [name for name in ("response", "chosen", "rejected") if name in there]
    usable = table.filter(pl.all_horizontal(pl.lit(True), *((pl.col(name).fill_null("") != "") for name in texts)))
    count = usable.select(pl.len()).collect().item()
    if not tokenizer.exists():
        return count, 0, None
    wanted = [name for name in ("messages", "chosen", "rejected") if name in there]
    looked = usable.select(wanted).gather_every(max(1, count // _LOOKED_AT)).collect()
    return count, len(looked), _tokens(looked, tokenizer)


def _tokens(table: Table, tokenizer: Path) -> int | None:
    """How many tokens the texts of a table have, turn by turn, without what a template puts around them."""
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        return None
    said = [table[name] for name in ("chosen", "rejected") if name in table.columns]
    if "messages" in table.columns:
        said.append(table["messages"].explode().struct.field("content"))
    texts = [text for column in said for text in column.drop_nulls().to_list()]
    return sum(map(len, Tokenizer.from_file(str(tokenizer)).encode_batch_fast(texts, add_special_tokens=False)))

"""The lineage of a run's data: the steps that it depends on, in order, as plain data without secrets or paths."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.errors import DataError
from attar.core.table import scan, table_schema
from attar.outputs.dataset import redact
from attar.runtime.home import Home, read_card, record_with_marks

_COUNTS = ("asked", "recalled", "tokens_in", "tokens_out", "seconds")
_MOST_REASONS = 20
_TEXTS = {"messages", "prompt", "response", "chosen", "rejected"}


def finished_record(home: Home, name: str) -> dict[str, Any]:
    """The record of a finished run; raises if the run is not finished."""
    record = record_with_marks(home, name)
    undone = [step["name"] for step in record["steps"] if read_card(home.steps / step["folder"]) is None]
    if record["finished"] is None or undone:
        left = f" (not done: {', '.join(undone[:3])}{', ...' if len(undone) > 3 else ''})" if undone else ""
        raise DataError(f"run {name!r} is not finished{left}: run attar resume {name}")
    return record


def ancestry(record: Mapping[str, Any], results: Iterable[str]) -> list[dict[str, Any]]:
    """The steps that these results depend on, in the order in which they ran."""
    steps = {step["name"]: step for step in record["steps"]}
    by_folder = {step["folder"]: step["name"] for step in record["steps"]}
    wanted, queue = set(), [by_folder[record["results"][name]] for name in results]
    while queue:
        name = queue.pop()
        if name not in wanted:
            wanted.add(name)
            queue += [*steps[name]["inputs"], *trainer_of(steps[name], steps)]
    return [step for step in record["steps"] if step["name"] in wanted]


def text_sources(home: Home, record: Mapping[str, Any], results: Iterable[str]) -> dict[str, list[str]]:
    """The steps that these results' texts come from: `read` from a pool, or `written` by a model."""
    steps = {step["name"]: step for step in record["steps"]}
    by_folder = {step["folder"]: step["name"] for step in record["steps"]}
    seen, queue = set(), [by_folder[record["results"][name]] for name in results]
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            inputs = steps[name]["inputs"]
            queue += inputs if steps[name]["marks"]["role"] == "union" else inputs[:1]
    path = [step for step in record["steps"] if step["name"] in seen]
    return {
        "read": [step["name"] for step in path if step["marks"]["role"] == "pool"],
        "written": [step["name"] for step in path if step["engine"] and _adds_texts(home, step, steps)],
    }


def _adds_texts(home: Home, step: Mapping[str, Any], steps: Mapping[str, Any]) -> bool:
    """True if the step's model generated texts: by the step's role, or because it added a column of texts."""
    if step["marks"]["role"] in ("samples", "answers"):
        return True
    before = [name for other in step["inputs"][:1] for name in _columns_of(home, steps[other])]
    return bool(_TEXTS & set(_columns_of(home, step)) - set(before))


def _columns_of(home: Home, step: Mapping[str, Any]) -> list[str]:
    return list(table_schema(home.steps / step["folder"]))


def trainer_of(step: Mapping[str, Any], steps: Mapping[str, Any]) -> list[str]:
    """The step that trained the model of this step, as a list; empty if no step of the run did."""
    return [step["engine"]] if step.get("role") is None and step["engine"] in steps else []


def lineage(home: Home, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each step: stage, model, knobs, rows in and out, dropped rows with reasons, and usage."""
    cards = {step["name"]: read_card(home.steps / step["folder"]) or {} for step in steps}
    return [_step_facts(step, cards, {other["name"]: other for other in steps}, home.steps / step["folder"]) for step in steps]


def _step_facts(
    step: dict[str, Any], cards: Mapping[str, dict[str, Any]], steps: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    card = cards[step["name"]]
    dropped = _drop_reasons(folder)
    rows_in = cards[step["inputs"][0]].get("rows") if step["inputs"] else None
    spent = card.get("spent") or card
    return {
        "step": step["name"],
        "stage": step["stage"],
        "does": step["marks"]["role"],
        "role": step.get("role"),
        "engine": _public_engine_name(step, steps),
        "kind": (card.get("engine") or {}).get("kind"),
        "trained": bool(trainer_of(step, steps)),
        "knobs": redact.redact_value(card.get("knobs") or {}),
        "rows_in": rows_in,
        "rows_out": card["rows"] - sum(dropped.values()) if dropped is not None else card["rows"],
        "dropped": None if dropped is None else sum(dropped.values()),
        "reasons": {
            redact.redact_message(reason): count for reason, count in (dropped or Counter()).most_common(_MOST_REASONS)
        },
        "failed": card.get("failed", 0),
        "errors": {redact.redact_message(reason): count for reason, count in (card.get("errors") or {}).items()},
        **{name: spent.get(name, 0) for name in _COUNTS},
        "cost": card.get("cost"),
    }


def _public_engine_name(step: Mapping[str, Any], steps: Mapping[str, Any]) -> str | None:
    if step["engine"] is None:
        return None
    trainer = trainer_of(step, steps)
    return f"the model of step {trainer[0]}" if trainer else redact.redact_model(step["engine"])


def _drop_reasons(folder: Path) -> Counter[str] | None:
    """The reasons of a verdict table with their counts, numbers and items removed; None for any other table."""
    if not {"kept", "reason"} <= set(table_schema(folder)):
        return None
    reason = pl.col("reason").str.replace(r"^rank \d+", "rank").str.replace(r"(cosine|Jaccard) [\d.]+", "$1")
    reason = reason.str.replace(r"^(overlaps .+) item .+$", "$1").fill_null("no reason given")
    counted = scan(folder).filter(~pl.col("kept")).select(reason).group_by("reason").len().collect()
    return Counter(dict(counted.iter_rows()))


def public_model_names(home: Home, record: Mapping[str, Any]) -> dict[str, str]:
    """The models that rows may name as their engine, mapped to their public names where these differ."""
    steps = {step["name"]: step for step in record["steps"]}
    out = {}
    for step in record["steps"]:
        engine = (read_card(home.steps / step["folder"]) or {}).get("engine")
        if engine and (name := _public_engine_name(step, steps) or "") != engine["model"]:
            out[engine["model"]] = name
    return out


def run_file(record: Mapping[str, Any]) -> dict[str, Any]:
    """The run file with secrets, paths and private addresses redacted."""
    engines = {
        role: {"kind": engine["kind"], "model": redact.redact_model(engine["model"])}
        | redact.redact_value({key: value for key, value in engine.items() if key not in ("kind", "model")})
        for role, engine in record["engines"].items()
    }
    return {"recipe": redact.redact_value(record["recipe"]), "engines": engines, "knobs": redact.redact_value(record["knobs"])}

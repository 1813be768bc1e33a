"""Start a run: write its record, run its steps, then write the dataset and the report."""

import json
import time
from calendar import timegm
from pathlib import Path
from typing import Any

from attar.core.errors import RecipeError
from attar.core.stage import stage_name
from attar.engines.prices import price_of
from attar.engines.registry import kind_of
from attar.outputs.dataset.write import MARK, has_data, write_dataset
from attar.outputs.report.page import is_complete, write_report
from attar.runtime.flow import Step, Trace
from attar.runtime.home import Home, read_card, run_record, write_json
from attar.runtime.reporter import Reporter
from attar.runtime.run_file import RunFile
from attar.runtime.runner import run

_WHEN = "%Y-%m-%dT%H:%M:%SZ"


def start(file: RunFile, home: Home, watch: Reporter) -> dict[str, Any]:
    """Run a run file to its end, and return its record with the folders of its results."""
    trace = file.trace()
    record = _make_record(file, trace)
    path = home.runs / f"{file.name}.json"
    before = run_record(home, file.name) if path.exists() else None
    if before and before["file"] != record["file"]:
        raise RecipeError(
            f"{home.root} has a run {file.name!r} of {before['file']}: rename this run file, or choose another home"
        )
    _check_prices(file)
    same = before is not None and _already_finished(before, record)
    if before and same:
        record |= {key: before[key] for key in ("started", "seconds", "finished")}
    write_json(path, record)
    began = time.time()
    folders = run(trace, home, watch, file.settings, file.limits, file.name)
    if record["finished"] and _changed_since(record["finished"], trace, home):  # failed rows succeeded this time
        same = False
        record["finished"] = None
    if not record["finished"]:
        record |= {"seconds": round(time.time() - began, 1), "finished": _now()}
        write_json(path, record)
    paths = {"results": {name: str(folder) for name, folder in folders.items()}, "home": str(home.root)}
    report, dataset = _report(home, record, same, watch), _dataset(home, record, same, watch)
    return record | paths | {"report": str(report), "dataset": dataset}


def _already_finished(before: dict[str, Any], record: dict[str, Any]) -> bool:
    """True if this exact run has finished before."""
    own = {key: value for key, value in json.loads(json.dumps(record)).items() if key not in ("started", "finished")}
    return bool(before["finished"]) and all(before.get(key) == value for key, value in own.items())


def _changed_since(finished: str, trace: Trace, home: Home) -> bool:
    """True if a step was made after the run finished."""
    cards = (read_card(home.folder(step)) for step in trace.steps)
    return any(card["made"] > finished for card in cards if card)


def _is_current(file: Path, record: dict[str, Any]) -> bool:
    """True if the file was written after the run finished."""
    return file.exists() and file.stat().st_mtime >= timegm(time.strptime(record["finished"], _WHEN))


def _report(home: Home, record: dict[str, Any], same: bool, watch: Reporter) -> Path:
    """The run's report, written again if the run has changed, or if it has no end."""
    page = home.runs / f"{record['name']}.html"
    current = same and _is_current(page, record) and is_complete(page)
    return page if current else write_report(home, record["name"], waiting=watch.say)


def _dataset(home: Home, record: dict[str, Any], same: bool, watch: Reporter) -> str | None:
    """The folder of the run's dataset, written again if the run has changed; None if no result is data."""
    if not has_data(home, record):
        return None
    mark = home.runs / f"{record['name']}.dataset" / MARK
    current = same and _is_current(mark, record)
    return str(mark.parent if current else write_dataset(home, record["name"], waiting=watch.say))


def _check_prices(file: RunFile) -> None:
    """A cost limit needs a price for every engine."""
    for role, spec in file.engines.items():
        if file.limits.cost is not None and kind_of(spec).billed and price_of(spec) is None:
            raise RecipeError(
                f"{file.path}: limits has a cost, but the price of {role} ({spec.model}) is not known; set `price`, "
                "such as {input: 0.15, output: 0.60} per million tokens, or {hour: 0} for a server of your own"
            )


def _make_record(file: RunFile, trace: Trace) -> dict[str, Any]:
    return {
        "name": file.name,
        "file": str(file.path.resolve()),
        "recipe": file.recipe,
        "paper": vars(file.function).get("paper"),
        "engines": {role: {"kind": spec.kind, "model": spec.model, **spec.options} for role, spec in file.engines.items()},
        "knobs": dict(file.knobs),
        "remarks": list(trace.remarks),
        "steps": [_step_record(step, file) for step in trace.steps],
        "results": {name: step.folder for name, step in trace.results.items()},
        "started": _now(),
        "finished": None,
    }


def _step_record(step: Step, file: RunFile) -> dict[str, Any]:
    roles = [role for role, spec in file.engines.items() if spec == step.engine]
    return {
        "role": roles[0] if roles else None,
        "name": step.name,
        "stage": stage_name(step.stage),
        "marks": step.marks.plain(),
        "folder": step.folder,
        "inputs": [before.name for before in step.inputs],
        "engine": step.engine_name,
    }


def _now() -> str:
    return time.strftime(_WHEN, time.gmtime())

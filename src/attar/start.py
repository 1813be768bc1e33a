"""Starting a run: its record in the home, its steps, its results, and what goes out: the dataset and the report."""

import time
from typing import Any

from attar.dataset.write import MARK, has_data, write_dataset
from attar.engines.base import Spec
from attar.engines.prices import price_of
from attar.errors import RecipeError
from attar.flow import Step, Trace
from attar.home import Home, run_record, write_json
from attar.report.page import write_report
from attar.run import Watch, run
from attar.runfile import RunFile
from attar.stage import stage_name


def start(file: RunFile, home: Home, watch: Watch) -> dict[str, Any]:
    """Run a run file to its end; its record with the folders of its results."""
    trace = file.trace()
    record = _record(file, trace)
    kept = home.runs / f"{file.name}.json"
    if kept.exists() and (other := run_record(home, file.name)["file"]) != record["file"]:
        raise RecipeError(f"{home.root} holds a run {file.name!r} of {other}: rename this run file, or name another home")
    _priced(file)
    write_json(kept, record)
    began = time.time()
    folders = run(trace, home, watch, file.settings, file.limits, file.name)
    record |= {"seconds": round(time.time() - began, 1), "finished": _now()}
    write_json(kept, record)
    given = {"results": {name: str(folder) for name, folder in folders.items()}, "home": str(home.root)}
    return record | given | {"report": str(write_report(home, file.name)), "dataset": _dataset(home, record)}


def _dataset(home: Home, record: dict[str, Any]) -> str | None:
    """The folder of the run's data, made anew where a result is newer than it; None where no result is data."""
    if not has_data(home, record):
        return None
    mark = home.runs / f"{record['name']}.dataset" / MARK
    made = max((home.steps / folder / "card.json").stat().st_mtime for folder in record["results"].values())
    fresh = mark.exists() and mark.stat().st_mtime > made
    return str(mark.parent if fresh else write_dataset(home, record["name"]))


def _priced(file: RunFile) -> None:
    """A limit on cost needs prices to keep to."""
    for role, spec in file.engines.items():
        if file.limits.cost is not None and spec.kind not in ("local", "fake") and price_of(spec) is None:
            raise RecipeError(
                f"{file.path}: limits has a cost, but the price of {role} ({spec.model}) is not known; say it with `price`, "
                "such as {input: 0.15, output: 0.60} for a million tokens, or {hour: 0} on a server of your own"
            )


def _record(file: RunFile, trace: Trace) -> dict[str, Any]:
    return {
        "name": file.name,
        "file": str(file.path.resolve()),
        "recipe": file.recipe,
        "paper": vars(file.function).get("paper"),
        "engines": {role: {"kind": spec.kind, "model": spec.model, **spec.options} for role, spec in file.engines.items()},
        "knobs": dict(file.knobs),
        "steps": [_step(step, file) for step in trace.steps],
        "results": {name: step.folder for name, step in trace.results.items()},
        "started": _now(),
        "finished": None,
    }


def _step(step: Step, file: RunFile) -> dict[str, Any]:
    engine = step.engine
    roles = [role for role, spec in file.engines.items() if spec == engine]
    return {
        "role": roles[0] if roles else None,
        "name": step.name,
        "stage": stage_name(step.stage),
        "folder": step.folder,
        "inputs": [before.name for before in step.inputs],
        "engine": engine.model if isinstance(engine, Spec) else engine.name if engine else None,
    }


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

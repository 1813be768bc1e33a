"""Ask again the rows of complete steps that failed for reasons that pass.

They are asked first, without a change to any table: new replies go to the journal. Only if some rows have succeeded, the
step's parts with such rows are removed, and before them everything that was made from the step; the run then makes it again,
with the journal's replies. A process that is killed on the way leaves no table beside one that it was not made from.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attar.core.stage import marks
from attar.core.table import read_rows
from attar.engines.base import Spec
from attar.engines.journaling import Journaled
from attar.runtime.executor import run_span
from attar.runtime.flow import MODEL, Step, Trace
from attar.runtime.home import Home, lock_step, read_card, read_json
from attar.runtime.reporter import Reporter
from attar.runtime.settings import Settings
from attar.runtime.stage_calls import call_whole, empty_folder, part_results, rowwise_job
from attar.runtime.trained_models import TRAINED_BEFORE


def is_retried(step: Step, card: dict[str, Any], trace: Trace, home: Home, watch: Reporter, settings: Settings) -> bool:
    """True if a complete step has failed rows to ask again; says so if it has, and a finished training stands in the way."""
    count = card.get("transient") or 0
    if not count or not card["engine"] or settings.retry == "none":
        return False
    trained = [name for name in find_dependents(trace, home, step.folder) if _is_trained(home.steps / name)]
    if trained and settings.retry == "transient":
        watch.say(
            f"step {step.name}: {count:,} rows failed for reasons that pass, but a model was trained on what came of the "
            "others;  attar retry RUN  asks them again and trains again"
        )
        return False
    watch.say(f"step {step.name}: {count:,} rows failed for reasons that pass; they are asked again")
    return True


def ask_again(step: Step, home: Home, engine: Journaled, spec: Spec | None) -> int:
    """Ask the failed rows of a complete step again; how many have succeeded. Only the journal changes."""
    card = read_card(home.folder(step)) or {}
    if not step.marks.rowwise:
        return card["transient"] - call_whole(step, home, engine, spec)[1].transient
    job = rowwise_job(step, home)
    sides = () if marks(job.stage).aligned else tuple(read_rows(rows, 0, rows.count) for rows in job.inputs[1:])
    succeeded = 0
    for _, before in part_results(step, home):
        if before.transient:
            succeeded += before.transient - run_span(job, engine, sides, before.start, before.stop)[1].transient
    return succeeded


def reopen(step: Step, trace: Trace, home: Home, watch: Reporter) -> None:
    """Make a complete step incomplete: its parts with rows to ask again go, and before them all that was made from it."""
    for name in find_dependents(trace, home, step.folder):
        folder = home.steps / name
        if folder.exists():
            with lock_step(folder, watch.say):
                _clear(folder)
    with lock_step(folder := home.folder(step), watch.say):
        (folder / "card.json").unlink(missing_ok=True)
        for path, result in part_results(step, home) if step.marks.rowwise else ():
            if result.transient:
                path.unlink()


def _clear(folder: Path) -> None:
    """Remove a step's output, its card first; a training leaves a mark that there was one."""
    if (folder / MODEL).exists():
        (folder / TRAINED_BEFORE).touch()
    (folder / "card.json").unlink(missing_ok=True)
    empty_folder(folder)


def find_dependents(trace: Trace, home: Home, folder: str) -> list[str]:
    """The folders of all steps made from a step, in this run and in the home's other runs: what was made last comes first."""
    made_from: dict[str, set[str]] = {}
    for name, sources in _edges(trace, home):
        made_from.setdefault(name, set()).update(sources)
    found: list[str] = []

    def visit(source: str) -> None:
        for name, sources in made_from.items():
            if source in sources and name not in found:
                visit(name)
                if name not in found:
                    found.append(name)

    visit(folder)
    return found


def _edges(trace: Trace, home: Home) -> Iterator[tuple[str, set[str]]]:
    """Each step's folder, with the folders of its inputs and of the step that trained its engine."""
    for step in trace.steps:
        engine = [step.engine.folder] if isinstance(step.engine, Step) else []
        yield step.folder, {*(before.folder for before in step.inputs), *engine}
    for file in sorted(home.runs.glob("*.json")):
        steps = read_json(file)["steps"]
        folders = {step["name"]: step["folder"] for step in steps}
        for step in steps:
            sources = [*step.get("inputs", ()), step.get("engine")]
            yield step["folder"], {folders[name] for name in sources if name in folders}


def _is_trained(folder: Path) -> bool:
    return (folder / MODEL).exists() and read_card(folder) is not None

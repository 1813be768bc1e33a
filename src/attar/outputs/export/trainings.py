"""What a run has to train on, for a trainer of another house: its rows, and the settings of its own training.

Where the run trained nothing, settings are the stages' defaults under the run's knobs of the same names.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attar.core.errors import DataError, RecipeError
from attar.core.table import parts
from attar.engines.local.engine import find_model_folder
from attar.runtime.home import Home, read_card, record_with_marks
from attar.stages.train import preference, sft
from attar.stages.train.trainer import TrainingSettings

_AT_ONCE = 4
"""Rows that one device takes at a time, at most; the rest of a batch is accumulated."""

_STAGES = (
    ("sft", "answers", sft.train, "train"),
    ("pairs", "pairs", preference.train, "prefer"),
)
"""Results by name, what a stage that trains on each is marked with, ours, and the group of knobs that built-in recipes keep."""


@dataclass(frozen=True, slots=True)
class Training:
    """One training to export: its method (`sft` or a preference method), its rows, its settings."""

    method: str
    rows: Path
    settings: TrainingSettings
    method_knobs: Mapping[str, Any]
    base: str
    out: str

    @property
    def name(self) -> str:
        """What its files are called."""
        return "sft" if self.method == "sft" else "pairs"

    @property
    def portions(self) -> tuple[int, int]:
        """Rows at a time, and how often they are accumulated: together the batch, on one device."""
        batch = self.settings.batch
        at_once = next(size for size in range(min(batch, _AT_ONCE), 0, -1) if batch % size == 0)
        return at_once, batch // at_once

    @property
    def warmup(self) -> dict[str, Any]:
        """Warm-up as a share or as steps."""
        warmup = self.settings.warmup
        return {"warmup_ratio": warmup} if warmup < 1 else {"warmup_steps": int(warmup)}


def trainings(home: Home, run: str, base: str | None) -> list[Training]:
    """What a run has to train on: first its conversations, then its pairs, which start from the model of the former."""
    record, found = record_with_marks(home, run), []
    for result, taught, stage, group in _STAGES:
        step, folder = _step(record, result, taught)
        if folder is None:
            continue
        if not parts(home.steps / folder):
            raise DataError(f"run {run!r} has not made its {result} rows yet: finish it with  attar resume {run}")
        knobs = _knobs(home, record, stage, step, group)
        start = "./sft-model" if found else base or _base(home, record, step)
        if start is None:
            raise RecipeError(f"run {run!r} has no base of its own: name the model to train with  --base MODEL")
        settings = TrainingSettings.from_knobs(knobs)
        method_knobs = {name: value for name, value in knobs.items() if name not in asdict(settings)}
        method = method_knobs.pop("method", "sft")
        found.append(Training(method, home.steps / folder, settings, method_knobs, start, f"./{result}-model"))
    if not found:
        raise DataError(f"run {run!r} has no rows to train on: none of its results is called sft or pairs")
    return found


def _step(record: Mapping[str, Any], result: str, taught: str) -> tuple[Mapping[str, Any] | None, str | None]:
    """The step that trains on a result, if there is one, and the folder of that result's rows."""
    folders = {step["name"]: step["folder"] for step in record["steps"]}
    steps = [step for step in record["steps"] if step["marks"]["trains"] == taught]
    folder = record["results"].get(result) or (folders[steps[0]["inputs"][0]] if steps else None)
    return next((step for step in steps if folders[step["inputs"][0]] == folder), None), folder


def _knobs(home: Home, record: Mapping[str, Any], stage: Callable[..., Any], step: Any, group: str) -> dict[str, Any]:
    """A stage's defaults, under what the run file says (in a group, or by the same name), under what the step was given."""
    parameters = inspect.signature(stage).parameters.values()
    knobs = {one.name: one.default for one in parameters if one.default is not one.empty}
    if group == "train":
        knobs |= {name: value for name, value in record["knobs"].items() if name in knobs}
    knobs |= record["knobs"].get(group) or {}
    own = read_card(home.steps / step["folder"]) if step else None
    knobs |= own["knobs"] if own else {}
    if "method" in knobs and knobs["beta"] is None:
        knobs["beta"] = preference.BETAS[knobs["method"]]
    return knobs


def _base(home: Home, record: Mapping[str, Any], step: Mapping[str, Any] | None) -> str | None:
    """The model that a step trained; one that lies here is named by its folder."""
    if step is None:
        return None
    before = next((other for other in record["steps"] if other["name"] == step["engine"]), None)
    if before and step["role"] is None:
        return str((home.steps / before["folder"] / "model").resolve())
    folder = find_model_folder(step["engine"])
    return str(folder.resolve()) if folder else step["engine"]

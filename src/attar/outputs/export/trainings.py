"""The rows of a run that another trainer can train on, with the settings of the run's own training.

If the run trained nothing, the settings are the stages' defaults, overridden by the run's knobs of the same names.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attar.core.errors import DataError, RecipeError
from attar.core.table import parts
from attar.engines.local.spec import find_model_folder
from attar.runtime.home import Home, read_card, record_with_marks
from attar.stages.train import preference, sft
from attar.stages.train.trainer import TrainingSettings

_MAX_DEVICE_BATCH = 4
"""Maximum batch size on one device; the rest of a batch is accumulated."""

_STAGES = (
    ("sft", "answers", sft.train, "train"),
    ("pairs", "pairs", preference.train, "prefer"),
)
"""Result name, the `trains` mark of stages that train on it, Attar's stage for it, and its knob group in built-in recipes."""


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
        """The name of its files."""
        return "sft" if self.method == "sft" else "pairs"

    @property
    def batch_split(self) -> tuple[int, int]:
        """Batch size on the device and accumulation steps; their product is the batch."""
        batch = self.settings.batch
        device_batch = next(size for size in range(min(batch, _MAX_DEVICE_BATCH), 0, -1) if batch % size == 0)
        return device_batch, batch // device_batch

    @property
    def warmup(self) -> dict[str, Any]:
        """Warm-up as a ratio or as a number of steps."""
        warmup = self.settings.warmup
        return {"warmup_ratio": warmup} if warmup < 1 else {"warmup_steps": int(warmup)}


def find_trainings(home: Home, run: str, base: str | None) -> list[Training]:
    """The trainings of a run: first on conversations, then on pairs, which start from the model of the first."""
    record = record_with_marks(home, run)
    trainings: list[Training] = []
    for result, mark, stage, group in _STAGES:
        step, folder = _training_step(record, result, mark)
        if folder is None:
            continue
        if not parts(home.steps / folder):
            raise DataError(f"run {run!r} has no {result} rows yet: finish it with  attar resume {run}")
        knobs = _resolve_knobs(home, record, stage, step, group)
        start = "./sft-model" if trainings else base or _base_model(home, record, step)
        if start is None:
            raise RecipeError(f"run {run!r} has no base model of its own: name the model to train with  --base MODEL")
        settings = TrainingSettings.from_knobs(knobs)
        method_knobs = {name: value for name, value in knobs.items() if name not in asdict(settings)}
        method = method_knobs.pop("method", "sft")
        trainings.append(Training(method, home.steps / folder, settings, method_knobs, start, f"./{result}-model"))
    if not trainings:
        raise DataError(f"run {run!r} has no rows to train on: it has no result called sft or pairs")
    return trainings


def _training_step(record: Mapping[str, Any], result: str, mark: str) -> tuple[Mapping[str, Any] | None, str | None]:
    """The step that trains on a result, if there is one, and the folder of that result's rows."""
    folders = {step["name"]: step["folder"] for step in record["steps"]}
    steps = [step for step in record["steps"] if step["marks"]["trains"] == mark]
    folder = record["results"].get(result) or (folders[steps[0]["inputs"][0]] if steps else None)
    return next((step for step in steps if folders[step["inputs"][0]] == folder), None), folder


def _resolve_knobs(home: Home, record: Mapping[str, Any], stage: Callable[..., Any], step: Any, group: str) -> dict[str, Any]:
    """A stage's defaults, overridden by the run file (a group or the same names), overridden by the step's card."""
    parameters = inspect.signature(stage).parameters.values()
    knobs = {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}
    if group == "train":
        knobs |= {name: value for name, value in record["knobs"].items() if name in knobs}
    knobs |= record["knobs"].get(group) or {}
    card = read_card(home.steps / step["folder"]) if step else None
    knobs |= card["knobs"] if card else {}
    if "method" in knobs and knobs["beta"] is None:
        knobs["beta"] = preference.BETAS[knobs["method"]]
    return knobs


def _base_model(home: Home, record: Mapping[str, Any], step: Mapping[str, Any] | None) -> str | None:
    """The model that a step trained; a local model as the path of its folder."""
    if step is None:
        return None
    before = next((other for other in record["steps"] if other["name"] == step["engine"]), None)
    if before and step["role"] is None:
        return str((home.steps / before["folder"] / "model").resolve())
    folder = find_model_folder(step["engine"])
    return str(folder.resolve()) if folder else step["engine"]

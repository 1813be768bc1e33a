"""Export a run's rows and settings for another trainer: TRL's command, axolotl or LLaMA-Factory.

Writes data files in that trainer's format and one configuration for each, and returns the commands to run. A run without a base
model can be exported too: `base` then names the model to train.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from attar.core.atomic import clear_leftovers, replace_file, replace_text
from attar.core.errors import RecipeError, did_you_mean
from attar.core.output_lock import lock_output
from attar.outputs.export import configs
from attar.outputs.export.shapes import shape_rows
from attar.outputs.export.trainings import Training, find_trainings
from attar.runtime.home import Home

COMMANDS = {
    "trl": "trl {kind} --config {file}",
    "axolotl": "axolotl train {file}",
    "llamafactory": "llamafactory-cli train {file}",
}


def export(home: Home, run: str, form: str, out: Path, base: str | None = None) -> list[str]:
    """Write a run's rows and configurations into a folder, and return the commands that train on them."""
    if form not in COMMANDS:
        raise RecipeError(f"no export for {form!r}; {did_you_mean(form, COMMANDS)}")
    trainings = find_trainings(home, run, base)
    config = {"trl": configs.trl, "axolotl": configs.axolotl, "llamafactory": configs.llamafactory}[form]
    configurations = [config(training) for training in trainings]
    with lock_output(out):
        out.mkdir(exist_ok=True)
        for training, settings in zip(trainings, configurations, strict=True):
            for file in (f"{training.name}.jsonl", f"{training.name}.yaml", "dataset_info.json"):
                clear_leftovers(out / file)
            _write_rows(out / f"{training.name}.jsonl", shape_rows(form, training))
            note = f"# {training.method} on the rows of run {run}; a batch of {training.settings.batch} rows on one device\n"
            replace_text(out / f"{training.name}.yaml", note + yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
        if form == "llamafactory":
            dataset_info = {f"attar_{training.name}": configs.dataset_info(training) for training in trainings}
            replace_text(out / "dataset_info.json", json.dumps(dataset_info, indent=2) + "\n")
    return [f"cd {out} && {_command(form, training)}" for training in trainings]


def _write_rows(file: Path, rows: Iterator[dict[str, Any]]) -> None:
    with replace_file(file) as partial, partial.open("x", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def _command(form: str, training: Training) -> str:
    kind = {"ipo": "dpo"}.get(training.method, training.method)  # TRL's name of the method
    return COMMANDS[form].format(kind=kind, file=f"{training.name}.yaml")

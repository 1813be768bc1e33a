"""A run's rows and settings for another trainer: TRL's own command, axolotl or LLaMA-Factory.

Written are data files as that trainer reads them, a configuration for each, and the commands to run. A run without a base
exports as well: the model to train is then named by `base`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from attar.core.errors import RecipeError, did_you_mean
from attar.outputs.export import configs
from attar.outputs.export.shapes import shape
from attar.outputs.export.trainings import trainings
from attar.runtime.home import Home

COMMANDS = {
    "trl": "trl {kind} --config {file}",
    "axolotl": "axolotl train {file}",
    "llamafactory": "llamafactory-cli train {file}",
}


def export(home: Home, run: str, form: str, out: Path, base: str | None = None) -> list[str]:
    """Write a run's rows and configurations into a folder; the commands that train on them."""
    if form not in COMMANDS:
        raise RecipeError(f"there is no export for {form!r}; {did_you_mean(form, COMMANDS)}")
    found = trainings(home, run, base)
    config = {"trl": configs.trl, "axolotl": configs.axolotl, "llamafactory": configs.llamafactory}[form]
    written = [config(training) for training in found]
    out.mkdir(parents=True, exist_ok=True)
    commands = []
    for training, settings in zip(found, written, strict=True):
        _write(out / f"{training.name}.jsonl", shape(form, training))
        note = f"# {training.method} on the rows of run {run}; a batch of {training.settings.batch} rows on one device\n"
        (out / f"{training.name}.yaml").write_text(note + yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
        commands.append(f"cd {out} && {COMMANDS[form].format(kind=_command(training.method), file=f'{training.name}.yaml')}")
    if form == "llamafactory":
        about = {f"attar_{training.name}": configs.dataset_info(training) for training in found}
        (out / "dataset_info.json").write_text(json.dumps(about, indent=2) + "\n")
    return commands


def _write(file: Path, rows: Iterator[dict[str, Any]]) -> None:
    with file.open("w", encoding="utf-8") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")


def _command(method: str) -> str:
    return {"ipo": "dpo"}.get(method, method)

"""Checkpoints of a training: written next to the model, used to resume it, removed once the model is saved.

A checkpoint is used only by the training that wrote it: same rows, knobs, base, library versions and number of processes. An
incomplete checkpoint is deleted.
"""

import hashlib
import json
import shutil
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from attar.core.fingerprint import fingerprint
from attar.core.table import Table

SAVE_INTERVAL = 0.05
"""A checkpoint is written each time this share of all steps is done, at the next step that is logged."""
_KEY_FILE = "key.json"


def key_of(rows: Table, *values: Any) -> str:
    """A hash of all that two trainings must share for one to resume from the other's checkpoint."""
    digest = hashlib.blake2b(digest_size=16)
    for part in rows.iter_slices(10_000):
        digest.update(part.write_ndjson().encode())
    return fingerprint(digest.hexdigest(), [version(name) for name in ("torch", "transformers", "trl", "accelerate")], *values)


def prepare(folder: Path, key: str) -> None:
    """Prepare the folder of checkpoints: remove those of another training, and incomplete ones."""
    key_file = folder / _KEY_FILE
    if folder.exists() and not (key_file.exists() and _read_json(key_file) == key):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    key_file.write_text(json.dumps(key))
    for checkpoint in folder.glob("checkpoint-*"):
        if not _is_complete(checkpoint):
            shutil.rmtree(checkpoint)


def last_checkpoint(folder: Path) -> Path | None:
    """The checkpoint with the most steps, to resume from."""
    by_step = {int(path.name.removeprefix("checkpoint-")): path for path in folder.glob("checkpoint-*")}
    return by_step[max(by_step)] if by_step else None


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except ValueError:  # truncated: it matches no key
        return None


def _is_complete(checkpoint: Path) -> bool:
    """True if its state, which is written last, can be read and none of its files is truncated."""
    state = checkpoint / "trainer_state.json"
    weights = list(checkpoint.rglob("*.safetensors"))
    return (
        state.is_file()
        and isinstance(_read_json(state), dict)
        and all(_is_full_length(file) for file in weights)
        and all(zipfile.is_zipfile(file) for ending in ("*.pt", "*.pth") for file in checkpoint.glob(ending))
    )


def _is_full_length(file: Path) -> bool:
    """True if a safetensors file is as long as its header says."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(length)
    try:
        ends = [tensor["data_offsets"][1] for name, tensor in json.loads(header).items() if name != "__metadata__"]
    except ValueError:
        return False
    return file.stat().st_size == 8 + length + max(ends, default=0)

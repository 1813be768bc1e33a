"""Checkpoints of a training: kept beside the model, gone on from after a stop, removed once the model is saved.

A checkpoint serves only the very training that wrote it: same rows, knobs, base, libraries and number of processes. One that
was not written whole is passed over.
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

SHARE = 0.05
"""A checkpoint is written after each such share of a training's steps, at the next point of its curve."""
_KEY = "key.json"


def key_of(rows: Table, *values: Any) -> str:
    """What two trainings must share for one to go on from the other's checkpoint."""
    digest = hashlib.blake2b(digest_size=16)
    for part in rows.iter_slices(10_000):
        digest.update(part.write_ndjson().encode())
    return fingerprint(digest.hexdigest(), [version(name) for name in ("torch", "transformers", "trl", "accelerate")], *values)


def prepare(folder: Path, key: str) -> None:
    """Make the folder of checkpoints ready; what another training left in it is removed, and what was not written whole."""
    kept = folder / _KEY
    if folder.exists() and not (kept.exists() and _read(kept) == key):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(key))
    for checkpoint in folder.glob("checkpoint-*"):
        if not _is_whole(checkpoint):
            shutil.rmtree(checkpoint)


def last(folder: Path) -> Path | None:
    """The checkpoint to go on from."""
    found = {int(path.name.removeprefix("checkpoint-")): path for path in folder.glob("checkpoint-*")}
    return found[max(found)] if found else None


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except ValueError:  # cut short: no training's
        return None


def _is_whole(checkpoint: Path) -> bool:
    """Its state, which is written last, is there and reads; no file of it is cut short."""
    state = checkpoint / "trainer_state.json"
    weights = list(checkpoint.rglob("*.safetensors"))
    return (
        state.is_file()
        and isinstance(_read(state), dict)
        and all(_is_full(file) for file in weights)
        and all(zipfile.is_zipfile(file) for ending in ("*.pt", "*.pth") for file in checkpoint.glob(ending))
    )


def _is_full(file: Path) -> bool:
    """A safetensors file is as long as its header says."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = stream.read(length)
    try:
        ends = [about["data_offsets"][1] for name, about in json.loads(header).items() if name != "__metadata__"]
    except ValueError:
        return False
    return file.stat().st_size == 8 + length + max(ends, default=0)

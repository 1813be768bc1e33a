"""Fingerprints: equal inputs give equal ones on any machine (with the same Python version); a change that matters changes them.

A stage's fingerprint covers its function and all code that it depends on (see `source`).
"""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from attar.core.source import code_of

LENGTH = 16


def fingerprint(*values: Any) -> str:
    """A short hash of plain values and dataclasses."""
    text = json.dumps([to_plain(value) for value in values], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=LENGTH // 2).hexdigest()


def to_plain(value: Any) -> Any:
    """A value as plain JSON data; TypeError if it has no such form."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(to_plain(item) for item in value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{value!r} has no fingerprint: use plain values, tuples, mappings or dataclasses")


def stage_fingerprint(stage: Callable[..., Any]) -> str:
    """The fingerprint of a stage: its name, and the code of its function and of all that it depends on."""
    file = getattr(inspect.getmodule(stage), "__file__", None)
    if file is None:
        raise TypeError(f"stage {stage!r} has no source file")
    return fingerprint(stage.__qualname__, code_of(Path(file), stage.__name__))


def folder_fingerprint(folder: Path) -> str:
    """The fingerprint of a model folder: file names, sizes and contents (of large files, only the first and last bytes)."""
    digest = hashlib.blake2b(digest_size=LENGTH // 2)
    for file in sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in _MODEL_FILES):
        size = file.stat().st_size
        digest.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_END_BYTES))
            if size > _END_BYTES:
                stream.seek(max(_END_BYTES, size - _END_BYTES))
                digest.update(stream.read())
    return digest.hexdigest()


_MODEL_FILES = (".json", ".safetensors", ".jinja", ".model", ".txt")
_END_BYTES = 8 << 20


def seed_of(*values: Any) -> int:
    """A seed that depends only on these values, so that the random choices of one row do not depend on other rows."""
    text = json.dumps([to_plain(value) for value in values])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1

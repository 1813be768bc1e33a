"""Fingerprints: the same input gives the same one on any machine (of one Python version), and a change that matters another.

A stage's covers its module and every Attar module that it imports (code, not comments or docstrings), engines aside: how an
answer was fetched is not part of what was asked.
"""

import ast
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LENGTH = 16
_OUTSIDE = ("attar.engines", "attar.errors", "attar.identity")


def fingerprint(*values: Any) -> str:
    """A short hash of plain values and dataclasses."""
    text = json.dumps([plain(value) for value in values], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=LENGTH // 2).hexdigest()


def plain(value: Any) -> Any:
    """A value as JSON can hold it; a value that has no such form is a TypeError."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{value!r} has no fingerprint: use plain values, tuples, mappings or dataclasses")


def of_stage(stage: Callable[..., Any]) -> str:
    """The fingerprint of a stage: its name and the code that it stands on."""
    file = getattr(inspect.getmodule(stage), "__file__", None)
    if file is None:
        raise TypeError(f"stage {stage!r} has no source file")
    return fingerprint(stage.__qualname__, _code(Path(file)))


@lru_cache
def _code(path: Path) -> list[str]:
    """Hashes of a module and of the Attar modules that it imports, however deep."""
    seen: dict[Path, str] = {}
    queue = [path]
    while queue:
        file = queue.pop()
        if file not in seen:
            tree = ast.parse(file.read_text())
            queue.extend(_imports(tree, file.parent))
            seen[file] = hashlib.blake2b(ast.dump(_bare(tree)).encode(), digest_size=8).hexdigest()
    return sorted(seen.values())


def _imports(tree: ast.AST, beside: Path) -> list[Path]:
    """The files of a module's imports that are Attar's, or that lie beside it."""
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    names += [
        f"{node.module}.{alias.name}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    own = [file for name in names if name.startswith("attar.") and not name.startswith(_OUTSIDE) if (file := _file(name))]
    near = [beside / (name.replace(".", "/") + ".py") for name in names if not name.startswith("attar")]
    return own + [file for file in near if file.is_file()]


def _file(name: str) -> Path | None:
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:  # `from module import function`: the name is not a module
        return None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _bare(tree: ast.Module) -> ast.Module:
    """The tree without docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def of_folder(folder: Path) -> str:
    """The fingerprint of a model folder: names, sizes, and contents (of large files the two ends)."""
    digest = hashlib.blake2b(digest_size=LENGTH // 2)
    for file in sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in _MODEL_FILES):
        size = file.stat().st_size
        digest.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_END))
            if size > _END:
                stream.seek(max(_END, size - _END))
                digest.update(stream.read())
    return digest.hexdigest()


_MODEL_FILES = (".json", ".safetensors", ".jinja", ".model", ".txt")
_END = 8 << 20


def seed_of(*values: Any) -> int:
    """A seed for one thing among many, so that its draws hang on nothing but its name."""
    text = json.dumps([plain(value) for value in values])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1

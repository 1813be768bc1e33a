"""Identify data sources: local files by a hash of their content, datasets on the Hub by their commit.

A dataset is `owner/name`, optionally with `:config` and `@revision`. Whatever fails on the Hub becomes one DataError.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attar.core.errors import DataError, MissingExtraError
from attar.data.readers import data_files

_HUB = re.compile(r"[\w.-]+/[\w.-]+(?::[\w.-]+)?(?:@[\w./-]+)?")


def is_hub_dataset(source: str) -> bool:
    """True if a source has the form of a Hub dataset's name and is not a local file."""
    return not Path(source).expanduser().exists() and _HUB.fullmatch(source) is not None


def pin_source(source: str) -> dict[str, Any]:
    """The knobs `source` and `content`; `content` is a hash of a file or folder, or the commit of a dataset on the Hub."""
    if is_hub_dataset(source):
        return {"source": source, "content": commit_of(source)}
    path = Path(source).expanduser()
    return {"source": str(path.resolve()), "content": content_of(path)}


def content_of(path: Path) -> str:
    """A hash of the files' contents and names (row ids are made from the names)."""
    digest = hashlib.blake2b(digest_size=8)
    for file in data_files(path):
        with file.open("rb") as stream:
            digest.update(f"{file.relative_to(path.parent)}\0".encode())
            digest.update(hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=8)).digest())
    return digest.hexdigest()


def check_apart(target: Path, source: Path) -> None:
    """Raise if writing `target` could touch the source: if it is a file of it by any name, contains it, or is inside it."""
    files = [path for path in source.rglob("*") if path.is_file()] if source.is_dir() else []
    folders = {folder for file in (source, *files) for folder in file.resolve().parents}
    if target.exists() and _identity(target) in {_identity(path) for path in (source, *files, *folders)}:
        raise DataError(f"{target} is (or contains) the source {source}: choose another path")
    above = [folder for folder in target.resolve().parents if folder.exists()]
    if source.is_dir() and _identity(source) in {_identity(folder) for folder in above}:
        raise DataError(f"{target} is inside the source {source}: choose a path outside it")


def _identity(path: Path) -> tuple[int, int]:
    """What two names of one file share, also if one is a link or spelled otherwise."""
    found = path.stat()
    return found.st_dev, found.st_ino


def check_unchanged(source: str, content: str | None) -> None:
    """Raise if the files have changed since `pin_source`."""
    if content is not None and content_of(Path(source)) != content:
        raise DataError(f"{source} has changed since the run started: run again")


def commit_of(name: str) -> str:
    """The current commit of a dataset on the Hub; a full commit hash in the name is returned without a request."""
    repository, _, revision = split_dataset_name(name)
    if revision and re.fullmatch("[0-9a-f]{40}", revision):
        return revision
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined] # of its own HTTP library
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "local") from error
    try:
        return str(HfApi().dataset_info(repository, revision=revision, timeout=20).sha)
    except (OSError, ValueError, HfHubHTTPError, HTTPError) as error:
        raise _unreachable(name, error) from error


@contextmanager
def dataset_loader(name: str, commit: str | None = None) -> Iterator[Callable[..., Any]]:
    """`load_dataset` for this dataset, streamed; errors while its rows are read become one DataError."""
    try:
        from datasets import load_dataset
        from datasets.exceptions import DatasetsError
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "train") from error
    repository, config, revision = split_dataset_name(name)
    try:
        yield lambda **how: load_dataset(repository, config, streaming=True, revision=commit or revision, **how)
    except (OSError, ValueError, DatasetsError) as error:
        raise _unreachable(name, error) from error


def split_dataset_name(name: str) -> tuple[str, str | None, str | None]:
    """Split `owner/name:config@revision` into repository, config and revision."""
    repository, _, revision = name.partition("@")
    repository, _, config = repository.partition(":")
    return repository, config or None, revision or None


def _unreachable(name: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:300]
    return DataError(
        f"{name} is not a local file and could not be read from the Hub ({reason}): check the name and the connection"
    )

"""Identify data sources: files by a hash of their content, what is on the Hub by its commit.

A dataset is `owner/name:config/split@revision`. All but `owner/name` may be left out (`owner/name:/test` is a split of the
default configuration). `hf://datasets/owner/name@revision/folder` names its files. Whatever fails on the Hub is one DataError.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attar.core.errors import DataError, MissingExtraError
from attar.data.data_file import RawRow
from attar.data.files import STDIN, data_files, is_pattern, pattern_root, split_sheet
from attar.data.remote import content_of_address, is_address

_HUB = re.compile(r"[\w.-]+/[\w.-]+(?::(?:[\w.+-]+|[\w.+-]*/[\w.-]+))?(?:@[\w./-]+)?")
_HUB_FILES = re.compile(
    r"hf://datasets/(?P<name>[^/@]+/[^/@]+)(?:@(?P<revision>refs/convert/\w+|refs/pr/\d+|[^/]+))?(?P<path>/.*)?"
)


def is_hub_dataset(source: str) -> bool:
    """True if a source has the form of a Hub dataset's name and is not a local file."""
    return not Path(source).expanduser().exists() and _HUB.fullmatch(source) is not None


def pin_source(source: str) -> dict[str, Any]:
    """The knobs `source` and `content`; `content` is a hash of the files, or the commit of a dataset on the Hub."""
    if source == STDIN:
        raise DataError("- (standard input) can be read only once, by `attar convert`: save it to a file first")
    if is_hub_dataset(source):
        return {"source": source, "content": commit_of(source)}
    if source.startswith("hf://"):
        return {"source": source, "content": commit_of(_dataset_of(source))}
    if is_address(source):
        return {"source": source, "content": content_of_address(source)}
    path, sheet = split_sheet(Path(source).expanduser())
    root = pattern_root(path) if is_pattern(path) else path
    resolved = root.resolve() / path.relative_to(root)
    return {"source": f"{resolved}#{sheet}" if sheet is not None else str(resolved), "content": content_of(path)}


def content_of(source: str | Path) -> str:
    """A hash of the files' contents and names (row ids are made from the names)."""
    path = split_sheet(Path(source).expanduser())[0]
    above = pattern_root(path) if is_pattern(path) else path.parent
    digest = hashlib.blake2b(digest_size=8)
    for file in data_files(path):
        with file.open("rb") as stream:
            digest.update(f"{file.relative_to(above)}\0".encode())
            digest.update(hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=8)).digest())
    return digest.hexdigest()


def at_commit(source: str | Path, content: str | None) -> str | Path:
    """The source at the commit that `pin_source` found; anything but files on the Hub stays as it is."""
    if content is None or not str(source).startswith("hf://"):
        return source
    found = _HUB_FILES.fullmatch(str(source))
    return f"hf://datasets/{found['name']}@{content}{found['path'] or ''}" if found else source


def _dataset_of(address: str) -> str:
    """The name of a dataset, with its revision, whose files an address names."""
    found = _HUB_FILES.fullmatch(address)
    if found is None:
        raise DataError(f"{address} names no dataset: write hf://datasets/OWNER/NAME, optionally with @REVISION and /PATH")
    return f"{found['name']}@{found['revision']}" if found["revision"] else found["name"]


def check_apart(target: Path, source: str | Path) -> None:
    """Raise if writing `target` could touch the source: if it is a file of it by any name, contains it, or is inside it."""
    if source == STDIN or is_address(source) or is_hub_dataset(str(source)):
        return
    path = split_sheet(Path(source).expanduser())[0]
    for one in data_files(path) if is_pattern(path) else [path]:
        _check_apart(target, one)


def _check_apart(target: Path, source: Path) -> None:
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
    """Raise if the files have changed since `pin_source`; what is on the Hub is read at its commit."""
    if content is None or is_hub_dataset(source) or source.startswith("hf://"):
        return
    if (content_of_address(source) if is_address(source) else content_of(source)) != content:
        raise DataError(f"{source} has changed since the run started: run again")


def commit_of(name: str) -> str:
    """The current commit of a dataset on the Hub; a full commit hash in the name is returned without a request."""
    repository, _, _, revision = split_dataset_name(name)
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
    repository, config, _, revision = split_dataset_name(name)
    try:
        yield lambda **how: load_dataset(repository, config, streaming=True, revision=commit or revision, **how)
    except (OSError, ValueError, DatasetsError) as error:
        raise _unreachable(name, error) from error


def hub_rows(name: str, commit: str | None = None) -> tuple[Iterator[RawRow], Path]:
    """The rows of a dataset on the Hub (of `train`, if no split is named), and the folder that ids name it from."""
    repository, _, split, _ = split_dataset_name(name)
    place = Path(repository)
    return _read_split(name, commit, place, split or "train"), place.parent


def _read_split(name: str, commit: str | None, place: Path, split: str) -> Iterator[RawRow]:
    with dataset_loader(name, commit) as load:
        yield from (RawRow(place, number, row) for number, row in enumerate(load(split=split), 1))


def split_dataset_name(name: str) -> tuple[str, str | None, str | None, str | None]:
    """Split `owner/name:config/split@revision` into repository, config, split and revision."""
    repository, _, revision = name.partition("@")
    repository, _, part = repository.partition(":")
    config, _, split = part.partition("/")
    return repository, config or None, split or None, revision or None


def _unreachable(name: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:300]
    return DataError(
        f"{name} is not a local file and could not be read from the Hub ({reason}): check the name and the connection"
    )

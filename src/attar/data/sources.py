"""Where data comes from: files that lie here, known by what they hold, and datasets on the Hub, known by their commit.

A dataset is `owner/name`, with `:config` and `@revision` where wanted. What cannot be had is one clear error.
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
    """Whether a source names a dataset on the Hub: as one does, and no file here."""
    return not Path(source).expanduser().exists() and _HUB.fullmatch(source) is not None


def pin_source(source: str) -> dict[str, Any]:
    """The knobs `source` and `content`: what a file or a folder holds, or the commit of a dataset on the Hub."""
    if is_hub_dataset(source):
        return {"source": source, "content": commit_of(source)}
    path = Path(source).expanduser()
    return {"source": str(path.resolve()), "content": content_of(path)}


def content_of(path: Path) -> str:
    """The fingerprint of all that the files hold, and of their names, which rows' ids are made of."""
    digest = hashlib.blake2b(digest_size=8)
    for file in data_files(path):
        with file.open("rb") as stream:
            digest.update(f"{file.relative_to(path.parent)}\0".encode())
            digest.update(hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=8)).digest())
    return digest.hexdigest()


def check_unchanged(source: str, content: str | None) -> None:
    """Refuse files that do not hold what they held when they were pinned."""
    if content is not None and content_of(Path(source)) != content:
        raise DataError(f"{source} has changed since this was begun: run again")


def commit_of(name: str) -> str:
    """The commit that a dataset on the Hub stands at; one that is named in full needs no asking."""
    place, _, revision = split_dataset_name(name)
    if revision and re.fullmatch("[0-9a-f]{40}", revision):
        return revision
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined] # of its own HTTP library
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "local") from error
    try:
        return str(HfApi().dataset_info(place, revision=revision, timeout=20).sha)
    except (OSError, ValueError, HfHubHTTPError, HTTPError) as error:
        raise _unreachable(name, error) from error


@contextmanager
def dataset_loader(name: str, commit: str | None = None) -> Iterator[Callable[..., Any]]:
    """`load_dataset` of this dataset, streamed; what goes wrong while its rows are read is one clear error."""
    try:
        from datasets import load_dataset
        from datasets.exceptions import DatasetsError
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "train") from error
    place, config, revision = split_dataset_name(name)
    try:
        yield lambda **how: load_dataset(place, config, streaming=True, revision=commit or revision, **how)
    except (OSError, ValueError, DatasetsError) as error:
        raise _unreachable(name, error) from error


def split_dataset_name(name: str) -> tuple[str, str | None, str | None]:
    """`owner/name:config@revision` in its parts."""
    place, _, revision = name.partition("@")
    place, _, config = place.partition(":")
    return place, config or None, revision or None


def _unreachable(name: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:300]
    return DataError(f"{name} is no file here, and could not be read from the Hub ({reason}): mend the name or the connection")

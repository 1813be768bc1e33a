"""A written dataset to the Hub: the repository is made if there is none, and all files go up in one commit.

The token comes from the environment and is told nowhere. What goes wrong is one line; the dataset stays where it is.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attar.core.errors import DataError, EngineError, MissingExtraError
from attar.outputs.dataset.redact import hide_secrets
from attar.outputs.dataset.write import MARK
from attar.runtime.home import Home, read_json, run_record


def folder_of(given: str, home: Home) -> Path:
    """The dataset that a person means: a folder, or what was written of a run."""
    if (Path(given) / MARK).is_file():
        return Path(given)
    name = Path(given).name.removesuffix(".yaml").removesuffix(".yml")
    if Path(given).is_dir() and not (home.runs / f"{name}.json").exists():
        raise DataError(f"{given} is no dataset of Attar's: it has no {MARK}; attar dataset writes one")
    record, folder = run_record(home, name), home.runs / f"{name}.dataset"
    if not (folder / MARK).is_file():
        raise DataError(f"run {name!r} has no dataset yet: attar dataset {name}")
    if read_json(folder / MARK)["finished"] != record["finished"]:
        raise DataError(f"{folder} is of an earlier try of run {name!r}: attar dataset {name} writes it anew")
    return folder


def push(
    folder: Path,
    repo: str,
    *,
    private: bool = False,
    variable: str = "HF_TOKEN",
    dry_run: bool = False,
) -> dict[str, Any]:
    """Send a dataset up; where it is then. Dry, only what would be sent is told."""
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "local") from error
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise DataError(f"{repo!r} cannot name a repository: {str(error).splitlines()[0]}") from error
    found = {file.relative_to(folder): file for file in sorted(folder.rglob("*")) if file.is_file()}
    files = {str(name): file.stat().st_size for name, file in found.items() if not any(map(_is_hidden, name.parts))}
    token = os.environ.get(variable, "").strip()
    told: dict[str, Any] = {
        "folder": str(folder),
        "repo": repo,
        "private": private,
        "files": files,
        "bytes": sum(files.values()),
    }
    if dry_run:
        return told | {"dry_run": True, "token": bool(token)}
    if not token:
        raise EngineError(f"the environment variable {variable} holds no token: make one that may write at the Hub, and set it")
    api = HfApi(token=token)
    with _one_line(api.endpoint, repo, variable, folder):
        made = api.create_repo(repo, repo_type="dataset", private=True if private else None, exist_ok=True)
        if private and not api.repo_info(made.repo_id, repo_type="dataset").private:
            raise DataError(
                f"{made.repo_id} exists and is public: make it private at the Hub, or name another; nothing was sent"
            )
        sent = api.upload_folder(
            repo_id=made.repo_id,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=list(files),
            commit_message=f"Dataset of the run {read_json(folder / MARK)['run']}",
        )
    return told | {"repo": made.repo_id, "url": str(made), "commit": sent.commit_url}


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


@contextmanager
def _one_line(endpoint: str, repo: str, variable: str, folder: Path) -> Iterator[None]:
    """Turn what the Hub's client raises into one line that says what to do."""
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HTTPError,  # type: ignore[attr-defined] # of whichever HTTP library it stands on
        OfflineModeIsEnabled,
    )

    kept = f"nothing is lost: the dataset lies in {folder}, and the same command tries again"
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise EngineError(f"HF_HUB_OFFLINE forbids to reach {endpoint}; {kept}") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        why = {401: f"it does not know the token in {variable}", 403: f"the token in {variable} may not write to {repo}"}
        said = hide_secrets(error.server_message or str(error).splitlines()[0])
        raise EngineError(f"{endpoint} refused (HTTP {status}): {why.get(status, said)}; {kept}") from error
    except (OSError, ValueError, RuntimeError) as error:  # its card check, its uploads and its Rust part raise these
        raise EngineError(f"{repo} could not be sent to {endpoint}: {_line(error)}; {kept}") from error
    except HTTPError as error:
        raise EngineError(f"{endpoint} cannot be reached: {_line(error)}; {kept}") from error


def _line(error: Exception) -> str:
    return hide_secrets(" ".join(str(error).split())[:300] or type(error).__name__)

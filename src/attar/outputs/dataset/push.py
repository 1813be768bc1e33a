"""Push a written dataset to the Hub: create the repository if needed, then upload all files in one commit.

The token is read from the environment and never printed. Every failure is a one-line error; the local dataset is not changed.
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
    """The dataset's folder, given the folder itself or the name of its run."""
    if (Path(given) / MARK).is_file():
        return Path(given)
    name = Path(given).name.removesuffix(".yaml").removesuffix(".yml")
    if Path(given).is_dir() and not (home.runs / f"{name}.json").exists():
        raise DataError(f"{given} is no dataset of Attar's: it has no {MARK}; write one with attar dataset")
    record, folder = run_record(home, name), home.runs / f"{name}.dataset"
    if not (folder / MARK).is_file():
        raise DataError(f"run {name!r} has no dataset yet: run attar dataset {name}")
    if read_json(folder / MARK)["finished"] != record["finished"]:
        raise DataError(f"{folder} is older than run {name!r}: write it again with attar dataset {name}")
    return folder


def push(
    folder: Path,
    repo: str,
    *,
    private: bool = False,
    variable: str = "HF_TOKEN",
    dry_run: bool = False,
) -> dict[str, Any]:
    """Upload a dataset and return its URL and commit; with `dry_run` only list what would be sent."""
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
    paths = {file.relative_to(folder): file for file in sorted(folder.rglob("*")) if file.is_file()}
    files = {str(name): file.stat().st_size for name, file in paths.items() if not any(map(_is_hidden, name.parts))}
    token = os.environ.get(variable, "").strip()
    summary: dict[str, Any] = {
        "folder": str(folder),
        "repo": repo,
        "private": private,
        "files": files,
        "bytes": sum(files.values()),
    }
    if dry_run:
        return summary | {"dry_run": True, "token": bool(token)}
    if not token:
        raise EngineError(f"the environment variable {variable} is not set: set it to a Hub token with write access")
    api = HfApi(token=token)
    with _hub_errors_in_one_line(api.endpoint, repo, variable, folder):
        created = api.create_repo(repo, repo_type="dataset", private=True if private else None, exist_ok=True)
        if private and not api.repo_info(created.repo_id, repo_type="dataset").private:
            raise DataError(
                f"{created.repo_id} exists and is public: make it private on the Hub or choose another; nothing was sent"
            )
        sent = api.upload_folder(
            repo_id=created.repo_id,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=list(files),
            commit_message=f"Dataset of the run {read_json(folder / MARK)['run']}",
        )
    return summary | {"repo": created.repo_id, "url": str(created), "commit": sent.commit_url}


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


@contextmanager
def _hub_errors_in_one_line(endpoint: str, repo: str, variable: str, folder: Path) -> Iterator[None]:
    """Turn the errors of the Hub's client into one line with a remedy."""
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HTTPError,  # type: ignore[attr-defined] # from the HTTP library that huggingface_hub uses
        OfflineModeIsEnabled,
    )

    remedy = f"the dataset is still in {folder}; run the same command to try again"
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise EngineError(f"HF_HUB_OFFLINE is set, so {endpoint} is not contacted; {remedy}") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        why = {401: f"the token in {variable} is not valid", 403: f"the token in {variable} has no write access to {repo}"}
        message = hide_secrets(error.server_message or str(error).splitlines()[0])
        raise EngineError(f"{endpoint} refused (HTTP {status}): {why.get(status, message)}; {remedy}") from error
    except (OSError, ValueError, RuntimeError) as error:  # raised by its card check, its uploads and its Rust part
        raise EngineError(f"{repo} could not be uploaded to {endpoint}: {_message_of(error)}; {remedy}") from error
    except HTTPError as error:
        raise EngineError(f"{endpoint} cannot be reached: {_message_of(error)}; {remedy}") from error


def _message_of(error: Exception) -> str:
    return hide_secrets(" ".join(str(error).split())[:300] or type(error).__name__)

"""The small files of a model on the Hub: enough for its chat template and tokens, never its weights."""

from pathlib import Path

from attar.chat.template_loader import FILES
from attar.core.errors import EngineError, MissingExtraError


def fetch_template(model: str, revision: str | None = None) -> Path:
    """A folder with a hub model's template and tokenizer settings, fetched or from the cache."""
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise MissingExtraError("huggingface_hub", "local") from error
    try:
        return Path(str(snapshot_download(model, revision=revision, allow_patterns=list(FILES))))
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{model} is no folder here, and the hub does not give it ({str(error).strip().splitlines()[0]}): "
            "name a model folder, a .jinja file or a tokenizer_config.json"
        ) from error

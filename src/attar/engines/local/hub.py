"""The small files of a model on the Hub: its chat template and tokenizer, never its weights."""

from pathlib import Path

from attar.chat.template_loader import FILES
from attar.core.errors import EngineError, MissingExtraError


def fetch_template(model: str, revision: str | None = None) -> Path:
    """A folder with a Hub model's template and tokenizer settings, from the cache or downloaded."""
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise MissingExtraError("huggingface_hub", "local") from error
    try:
        return Path(str(snapshot_download(model, revision=revision, allow_patterns=list(FILES))))
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{model} is not a local folder, and the Hub does not provide it ({str(error).strip().splitlines()[0]}): "
            "name a model folder, a .jinja file or a tokenizer_config.json"
        ) from error

"""What a local engine's spec says: its options, and the folder of its model."""

from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge

from attar.core.errors import EngineError, did_you_mean
from attar.engines.thinking import ThinkingOptions

POCKET = Path(__file__).parents[2] / "pocket"


class LocalOptions(ThinkingOptions, total=False):
    """The options of a local engine."""

    __pydantic_config__ = {"extra": "forbid"}  # type: ignore[misc] # noqa: RUF012 (pydantic declares it so)

    device: str
    device_map: str | dict[str, Any]
    dtype: str
    revision: str
    slots: Annotated[int, Ge(1)]
    threads: Annotated[int, Ge(1)]
    pool: Literal["mean", "last", "cls"]
    longest: Annotated[int, Ge(1)]
    prefix: str
    gpus: Annotated[int, Ge(1)]
    """GPUs for training a base model, like `accelerate`."""
    accelerate: str


def find_model_folder(model: str) -> Path | None:
    """The folder of a local model, or of `pocket:NAME`; None for a model on the Hub."""
    if model.startswith("pocket:"):
        folder = POCKET / model.removeprefix("pocket:")
        if not (folder / "config.json").exists():
            known = [path.name for path in POCKET.iterdir() if (path / "config.json").exists()]
            raise EngineError(f"there is no pocket model {folder.name!r}; {did_you_mean(folder.name, known)}")
        return folder
    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "config.json").exists():
            raise EngineError(f"{path} is not a model folder: it has no config.json")
        return path
    if path.is_absolute() or model.startswith((".", "~")):
        raise EngineError(f"model folder {model} does not exist")
    return None

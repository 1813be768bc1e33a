"""The only door to transformers' loaders: a model folder's own code never runs, and nothing is unpickled.

Every call passes trust_remote_code=False: without it transformers asks on stdin, and a "y" runs the folder's Python. Weights
are safetensors: an index that names other files, or files outside the folder, is refused before anything is opened. Whatever
is wrong with a folder is one line that names it.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from attar.core.errors import EngineError, MissingExtraError

_ERRORS = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, IndexError, AssertionError, ImportError)
"""What transformers and torch raise for a broken folder; `safetensors` and `tokenizers` raise plain Exceptions."""


def load_tokenizer(model: str, folder: Path | None, revision: str | None = None) -> Any:
    """The tokenizer of a folder or a Hub model."""
    from transformers import AutoTokenizer

    return _load(AutoTokenizer.from_pretrained, model, folder, revision=revision)


@contextmanager
def explain_panics(model: str) -> Iterator[None]:
    """An EngineError where a model's tokenizer gives up on a text with a panic of Rust, which is no Exception."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise EngineError(f"the tokenizer of {model} fails on a text ({' '.join(str(error).split())})") from error


def load_config(model: str, folder: Path | None, revision: str | None = None) -> Any:
    """The config of a folder or a Hub model."""
    from transformers import AutoConfig

    return _load(AutoConfig.from_pretrained, model, folder, revision=revision)


def load_weights(head: str, model: str, folder: Path | None, shown: str = "", **options: Any) -> Any:
    """A model with a head (`CausalLM`, `SequenceClassification` or none); `shown` is its name in errors."""
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "local") from error
    loader = getattr(transformers, f"AutoModelFor{head}" if head else "AutoModel")
    return _load(loader.from_pretrained, model, folder, shown, use_safetensors=True, **options)


def load_tensors(file: Path) -> dict[str, Any]:
    """The tensors of one safetensors file."""
    from safetensors.torch import load_file

    return _load_or_explain(lambda: load_file(file), str(file))


def _load(loader: Callable[..., Any], model: str, folder: Path | None, shown: str = "", **options: Any) -> Any:
    if folder is not None:
        check_folder(folder)
    hint = "" if folder else " (a local folder works without a network)"
    return _load_or_explain(lambda: loader(str(folder or model), trust_remote_code=False, **options), shown or model, hint)


def _load_or_explain(load: Callable[[], Any], name: str, hint: str = "") -> Any:
    try:
        return load()
    except MemoryError as error:
        raise EngineError(f"cannot load {name}: it does not fit into memory") from error
    except Exception as error:
        if not isinstance(error, _ERRORS) and type(error).__module__.partition(".")[0] not in _LIBRARIES:
            raise
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise EngineError(f"cannot load {name}: {_without_advice(reason)}{hint}") from error


_LIBRARIES = ("builtins", "safetensors", "safetensors_rust", "tokenizers", "torch", "transformers", "huggingface_hub", "jinja2")


def _without_advice(reason: str) -> str:
    """Replace transformers' advice to trust remote code, which Attar never does."""
    if "trust_remote_code" in reason or "custom code" in reason:
        return "it needs Python code of its own, which is never run here; use a server that you trust with it (kind: http)"
    return reason


def check_folder(folder: Path) -> None:
    """Raise if a folder's files would load code, a pickle, or a file outside the folder."""
    for index in folder.glob("*.index.json"):
        names = _read(index).get("weight_map")
        if not isinstance(names, dict) or not all(map(_is_safe_name, names.values())):
            raise EngineError(f"{index} names weights that are not safetensors files of this folder: they are not opened")
    config = _read(folder / "config.json")
    kernels = [config.get(name) for name in ("_attn_implementation", "attn_implementation", "experts_implementation")]
    if any(isinstance(value, str) and "/" in value for value in kernels):
        raise EngineError(f"{folder / 'config.json'} asks for code from the hub as its attention: it is never run here")
    if (folder / "adapter_config.json").exists():
        base = _read(folder / "adapter_config.json").get("base_model_name_or_path")
        raise EngineError(
            f"{folder} holds an adapter of {base!r}, not a model: merge it into its base first (peft's merge_and_unload)"
        )


def _is_safe_name(name: Any) -> bool:
    return isinstance(name, str) and name.endswith(".safetensors") and PurePosixPath(name).name == name


def _read(file: Path) -> dict[str, Any]:
    """A JSON object of a model folder; empty if the file is missing."""
    try:
        value = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise EngineError(f"{file} cannot be read ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(value, dict):
        raise EngineError(f"{file} is not a JSON object")
    return value

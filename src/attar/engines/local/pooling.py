"""How a model's hidden states become one vector: by its sentence-transformers files, overridden by the run file's options.

A plain model uses the mean of all states, on texts up to the limit of its tokenizer and positions. A module or setting of the
folder that Attar does not support is refused by name, never ignored.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attar.core.errors import EngineError, MissingExtraError
from attar.core.fingerprint import folder_fingerprint

if TYPE_CHECKING:
    from torch import Tensor

_NAMES = {"mean": "mean", "lasttoken": "last", "cls": "cls"}
_OLD_KEYS = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean", "pooling_mode_lasttoken": "lasttoken"}
_FILES = ("*.json", "[0-9]_*/config.json", "[0-9]_*/model.safetensors")


@dataclass(frozen=True, slots=True)
class Pooling:
    """How a text is prepared for the model, and how its states are pooled."""

    how: str = "mean"
    longest: int | None = None
    """Maximum number of tokens, including special ones; None for the model's own limit."""
    prefix: str = ""
    """Text added before every text."""
    lower: bool = False
    """True if texts are lower-cased."""
    dense: tuple[Path, ...] = ()
    """Dense layers applied to the pooled state."""


def fetch_small_files(model: str, revision: str | None) -> Path:
    """The folder of a Hub model's small files, from the cache or downloaded."""
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise MissingExtraError("huggingface_hub", "local") from error
    try:
        return Path(str(snapshot_download(model, revision=revision, allow_patterns=list(_FILES))))
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise EngineError(f"cannot load {model}: {reason} (a local folder works without a network)") from error


def read_pooling(folder: Path, options: Mapping[str, Any]) -> Pooling:
    """The pooling of a model's folder; the options `pool`, `longest` and `prefix` override it."""
    how, dense = "mean", []
    for module in _read_json(folder / "modules.json", []):
        kind = module["type"].rsplit(".", 1)[-1]
        path = folder / module["path"]
        if kind == "Pooling":
            how = options.get("pool") or _pool_from_config(path / "config.json")
        elif kind == "Dense":
            dense.append(path)
        elif kind not in ("Transformer", "Normalize"):
            raise EngineError(f"{folder / 'modules.json'}: unsupported module {kind!r}; serve the model and use kind: http")
    settings, older = (
        _read_json(folder / f"{name}.json", {}) for name in ("config_sentence_transformers", "sentence_bert_config")
    )
    prefix = settings.get("prompts", {}).get(settings.get("default_prompt_name"), "")
    return Pooling(
        options.get("pool", how),
        options.get("longest", older.get("max_seq_length")),
        options.get("prefix", prefix),
        bool(older.get("do_lower_case")),
        tuple(dense),
    )


def prepare_text(pooling: Pooling, text: str) -> str:
    """A text as the tokenizer gets it."""
    return pooling.prefix + text if not pooling.lower else (pooling.prefix + text).lower()


def identity_parts(folder: Path | None, options: Mapping[str, Any]) -> list[Any]:
    """What determines a vector besides the model's files and `pool`; for a Hub model the revision covers it."""
    if folder is None or not (folder / "modules.json").exists():
        return [{name: options[name]} for name in ("longest", "prefix") if name in options]
    pooling = read_pooling(folder, options)
    return [replace(pooling, dense=()), [folder_fingerprint(layer) for layer in pooling.dense]]


def token_limit(model: Any, tokenizer: Any) -> int:
    """The model's limit on tokens, by its positions and its tokenizer."""
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None) or -1
    return min(tokenizer.model_max_length, positions) if positions > 0 else tokenizer.model_max_length


def tokenize_truncated(tokenizer: Any, texts: list[str], longest: int) -> list[tuple[list[int], bool]]:
    """Each text's tokens with the model's special tokens, and whether it was truncated."""
    if not texts:
        return []
    truncation = {"truncation": True, "max_length": longest} if longest < 2**31 else {}
    encoded = tokenizer(texts, return_attention_mask=False, return_token_type_ids=False, **truncation)
    if encoded.encodings is None:  # a tokenizer written in Python
        return [(ids, len(ids) >= longest) for ids in encoded["input_ids"]]
    return list(zip(encoded["input_ids"], (bool(one.overflowing) for one in encoded.encodings), strict=True))


def _read_json(path: Path, default: Any) -> Any:
    try:
        return json.loads(path.read_text()) if path.exists() else default
    except ValueError as error:
        raise EngineError(f"{path} is not JSON: {error}") from error


def _pool_from_config(path: Path) -> str:
    settings = _read_json(path, {})
    older = [name for key, name in _OLD_KEYS.items() if settings.get(key)]
    unsupported = [key for key, value in settings.items() if key.startswith("pooling_mode_") and value and key not in _OLD_KEYS]
    mode = settings.get("pooling_mode", older[0] if len(older) == 1 and not unsupported else [*older, *unsupported])
    if not isinstance(mode, str) or mode not in _NAMES or not settings.get("include_prompt", True):
        raise EngineError(f"{path}: unsupported pooling {mode!r}; set `pool: mean`, `last` or `cls`, or use kind: http")
    return _NAMES[mode]


def load_dense_layers(folders: tuple[Path, ...]) -> Callable[["Tensor"], "Tensor"]:
    """The dense layers after pooling, as one function."""
    import torch

    from attar.engines.local.pretrained import load_tensors

    layers = []
    for folder in folders:
        settings = _read_json(folder / "config.json", {})
        name = str(settings.get("activation_function", "torch.nn.modules.activation.Tanh")).rsplit(".", 1)[-1]
        activations = {"Tanh": torch.tanh, "Identity": lambda pooled: pooled}
        if name not in activations or settings.get("use_residual") or not (folder / "model.safetensors").exists():
            raise EngineError(
                f"{folder}: a dense layer needs a model.safetensors, Tanh or Identity, and no residual; use kind: http"
            )
        weights = load_tensors(folder / "model.safetensors")
        layers.append((weights["linear.weight"].float(), weights.get("linear.bias"), activations[name]))

    def apply_layers(pooled: "Tensor") -> "Tensor":
        for weight, bias, activation in layers:
            layer_bias = None if bias is None else bias.to(pooled)
            pooled = activation(torch.nn.functional.linear(pooled, weight.to(pooled), layer_bias))
        return pooled

    return apply_layers

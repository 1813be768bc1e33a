"""How a model's states become one vector: what a sentence-transformers folder says of it, and the run file's options over that.

Of a plain model: the mean of all states, on texts as long as its tokenizer and its positions allow. What such a folder asks for
and Attar cannot do is refused by name, never left out.
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
    """What is done to a text before the model reads it, and to its states after."""

    how: str = "mean"
    longest: int | None = None
    """Tokens that are read, special ones counted; the model's own limit where it is None."""
    prefix: str = ""
    """What is put before every text."""
    lower: bool = False
    """Whether texts are put in lower case."""
    dense: tuple[Path, ...] = ()
    """Layers that the pooled state goes through."""


def fetch_small_files(model: str, revision: str | None) -> Path:
    """The folder of a hub model's small files, fetched or from the cache."""
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
    """What a model's folder says, and the options `pool`, `longest` and `prefix` in its place."""
    how, dense = "mean", []
    for module in _read_json(folder / "modules.json", []):
        kind, place = module["type"].rsplit(".", 1)[-1], folder / module["path"]
        if kind == "Pooling":
            how = options.get("pool") or _pool_from_config(place / "config.json")
        elif kind == "Dense":
            dense.append(place)
        elif kind not in ("Transformer", "Normalize"):
            raise EngineError(
                f"{folder / 'modules.json'}: a module {kind!r} is not known here; serve the model and use kind: http"
            )
    said, older = (_read_json(folder / f"{name}.json", {}) for name in ("config_sentence_transformers", "sentence_bert_config"))
    prefix = said.get("prompts", {}).get(said.get("default_prompt_name"), "")
    return Pooling(
        options.get("pool", how),
        options.get("longest", older.get("max_seq_length")),
        options.get("prefix", prefix),
        bool(older.get("do_lower_case")),
        tuple(dense),
    )


def prepare_text(how: Pooling, text: str) -> str:
    """A text as it goes to the tokenizer."""
    return how.prefix + text if not how.lower else (how.prefix + text).lower()


def identity_parts(folder: Path | None, options: Mapping[str, Any]) -> list[Any]:
    """What of this decides a vector beside the model's own files and `pool`; of a hub's model its revision says it."""
    if folder is None or not (folder / "modules.json").exists():
        return [{name: options[name]} for name in ("longest", "prefix") if name in options]
    found = read_pooling(folder, options)
    return [replace(found, dense=()), [folder_fingerprint(layer) for layer in found.dense]]


def token_limit(model: Any, tokenizer: Any) -> int:
    """How many tokens a model takes, by its positions and its tokenizer."""
    places = getattr(model.config.get_text_config(), "max_position_embeddings", None) or -1
    return min(tokenizer.model_max_length, places) if places > 0 else tokenizer.model_max_length


def tokenize_truncated(tokenizer: Any, texts: list[str], longest: int) -> list[tuple[list[int], bool]]:
    """Each text's tokens between the model's special ones, and whether some of its own were left out."""
    if not texts:
        return []
    most = {"truncation": True, "max_length": longest} if longest < 2**31 else {}
    coded = tokenizer(texts, return_attention_mask=False, return_token_type_ids=False, **most)
    if coded.encodings is None:  # of a tokenizer in Python
        return [(ids, len(ids) >= longest) for ids in coded["input_ids"]]
    return list(zip(coded["input_ids"], (bool(one.overflowing) for one in coded.encodings), strict=True))


def _read_json(path: Path, without: Any) -> Any:
    try:
        return json.loads(path.read_text()) if path.exists() else without
    except ValueError as error:
        raise EngineError(f"{path} is no JSON: {error}") from error


def _pool_from_config(path: Path) -> str:
    said = _read_json(path, {})
    older = [name for key, name in _OLD_KEYS.items() if said.get(key)]
    odd = [key for key, value in said.items() if key.startswith("pooling_mode_") and value and key not in _OLD_KEYS]
    named = said.get("pooling_mode", older[0] if len(older) == 1 and not odd else [*older, *odd])
    if not isinstance(named, str) or named not in _NAMES or not said.get("include_prompt", True):
        raise EngineError(
            f"{path}: pooling by {named!r} is not known here; say `pool: mean`, `last` or `cls`, or use kind: http"
        )
    return _NAMES[named]


def load_dense_layers(folders: tuple[Path, ...]) -> Callable[["Tensor"], "Tensor"]:
    """The layers behind the pooled state, as one function."""
    import torch

    from attar.engines.local.pretrained import load_tensors

    layers = []
    for folder in folders:
        said = _read_json(folder / "config.json", {})
        name = str(said.get("activation_function", "torch.nn.modules.activation.Tanh")).rsplit(".", 1)[-1]
        known = {"Tanh": torch.tanh, "Identity": lambda pooled: pooled}
        if name not in known or said.get("use_residual") or not (folder / "model.safetensors").exists():
            raise EngineError(
                f"{folder}: a dense layer needs a model.safetensors, Tanh or Identity, and no residual; use kind: http"
            )
        weights = load_tensors(folder / "model.safetensors")
        layers.append((weights["linear.weight"].float(), weights.get("linear.bias"), known[name]))

    def through(pooled: "Tensor") -> "Tensor":
        for weight, bias, activation in layers:
            own = None if bias is None else bias.to(pooled)
            pooled = activation(torch.nn.functional.linear(pooled, weight.to(pooled), own))
        return pooled

    return through

"""The chat template and special tokens of a model, from its folder or from one of its files, as transformers keeps them.

Nothing is loaded but text and JSON; a file that is not what it should be is named with what is wrong.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from attar.core.errors import EngineError

FILES = ("tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "chat_template.json")


class TemplateFiles(NamedTuple):
    """A template as it was found."""

    source: str
    tokens: dict[str, str]
    name: str
    special: tuple[str, ...]
    adds_bos: bool | None


def find_template(path: Path) -> TemplateFiles:
    """The template of a model folder, of a `tokenizer_config.json`, or one that is a `.jinja` file."""
    if not path.exists():
        raise EngineError(f"{path} does not exist")
    folder = path if path.is_dir() else path.parent
    config = _config(path)
    source = _text(path) if path.suffix == ".jinja" else _source(folder, config, own=path.is_file())
    tokenizer = _json(folder / "tokenizer.json")
    tokens = _special_tokens({**_json(folder / "special_tokens_map.json"), **config})
    name = f"the chat template of {path.name}" if path.is_dir() else f"the chat template in {path.name}"
    return TemplateFiles(
        source, tokens, name, _special_texts(config, tokenizer), _adds_bos(config, tokenizer, tokens.get("bos_token"))
    )


def _config(path: Path) -> dict[str, Any]:
    if path.is_dir() or path.suffix == ".jinja":
        return _json((path if path.is_dir() else path.parent) / "tokenizer_config.json")
    if path.suffix != ".json":
        raise EngineError(f"{path} is no chat template: give a model folder, a .jinja file or a tokenizer_config.json")
    return _json(path)


def _source(folder: Path, config: dict[str, Any], *, own: bool) -> str:
    """The file beside the config goes first, as in transformers, but not where the config itself was asked for."""
    beside = _text(folder / "chat_template.jinja") if (folder / "chat_template.jinja").exists() else None
    kept = config.get("chat_template")
    processor = _json(folder / "chat_template.json").get("chat_template")
    source = next((each for each in ([kept, beside] if own else [beside, kept, processor]) if each), None)
    if isinstance(source, list):  # several named templates: the default one
        named = {str(item.get("name")): item.get("template") for item in source if isinstance(item, dict)}
        source = named.get("default")
        if not source:
            raise EngineError(
                f"{folder} has no chat template named default, only {', '.join(named)}: give one of them as a .jinja file"
            )
    if not source:
        raise EngineError(f"{folder} has no chat template: it is a base model, or its chat_template.jinja is missing")
    if not isinstance(source, str):
        raise EngineError(f"{folder}: chat_template is not a text")
    return source


def _special_tokens(config: dict[str, Any]) -> dict[str, str]:
    """`bos_token`, `eos_token` and the like; switches such as `add_bos_token` are none."""
    extra = config.get("extra_special_tokens")
    named = extra if isinstance(extra, dict) else {}
    named = {**named, **{key: value for key, value in config.items() if key.endswith("_token")}}
    texts = {key: _content(value) for key, value in named.items()}
    return {key: text for key, text in texts.items() if text is not None}


def _content(value: Any) -> str | None:
    content = value.get("content") if isinstance(value, dict) else value
    return content if isinstance(content, str) else None


def _special_texts(config: dict[str, Any], tokenizer: dict[str, Any]) -> tuple[str, ...]:
    extra = config.get("extra_special_tokens")
    listed: list[Any] = [*(config.get("additional_special_tokens") or []), *(extra if isinstance(extra, list) else [])]
    added: Iterable[Any] = [*(config.get("added_tokens_decoder") or {}).values(), *(tokenizer.get("added_tokens") or [])]
    listed += [item for item in added if isinstance(item, dict) and item.get("special")]
    return tuple(dict.fromkeys(text for item in listed if (text := _content(item)) and len(text) > 1))


def _adds_bos(config: dict[str, Any], tokenizer: dict[str, Any], bos: str | None) -> bool | None:
    """Whether the tokenizer puts a BOS before a text; None where the files do not say."""
    if bos is None:
        return False if config or tokenizer else None
    said = config.get("add_bos_token")
    if isinstance(said, bool):
        return said
    if not tokenizer:
        return None
    processor = tokenizer.get("post_processor") or {}
    steps = [processor, *(processor.get("processors") or [])]
    firsts = [step["single"][0] for step in steps if step.get("type") == "TemplateProcessing" and step.get("single")]
    return any(first.get("SpecialToken", {}).get("id") == bos for first in firsts)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise EngineError(f"{file} is not UTF-8 text") from error


def _json(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        found = json.loads(_text(file))
    except (json.JSONDecodeError, RecursionError) as error:
        raise EngineError(f"{file} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise EngineError(f"{file} is not a JSON object")
    return found

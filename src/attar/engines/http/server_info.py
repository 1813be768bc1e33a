"""Detect which OpenAI-compatible server it is, and what it offers beyond that API: its template, tokens, scores.

Detected by what `/v1/models` reports: vllm, sglang, llamacpp, ollama, openai; of `other` nothing more is expected.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from attar.chat.templates import Template
from attar.core.errors import EngineError, did_you_mean

TOKENIZING_SERVERS = ("vllm", "sglang", "llamacpp")
_OWNERS = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llamacpp", "library": "ollama"}

Get = Callable[[str], Awaitable[tuple[int, Any]]]
"""A path below the API (from the root if it starts with a slash) to a status and its JSON, None if it is not JSON."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server reports about itself."""

    dialect: str
    models: tuple[str, ...]
    context: int | None = None
    template: Template | None = None
    most_tokens: int | None = None
    """The most tokens of an answer, its thought among them."""
    thinking: tuple[str, ...] | None = None
    """The kinds of thinking that the model has; None if they are unknown."""


async def inspect_server(get: Get, model: str, host: str, title: str) -> ServerInfo:
    """Detect the server's kind; raises if it does not have the model."""
    status, body = await get("models")
    data = body.get("data") if isinstance(body, dict) else None
    items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    models = tuple(str(item.get("id")) for item in items)
    names = {*models, *(str(alias) for item in items if isinstance(item.get("aliases"), list) for alias in item["aliases"])}
    if models and model not in names:
        raise EngineError(f"{title}: the server has no model {model!r}; {did_you_mean(model, models)}")
    entry = next((item for item in items if item.get("id") == model), items[0] if items else {})
    dialect = "openai" if host == "api.openai.com" else _OWNERS.get(str(entry.get("owned_by")), "other")
    meta = entry.get("meta")
    context = entry.get("max_model_len") or (meta.get("n_ctx") if isinstance(meta, dict) else None)
    template = None
    if dialect == "llamacpp":
        status, props = await get("/props")
        template = _template(props, title) if status == 200 else None
    elif dialect == "vllm":
        status, info = await get("/tokenizer_info")
        template = _template(info, title) if status == 200 else None
    return ServerInfo(dialect, models, context if isinstance(context, int) else None, template)


def _template(reply: Any, title: str) -> Template | None:
    if not isinstance(reply, dict) or not isinstance(reply.get("chat_template"), str):
        return None
    tokens = {key: str(value) for key, value in reply.items() if key in ("bos_token", "eos_token") and value}
    return Template(reply["chat_template"], tokens, f"the chat template of {title}")


def tokenize_body(dialect: str, model: str, text: str, *, special: bool) -> dict[str, Any]:
    """The body of a call to `/tokenize`, by kind of server."""
    if dialect == "llamacpp":
        return {"content": text, "add_special": special, "parse_special": True}
    return {"model": model, "prompt": text, "add_special_tokens": special}

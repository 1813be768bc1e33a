"""Which server it is that speaks OpenAI's language, and what it can do beyond that: tell its template, tokenise, score.

Known by what it says of itself at `/v1/models`: vllm, sglang, llamacpp, ollama, openai; of `other` nothing more is expected.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from attar.chat.templates import Template
from attar.core.errors import EngineError, did_you_mean

TOKENIZING_SERVERS = ("vllm", "sglang", "llamacpp")
_OWNERS = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llamacpp", "library": "ollama"}

Get = Callable[[str], Awaitable[tuple[int, Any]]]
"""A path below the API (below the root, if it starts with a slash) to a status and what its JSON says, if it is any."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server told of itself."""

    dialect: str
    models: tuple[str, ...]
    context: int | None = None
    template: Template | None = None


async def inspect_server(get: Get, model: str, host: str, title: str) -> ServerInfo:
    """Ask a server what it is, and whether it has the model."""
    status, listed = await get("models")
    data = listed.get("data") if isinstance(listed, dict) else None
    found = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    models = tuple(str(item.get("id")) for item in found)
    names = {*models, *(str(alias) for item in found if isinstance(item.get("aliases"), list) for alias in item["aliases"])}
    if models and model not in names:
        raise EngineError(f"{title}: the server has no model {model!r}; {did_you_mean(model, models)}")
    own = next((item for item in found if item.get("id") == model), found[0] if found else {})
    dialect = "openai" if host == "api.openai.com" else _OWNERS.get(str(own.get("owned_by")), "other")
    meta = own.get("meta")
    context = own.get("max_model_len") or (meta.get("n_ctx") if isinstance(meta, dict) else None)
    template = None
    if dialect == "llamacpp":
        status, props = await get("/props")
        template = _template(props, title) if status == 200 else None
    elif dialect == "vllm":
        status, info = await get("/tokenizer_info")
        template = _template(info, title) if status == 200 else None
    return ServerInfo(dialect, models, context if isinstance(context, int) else None, template)


def _template(told: Any, title: str) -> Template | None:
    if not isinstance(told, dict) or not isinstance(told.get("chat_template"), str):
        return None
    tokens = {key: str(value) for key, value in told.items() if key in ("bos_token", "eos_token") and value}
    return Template(told["chat_template"], tokens, f"the chat template of {title}")


def tokenize_body(dialect: str, model: str, text: str, *, special: bool) -> dict[str, Any]:
    """How each server is asked for a text's tokens, at `/tokenize`."""
    if dialect == "llamacpp":
        return {"content": text, "add_special": special, "parse_special": True}
    return {"model": model, "prompt": text, "add_special_tokens": special}

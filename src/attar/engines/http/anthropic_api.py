"""Anthropic's Messages API: request bodies, and how its replies are read: plain data, no network.

There are no seeds and no log-probabilities. Temperatures go from 0 to 1. System turns go in a field of their own.
"""

from typing import Any

from attar.core.errors import EngineError
from attar.core.replies import replace_surrogates
from attar.engines.base import Reply, Request, Sampling
from attar.engines.http.failures import FailedTry
from attar.engines.http.hosted_thinking import Thinking
from attar.engines.http.payloads import to_count, usage_of

VERSION = "2023-06-01"
_LEAST_BUDGET = 1024
_CACHED = {"type": "ephemeral"}
_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
}
_NO_ANSWER = ("tool_use", "pause_turn")
_COUNTS_IN = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_THOUGHTS = ("thinking", "redacted_thinking")


def key_header(key: str) -> dict[str, str]:
    """The headers of every call."""
    return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}


def text_path(_: str) -> str:
    """The path of a request for a text."""
    return "messages"


def text_body(request: Request, thinking: Thinking) -> dict[str, Any]:
    """The body of a request for a text; the token limit is that of the answer and of the thought together."""
    sampling = request.sampling or Sampling()
    body: dict[str, Any] = {
        "messages": [dict(turn) for turn in request.messages if turn["role"] != "system"],
        "max_tokens": thinking.limit(sampling.max_tokens),
    }
    if system := "\n\n".join(turn["content"] for turn in request.messages if turn["role"] == "system"):
        body["system"] = system
    if sampling.temperature != 1:  # the default; with thoughts, and by newer models, any other is refused
        body["temperature"] = sampling.temperature
    if sampling.top_p < 1:
        body["top_p"] = sampling.top_p
    if sampling.stop:
        body["stop_sequences"] = list(sampling.stop)
    if sampling.schema:
        body["output_config"] = {"format": {"type": "json_schema", "schema": sampling.schema}}
    if thinking.turned_off:
        body["thinking"] = {"type": "disabled"}
    elif thinking.turned_on:
        body["thinking"] = _thinking_field(thinking)
    return body


def _thinking_field(thinking: Thinking) -> dict[str, Any]:
    if thinking.ways is not None and "enabled" not in thinking.ways:
        return {"type": "adaptive", "display": "summarized"}  # without `display`, such models return no thoughts
    if thinking.budget < _LEAST_BUDGET:
        raise EngineError(f"Anthropic's API takes `thinking_tokens` of {_LEAST_BUDGET} or more, not {thinking.budget}")
    return {"type": "enabled", "budget_tokens": thinking.budget}


def full_body(model: str, body: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The body to send: with the model's name, `cache` and `extra`, without `omit`."""
    full = {"model": model, **body}
    if options.get("cache") == "prompt":
        full["cache_control"] = _CACHED
    elif options.get("cache") == "system" and "system" in body:
        full["system"] = [{"type": "text", "text": body["system"], "cache_control": _CACHED}]
    full |= options.get("extra", {})
    return {name: value for name, value in full.items() if name not in options.get("omit", ())}


def read_text(body: Any, index: int) -> Reply | FailedTry:
    """The text of a message and, beside it, its thoughts; encrypted thoughts are left out."""
    usage = usage_of(body)
    tokens_in = to_count(sum(to_count(usage.get(name)) for name in _COUNTS_IN))
    counts: dict[str, Any] = {"tokens_in": tokens_in, "tokens_out": to_count(usage.get("output_tokens"))}
    blocks = body.get("content") if isinstance(body, dict) else None
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        return FailedTry("malformed reply", "the reply has no 'content'")
    reason = body.get("stop_reason")
    if reason == "refusal":
        return Reply(index, error=f"the model refused: {_why_refused(body.get('stop_details'))}", **counts)
    if isinstance(reason, str) and reason in _NO_ANSWER:
        return Reply(index, error=f"finish reason {reason}", **counts)
    finish = _FINISH_REASONS.get(reason) if isinstance(reason, str) else None
    if finish is None:
        return FailedTry("malformed reply", f"unknown stop reason {reason!r}")
    texts = [block.get("text") for block in blocks if block.get("type") == "text"]
    thoughts = [thought for block in blocks if isinstance(thought := block.get("thinking"), str)]
    if not all(isinstance(text, str) for text in texts) or not (texts or finish == "length" or _is_blank(blocks)):
        return FailedTry("malformed reply", "the answer has no text")
    text = replace_surrogates("".join(map(str, texts)))
    return Reply(index, text, finish, replace_surrogates("\n\n".join(filter(None, thoughts))) or None, **counts)


def _is_blank(blocks: list[dict[str, Any]]) -> bool:
    """True for a message that ends where the answer would begin: nothing in it, or thoughts alone."""
    return all(block.get("type") in _THOUGHTS for block in blocks)


def _why_refused(details: Any) -> str:
    details = details if isinstance(details, dict) else {}
    why = details.get("explanation") or details.get("category") or "no reason given"
    return replace_surrogates(str(why))[:200]


def read_limits(entry: dict[str, Any]) -> tuple[int | None, tuple[str, ...] | None]:
    """What `/models/MODEL` reports: the most tokens of an answer, and the kinds of thinking that the model has."""
    capabilities = entry.get("capabilities")
    thinking = capabilities.get("thinking") if isinstance(capabilities, dict) else None
    most = to_count(entry.get("max_tokens")) or None
    if not isinstance(thinking, dict):
        return most, None
    types = thinking.get("types")
    types = types if isinstance(types, dict) and thinking.get("supported") is True else {}
    return most, tuple(name for name in ("enabled", "adaptive") if _is_supported(types.get(name)))


def _is_supported(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("supported") is True

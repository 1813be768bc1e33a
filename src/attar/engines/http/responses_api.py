"""OpenAI's Responses API: request bodies, and how its replies are read: plain data, no network.

Thoughts come as summaries. The API has no seeds and no stop strings; a request with stop strings is refused before it is sent.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from attar.core.errors import EngineError
from attar.core.replies import replace_surrogates
from attar.engines.base import Reply, Request, Sampling
from attar.engines.http.failures import FailedTry
from attar.engines.http.hosted_thinking import Thinking
from attar.engines.http.payloads import to_count, usage_of

_LEAST_TOKENS = 16
"""The API refuses a smaller limit."""
_TRANSIENT = ("server_error", "rate_limit_exceeded", "vector_store_timeout")


def text_path(_: str) -> str:
    """The path of a request for a text."""
    return "responses"


def text_body(request: Request, thinking: Thinking) -> dict[str, Any]:
    """The body of a request for a text; the token limit is that of the answer and of the thought together."""
    sampling = request.sampling or Sampling()
    if sampling.stop:
        raise EngineError("the Responses API has no stop strings, which this step needs: use api: chat")
    body: dict[str, Any] = {
        "input": [{"role": turn["role"], "content": turn["content"]} for turn in request.messages],
        "max_output_tokens": max(_LEAST_TOKENS, thinking.limit(sampling.max_tokens)),
        "store": False,
    }
    if sampling.temperature != 1:  # the default; reasoning models refuse any other
        body["temperature"] = sampling.temperature
    if sampling.top_p < 1:
        body["top_p"] = sampling.top_p
    if sampling.schema:
        body["text"] = {"format": {"type": "json_schema", "name": "reply", "schema": sampling.schema, "strict": True}}
    if thinking.turned_off:
        body["reasoning"] = {"effort": "none"}
    elif thinking.turned_on:
        body["reasoning"] = {"effort": "medium", "summary": "auto"}
    return body


def logprobs_body(request: Request, thinking: Thinking, most: int) -> dict[str, Any]:
    """The body of a request for the log-probabilities of an answer's first token."""
    one = replace(request, sampling=Sampling(max_tokens=1))
    body = text_body(one, Thinking() if thinking.setting == "auto" else Thinking("off"))
    return {**body, "include": ["message.output_text.logprobs"], "top_logprobs": min(most, 20)}


def read_text(body: Any, index: int) -> Reply | FailedTry:
    """The text of a response; of the thoughts, what the API shows."""
    usage = usage_of(body)
    counts: dict[str, Any] = {
        "tokens_in": to_count(usage.get("input_tokens")),
        "tokens_out": to_count(usage.get("output_tokens")),
    }
    items = body.get("output") if isinstance(body, dict) else None
    if not isinstance(items, list):
        return FailedTry("malformed reply", "the reply has no 'output'")
    finish = _finish(body)
    if isinstance(finish, FailedTry):
        return finish
    parts = list(_parts(items))
    if refusal := next((text for kind, text, _ in parts if kind == "refusal"), None):
        return Reply(index, error=f"the model refused: {replace_surrogates(refusal)[:200]}", **counts)
    if finish not in ("stop", "length"):
        return Reply(index, error=finish, **counts)
    texts = [text for kind, text, _ in parts if kind == "output_text"]
    reasoning = "\n\n".join(text for kind, text, _ in parts if kind in ("summary_text", "reasoning_text"))
    if not texts and not reasoning and finish == "stop":
        return FailedTry("malformed reply", "the answer has no text")
    return Reply(index, replace_surrogates("".join(texts)), finish, replace_surrogates(reasoning) or None, **counts)


def _finish(body: dict[str, Any]) -> str | FailedTry:
    """`stop`, `length`, the reason why there is no answer, or a failure that may pass."""
    status = body.get("status")
    if status == "completed":
        return "stop"
    if status == "incomplete":
        details = body.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        return "length" if reason == "max_output_tokens" else f"finish reason {replace_surrogates(str(reason))[:100]}"
    if status == "failed":
        error = body.get("error")
        error = error if isinstance(error, dict) else {}
        reason = replace_surrogates(f"{error.get('code')}: {error.get('message')}")[:300]
        return FailedTry("server error", reason) if error.get("code") in _TRANSIENT else reason
    return FailedTry("malformed reply", f"unknown status {status!r}")


def _parts(items: list[Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The kind, the text and the whole of each part; a comment on the way to the answer counts as thought."""
    for item in items:
        if not isinstance(item, dict):
            continue
        comment = item.get("phase") == "commentary"
        for part in (*_list(item.get("summary")), *_list(item.get("content"))):
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(kind, str) and isinstance(text := part.get("refusal" if kind == "refusal" else "text"), str):
                yield "reasoning_text" if comment else kind, text, part


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def first_logprobs(body: Any) -> Any:
    """The first token's log-probabilities in the form of chat completions."""
    items = body.get("output") if isinstance(body, dict) else None
    first = next((part for kind, _, part in _parts(_list(items)) if kind == "output_text"), {})
    return {"choices": [{"logprobs": {"content": first.get("logprobs")}}]}


def full_body(model: str, body: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The body to send: with the model's name and the run file's `extra`, without its `omit`."""
    full = {"model": model, **body, **options.get("extra", {})}
    return {name: value for name, value in full.items() if name not in options.get("omit", ())}

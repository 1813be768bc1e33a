"""Gemini's own API (`generateContent`): request bodies, and how its replies are read: plain data, no network.

The model's name is in the path, and what shapes an answer in `generationConfig`, where `extra` and `omit` look too.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from attar.core.replies import replace_surrogates
from attar.engines.base import Reply, Request, Sampling
from attar.engines.http.failures import FailedTry
from attar.engines.http.hosted_thinking import Thinking
from attar.engines.http.payloads import to_count

_CONFIG = "generationConfig"
_FINISH_REASONS = {"STOP": "stop", "MAX_TOKENS": "length"}
_OMITTED_AS = {"top_p": "topP", "max_tokens": "maxOutputTokens", "stop": "stopSequences"}
"""Names in `omit` as other APIs have them."""


def key_header(key: str) -> dict[str, str]:
    """The headers of every call."""
    return {"x-goog-api-key": key} if key else {}


def model_path(model: str) -> str:
    """A model's path below the API."""
    return model if "/" in model else f"models/{model}"


def text_path(model: str) -> str:
    """The path of a request for a text."""
    return f"{model_path(model)}:generateContent"


def text_body(request: Request, thinking: Thinking) -> dict[str, Any]:
    """The body of a request for a text; the token limit is that of the answer and of the thought together."""
    sampling, turns = request.sampling or Sampling(), request.messages
    body: dict[str, Any] = {
        "contents": [_content(turn["role"], turn["content"]) for turn in turns if turn["role"] != "system"],
        _CONFIG: {**_sampling(sampling, request.seed, thinking), **_thinking(thinking)},
    }
    if system := [{"text": turn["content"]} for turn in turns if turn["role"] == "system"]:
        body["systemInstruction"] = {"parts": system}
    return body


def _content(role: str, text: str) -> dict[str, Any]:
    return {"role": "model" if role == "assistant" else role, "parts": [{"text": text}]}


def _sampling(sampling: Sampling, seed: int, thinking: Thinking) -> dict[str, Any]:
    most = thinking.limit(sampling.max_tokens, thinking.budget if _thinks_unasked(thinking) else 0)
    config: dict[str, Any] = {"temperature": sampling.temperature, "maxOutputTokens": most}
    if sampling.temperature > 0:
        config["seed"] = seed % 2**31
    if sampling.top_p < 1:
        config["topP"] = sampling.top_p
    if sampling.stop:
        config["stopSequences"] = list(sampling.stop)
    if sampling.schema:
        config |= {"responseMimeType": "application/json", "responseJsonSchema": sampling.schema}
    return config


def _thinks_unasked(thinking: Thinking) -> bool:
    """True for a model that thinks by default; its thoughts are billed, shown or not, so they are shown."""
    return thinking.setting == "auto" and bool(thinking.ways)


def _thinking(thinking: Thinking) -> dict[str, Any]:
    if thinking.turned_off:
        return {"thinkingConfig": {"thinkingBudget": 0}}
    if thinking.turned_on:
        return {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": thinking.budget}}
    if _thinks_unasked(thinking):
        own = {"thinkingBudget": thinking.tokens} if thinking.tokens else {}
        return {"thinkingConfig": {"includeThoughts": True, **own}}
    return {}


def logprobs_body(request: Request, thinking: Thinking, most: int) -> dict[str, Any]:
    """The body of a request for the log-probabilities of an answer's first token, which no thought may come before."""
    one = replace(request, sampling=Sampling(max_tokens=1))
    body = text_body(one, Thinking("off", ways=thinking.ways) if thinking.ways else Thinking(ways=()))
    return {**body, _CONFIG: {**body[_CONFIG], "responseLogprobs": True, "logprobs": min(most, 20)}}


def full_body(_: str, body: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The body to send: with the run file's `extra`, and without its `omit`, in `generationConfig` too."""
    extra, omit = options.get("extra", {}), options.get("omit", ())
    config = {**body[_CONFIG], **extra.get(_CONFIG, {})}
    full = {**body, **extra, _CONFIG: {name: value for name, value in config.items() if name not in _config_names(omit)}}
    return {name: value for name, value in full.items() if name not in omit}


def _config_names(omit: Sequence[str]) -> set[str]:
    return {_OMITTED_AS.get(name, name) for name in omit}


def read_text(body: Any, index: int) -> Reply | FailedTry:
    """The text of a candidate and, beside it, its thoughts."""
    if not isinstance(body, dict):
        return FailedTry("malformed reply", "the reply has no 'candidates'")
    counts, candidate = _counts(body.get("usageMetadata")), _candidate(body)
    if candidate is None:
        feedback = body.get("promptFeedback")
        if isinstance(feedback, dict) and isinstance(why := feedback.get("blockReason"), str):
            return Reply(index, error=f"the prompt was blocked: {replace_surrogates(why)[:100]}", **counts)
        return FailedTry("malformed reply", "the reply has no 'candidates'")
    reason = candidate.get("finishReason")
    if not isinstance(reason, str) or reason == "FINISH_REASON_UNSPECIFIED":
        return FailedTry("malformed reply", f"unknown finish reason {reason!r}")
    if (finish := _FINISH_REASONS.get(reason)) is None:
        message = candidate.get("finishMessage")
        why = f"{reason} ({message})" if isinstance(message, str) else reason
        return Reply(index, error=f"finish reason {replace_surrogates(why)[:200]}", **counts)
    parts = _parts(candidate)
    texts = [text for text, thought in parts if not thought]
    reasoning = "\n\n".join(text for text, thought in parts if thought)
    if not parts and finish == "stop":
        return FailedTry("malformed reply", "the answer has no text")
    return Reply(index, replace_surrogates("".join(texts)), finish, replace_surrogates(reasoning) or None, **counts)


def _candidate(body: dict[str, Any]) -> dict[str, Any] | None:
    candidates = body.get("candidates")
    first = candidates[0] if isinstance(candidates, list) and candidates else None
    return first if isinstance(first, dict) else None


def _parts(candidate: dict[str, Any]) -> list[tuple[str, bool]]:
    """The texts of a candidate, and whether each is a thought."""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    own = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return [(part["text"], part.get("thought") is True) for part in own if isinstance(part.get("text"), str)]


def _counts(usage: Any) -> dict[str, Any]:
    usage = usage if isinstance(usage, dict) else {}
    tokens_out = to_count(usage.get("candidatesTokenCount")) + to_count(usage.get("thoughtsTokenCount"))
    return {"tokens_in": to_count(usage.get("promptTokenCount")), "tokens_out": to_count(tokens_out)}


def first_logprobs(body: Any) -> Any:
    """The first token's log-probabilities in the form of chat completions."""
    candidate = _candidate(body) if isinstance(body, dict) else None
    result = candidate.get("logprobsResult") if candidate else None
    steps = result.get("topCandidates") if isinstance(result, dict) else None
    first = steps[0] if isinstance(steps, list) and steps else None
    tokens = first.get("candidates") if isinstance(first, dict) else None
    own = [token for token in tokens if isinstance(token, dict)] if isinstance(tokens, list) else []
    tops = [{"token": token.get("token"), "logprob": token.get("logProbability")} for token in own]
    return {"choices": [{"logprobs": {"content": [{"top_logprobs": tops}] if tops else None}}]}


def read_limits(entry: dict[str, Any]) -> tuple[int | None, tuple[str, ...] | None]:
    """What `/models/MODEL` reports: the most tokens of an answer, and whether the model thinks."""
    thinks = entry.get("thinking")
    ways = (("budget",) if thinks else ()) if isinstance(thinks, bool) else None
    return to_count(entry.get("outputTokenLimit")) or None, ways

"""Request bodies for OpenAI-compatible servers, and how their replies are read: plain data, no network.

A malformed body (too few answers, two with one index, no text) is a FailedTry for the requests that it leaves open.
"""

import sys
from array import array
from math import exp, inf, log
from typing import Any, TypeGuard

import numpy as np

from attar.core.replies import replace_surrogates
from attar.engines.base import Reply, Request, Sampling
from attar.engines.http.failures import FailedTry

NEUTRAL_SAMPLING = {
    "vllm": {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0},
    "sglang": {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0},
    "llamacpp": {"top_p": 1.0, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0},
}
"""Values that turn off the sampling defaults of each server, so that a temperature means the same everywhere."""
_MOST_TOKENS = 2**31
"""Tokens that one reply can count; a larger number is the server's mistake, and nothing is known."""
_FINISH_REASONS = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
}


def sampling_body(sampling: Sampling, seed: int, dialect: str) -> dict[str, Any]:
    """The sampling parameters of a request body."""
    limit_name = "max_completion_tokens" if dialect == "openai" else "max_tokens"
    body: dict[str, Any] = {
        "temperature": sampling.temperature,
        limit_name: sampling.max_tokens,
        **NEUTRAL_SAMPLING.get(dialect, {}),
    }
    if sampling.temperature > 0:
        body["seed"] = seed % (2**62 if dialect == "vllm" else 2**31)  # others take 32 bits
    if sampling.top_p < 1 or "top_p" in body:
        body["top_p"] = sampling.top_p
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.schema:
        shape = {"name": "reply", "schema": sampling.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": shape}
    return body


def ollama_body(text: str, sampling: Sampling, seed: int) -> dict[str, Any]:
    """A raw prompt for Ollama's own `/api/generate`: its `/v1/completions` would apply the chat template."""
    parameters = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}
    options = {**parameters, "seed": seed % 2**31, "num_predict": sampling.max_tokens, "stop": list(sampling.stop)}
    return {"prompt": text, "raw": True, "stream": False, "options": options}


def read_ollama(body: Any, call: list[Request]) -> list[Reply | FailedTry]:
    """The text of a reply from Ollama's own API."""
    finish = _FINISH_REASONS.get(str(body.get("done_reason"))) if isinstance(body, dict) else None
    if finish is None or not isinstance(body.get("response"), str):
        return [FailedTry("malformed reply", "the reply has no text or no finish reason")]
    counts: dict[str, Any] = {
        "tokens_in": to_count(body.get("prompt_eval_count")),
        "tokens_out": to_count(body.get("eval_count")),
    }
    return [Reply(call[0].index, replace_surrogates(body["response"]), finish, **counts)]


def read_texts(body: Any, call: list[Request]) -> list[Reply | FailedTry]:
    """The texts of a chat or raw completion, one per request."""
    choices = _items_by_index(body, "choices", len(call))
    usage = usage_of(body)
    tokens_out = to_count(usage.get("completion_tokens"))
    results: list[Reply | FailedTry] = []
    for place, (request, choice) in enumerate(zip(call, choices, strict=True)):
        if choice is None:
            results.append(FailedTry("wrong count", f"{sum(c is not None for c in choices)} answers to {len(call)} requests"))
            continue
        share = _even_share(tokens_out, place, len(call))
        tokens_in = to_count(usage.get("prompt_tokens")) if place == 0 else 0
        results.append(_text(choice, request.index, tokens_in, share))
    return results


def _text(choice: dict[str, Any], index: int, tokens_in: int, tokens_out: int) -> Reply | FailedTry:
    message = choice.get("message", choice)
    if not isinstance(message, dict):
        return FailedTry("malformed reply", "the answer has no message")
    reason = choice.get("finish_reason")
    finish = _FINISH_REASONS.get(reason) if isinstance(reason, str) else None
    if refusal := message.get("refusal"):
        return Reply(
            index,
            error=f"the model refused: {replace_surrogates(str(refusal))[:200]}",
            tokens_in=tokens_in,
            tokens_out=tokens_out,
        )
    if reason in ("content_filter", "tool_calls"):
        return Reply(index, error=f"finish reason {reason}", tokens_in=tokens_in, tokens_out=tokens_out)
    if finish is None:
        return FailedTry("malformed reply", f"unknown finish reason {reason!r}")
    text = message.get("content" if "message" in choice else "text")
    if isinstance(text, list):
        text = "".join(part["text"] for part in text if isinstance(part, dict) and isinstance(part.get("text"), str))
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if text is None and (reasoning or finish == "length"):
        text = ""
    if not isinstance(text, str):
        return FailedTry("malformed reply", "the answer has no text")
    reasoning = replace_surrogates(reasoning) if isinstance(reasoning, str) else None
    return Reply(index, replace_surrogates(text), finish, reasoning, tokens_in=tokens_in, tokens_out=tokens_out)


def read_vectors(body: Any, call: list[Request]) -> list[Reply | FailedTry]:
    """Embeddings, normalised to length 1."""
    items = _items_by_index(body, "data", len(call))
    tokens_in, count = to_count(usage_of(body).get("prompt_tokens")), len(call)
    return [_vector(item, call[place].index, _even_share(tokens_in, place, count)) for place, item in enumerate(items)]


def _vector(item: dict[str, Any] | None, index: int, tokens: int) -> Reply | FailedTry:
    if item is None:
        return FailedTry("wrong count", "fewer embeddings than texts")
    values = item.get("embedding")
    if not isinstance(values, list) or not values or not set(map(type, values)) <= {int, float}:
        return FailedTry("malformed reply", "the embedding is not a list of finite numbers")
    try:
        numbers = np.array(values, dtype=np.float64)
    except OverflowError:  # an integer too large for a float
        return FailedTry("malformed reply", "the embedding is not a list of finite numbers")
    largest = np.abs(numbers).max()
    if not np.isfinite(largest):
        return FailedTry("malformed reply", "the embedding is not a list of finite numbers")
    if largest == 0:
        return Reply(index, error="the embedding is all zeros", tokens_in=tokens)
    numbers /= largest  # so that no square overflows
    return Reply(index, vector=array("f", (numbers / np.linalg.norm(numbers)).astype(np.float32).tobytes()), tokens_in=tokens)


def rewards_body(inputs: list[str], dialect: str) -> dict[str, Any]:
    """Conversations as text, to get raw logits; the last three are one setting's names in different versions of vLLM."""
    if dialect == "sglang":
        return {"text": inputs}
    raw_logits = dict.fromkeys(("use_activation", "activation", "softmax"), False)
    return {"input": inputs, "add_special_tokens": False, **raw_logits}


def read_rewards(body: Any, call: list[Request]) -> list[Reply | FailedTry]:
    """One number per conversation, from `/classify` (`probs`; of SGLang `embedding`) or `/pooling` (`data`)."""
    if isinstance(body, list):
        body = {"data": body}
    items = _items_by_index(body, "data", len(call))
    tokens_in, count = to_count(usage_of(body).get("prompt_tokens")), len(call)
    return [_reward(item, call[place].index, _even_share(tokens_in, place, count)) for place, item in enumerate(items)]


def _reward(item: dict[str, Any] | None, index: int, tokens: int) -> Reply | FailedTry:
    if item is None:
        return FailedTry("wrong count", "fewer rewards than conversations")
    value = item.get("probs", item.get("data", item.get("embedding", item.get("score"))))
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list):
        return FailedTry("refused", f"{len(value)} numbers, expected 1: this is a classifier, not a reward model", retry=False)
    if not _is_finite(value):
        return FailedTry("malformed reply", "the reward is not a finite number")
    return Reply(index, reward=float(value), tokens_in=tokens)


TokenLogprobs = list[tuple[str | int, float]]
"""The most likely next tokens with their log-probabilities; by id if the server sends ids, else by text."""


def read_logprobs(body: Any) -> TokenLogprobs:
    """Log-probabilities of an answer's first token, in any of the forms that servers send."""
    choice = next((item for item in _items_by_index(body, "choices", 1) if item), {})
    logprobs = choice.get("logprobs")
    logprobs = logprobs if isinstance(logprobs, dict) else {}
    if _is_list_of_dicts(logprobs.get("content")):
        first = logprobs["content"][0]
        entries = first["top_logprobs"] if _is_list_of_dicts(first.get("top_logprobs")) else [first]
        tokens = [(_token_of(item), float(item["logprob"])) for item in entries if _has_logprob(item)]
    elif _is_list_of_dicts(logprobs.get("top_logprobs")):
        first = logprobs["top_logprobs"][0]
        tokens = [(_parse_token(token), float(value)) for token, value in first.items() if _is_finite(value)]
    else:
        tokens = []
    if not tokens:
        raise FailedTry("malformed reply", "the reply has no log-probabilities")
    return tokens


def _has_logprob(item: dict[str, Any]) -> bool:
    return _is_finite(item.get("logprob")) and (isinstance(item.get("id"), int) or isinstance(item.get("token"), str))


def _is_list_of_dicts(value: Any) -> bool:
    """True for a list with at least one item, all of them objects."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _token_of(item: dict[str, Any]) -> str | int:
    return item["id"] if isinstance(item.get("id"), int) else _parse_token(str(item.get("token", "")))


def _parse_token(token: str) -> str | int:
    number = token.removeprefix("token_id:")
    return int(number) if number != token and number.isascii() and number.isdigit() else token


def match_labels(tokens: TokenLogprobs, labels: tuple[str, ...]) -> tuple[float, ...]:
    """Each label's log-probability, ignoring spaces around it; minus infinity if no returned token is the label."""
    weights = []
    for label in labels:
        probabilities = [exp(min(value, 0.0)) for token, value in tokens if isinstance(token, str) and token.strip() == label]
        weights.append(log(sum(probabilities)) if sum(probabilities) > 0 else -inf)
    return tuple(weights)


def _items_by_index(body: Any, key: str, count: int) -> list[dict[str, Any] | None]:
    """The items of a reply's list, ordered by their `index`; None where one is missing."""
    items = body.get(key) if isinstance(body, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise FailedTry("malformed reply", f"the reply has no {key!r}")
    places: list[dict[str, Any] | None] = [None] * count
    for at, item in enumerate(items):
        place = at if item.get("index") is None else item["index"]
        if not isinstance(place, int) or not 0 <= place < count:
            raise FailedTry("wrong count", f"answer index {place!r}, expected 0 to {count - 1}")
        if places[place] is not None:
            raise FailedTry("wrong count", f"two answers with index {place}")
        places[place] = item
    return places


def usage_of(body: Any) -> dict[str, Any]:
    """The token counts of a reply."""
    usage = body.get("usage") if isinstance(body, dict) else None
    return usage if isinstance(usage, dict) else {}


def _even_share(total: int, place: int, count: int) -> int:
    """One of `count` integer shares that add up to the total."""
    return total // count + (place < total % count)


def _is_finite(value: Any) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max  # False for NaN, and for integers too large for a float


def to_count(value: Any) -> int:
    """A reply's count of tokens; 0 for what can be none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_TOKENS else 0

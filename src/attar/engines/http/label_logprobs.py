"""Label log-probabilities from a server: by the answer's first token if it distinguishes the labels, else token by token.

vLLM returns the requested token ids, and SGLang the requested ids after each prefix: all labels in one call. Other servers
return only the most likely tokens (as a rule 20), and a label below those gets probability zero. Raw text is sent as a
completion, with the labels' tokens as they are after that text.
"""

from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple

from attar.core.errors import EngineError
from attar.engines.base import Reply, Request, Sampling
from attar.engines.http.failures import FailedTry
from attar.engines.http.payloads import TokenLogprobs, match_labels, read_logprobs, sampling_body, usage_of
from attar.engines.http.tokenizer import Post, ServerTokenizer
from attar.engines.label_tokens import Spelling, Spellings, context_of, label_logprobs, spell_labels, texts_to_encode

_ONE = Sampling(max_tokens=1)
_MAX_TOKEN_IDS = 128
"""The most token ids that vLLM takes in one call."""


class _Prompt(NamedTuple):
    """The prompt, and each label's spellings after it."""

    start: list[int] | str
    ways: Spellings


async def weigh(request: Request, post: Post, tokens: ServerTokenizer, dialect: str, most: int) -> Reply | FailedTry:
    """The log-probabilities of one request's labels."""
    raw = dialect in ("vllm", "sglang", "llamacpp") and tokens.available
    if request.text is not None:
        if raw:
            return await _weigh_spellings(request, await _encode_raw(request.text, request.labels, tokens), post, dialect, most)
        return await _weigh_by_text(request, post, dialect, most)
    _, ways = await _spell("", request.labels, tokens) if raw else (0, [])
    if raw and (not _are_single_tokens(ways) or await tokens.thinks_at_chat()):
        start = await tokens.raw(await tokens.render_closed(request.messages))
        return await _weigh_spellings(request, _Prompt(start, ways), post, dialect, most)
    wanted = [token for [(token,)] in ways]
    body = {"messages": tokens.fit(request.messages), "logprobs": True, "top_logprobs": most, **tokens.without_thought}
    if dialect == "vllm":
        body |= {"logprob_token_ids": wanted, "return_tokens_as_token_ids": True}
    reply = await post("chat/completions", {**body, **sampling_body(_ONE, 0, dialect)})
    logprobs = read_logprobs(reply)
    usage = reply.get("usage") or {}
    counts = {"tokens_in": usage.get("prompt_tokens") or 0, "tokens_out": 1}
    if wanted and any(isinstance(token, int) for token, _ in logprobs):
        weights = tuple(_logprob_of(logprobs, token) for token in wanted)
    else:
        weights = match_labels(logprobs, check_first_tokens(request.labels, logprobs))
    return Reply(request.index, weights=weights, **counts)


def _are_single_tokens(ways: Spellings) -> bool:
    """True if each label has one spelling of one token, and no two labels share it."""
    return all(len(own) == 1 and len(own[0]) == 1 for own in ways) and len({own[0] for own in ways}) == len(ways)


def _logprob_of(logprobs: TokenLogprobs, token: int) -> float:
    return next((value for other, value in logprobs if other == token), -inf)


def check_first_tokens(labels: tuple[str, ...], logprobs: TokenLogprobs) -> tuple[str, ...]:
    """The labels, if a single first token can identify each; raises if not, as for "1" and "10"."""
    for label in labels:
        if any(other != label and other.startswith(label) for other in labels):
            raise EngineError(
                f"label {label!r} begins another label, and this server returns single tokens only: "
                "use labels such as A, B, C, or a server that takes token ids (vllm, sglang, llama.cpp)"
            )
    starts = {token.strip() for token, value in logprobs if isinstance(token, str) and value > -4.6} - {"", *labels}
    if cut := [label for label in labels if any(label.startswith(start) for start in starts)]:
        raise EngineError(
            f"label {cut[0]!r} is several tokens of this model: use shorter labels, or a server that takes token ids"
        )
    return labels


async def _encode_raw(text: str, labels: Sequence[str], tokens: ServerTokenizer) -> _Prompt:
    """A raw text's tokens, and each label's after it."""
    removed, ways = await _spell(context_of(text), labels, tokens)
    start = await tokens.raw(text)
    return _Prompt(start[: len(start) - removed], ways)


async def _spell(tail: str, labels: Sequence[str], tokens: ServerTokenizer) -> tuple[int, Spellings]:
    return spell_labels(tail, "", labels, {text: await tokens.ids(text) for text in texts_to_encode(tail, "", labels)})


async def _weigh_by_text(request: Request, post: Post, dialect: str, most: int) -> Reply:
    """Label log-probabilities of a raw text on a server that takes and returns text."""
    reply = await post("completions", {"prompt": request.text, "logprobs": most, **sampling_body(_ONE, 0, dialect)})
    logprobs = read_logprobs(reply)
    weights = match_labels(logprobs, check_first_tokens(request.labels, logprobs))
    return Reply(request.index, weights=weights, tokens_in=(reply.get("usage") or {}).get("prompt_tokens") or 0, tokens_out=1)


class _ApiCall(NamedTuple):
    """One call for the next-token log-probabilities of some prompts."""

    path: str
    body: dict[str, Any]
    prompts: int


async def _weigh_spellings(request: Request, prompt: _Prompt, post: Post, dialect: str, most: int) -> Reply | FailedTry:
    """The chain rule: a spelling's log-probability is the sum over its tokens, each given the prompt and the tokens before."""
    ways = {way for own in prompt.ways for way in own}
    steps = {(way[:at], token) for way in ways for at, token in enumerate(way)}
    stems = sorted({stem for stem, _ in steps})
    wanted = [sorted(token for own, token in steps if own == stem) for stem in stems]
    logprobs: list[TokenLogprobs] = []
    tokens_in = 0
    for path, body, count in _build_calls([[*prompt.start, *stem] for stem in stems], wanted, dialect, most):
        reply = await post(path, body)
        found, tokens = _read_sglang(reply, count) if dialect == "sglang" else _read_completions(reply, count)
        logprobs += found
        tokens_in += tokens
    by_stem = dict(zip(stems, logprobs, strict=True))
    logs: dict[Spelling, float] = {
        way: sum(_logprob_of(by_stem[way[:at]], token) for at, token in enumerate(way)) for way in ways
    }
    return Reply(request.index, weights=label_logprobs(prompt.ways, logs), tokens_in=tokens_in, tokens_out=len(stems))


def _build_calls(prompts: list[Any], wanted: list[list[int]], dialect: str, most: int) -> list[_ApiCall]:
    """The calls for the next-token log-probabilities after each prompt: one call for all if the server allows it."""
    if dialect == "sglang":  # its completions return texts only, and take no token ids
        options = {"return_logprob": True, "logprob_start_len": -1, "token_ids_logprob": wanted}
        body = {"input_ids": prompts, "sampling_params": {"temperature": 0.0, "max_new_tokens": 1}, **options}
        return [_ApiCall("/generate", body, len(prompts))]
    body = {"logprobs": most, **sampling_body(_ONE, 0, dialect)}
    if dialect != "vllm":
        return [_ApiCall("completions", {"prompt": prompt, **body}, 1) for prompt in prompts]
    body["return_tokens_as_token_ids"] = True
    token_ids = sorted({token for own in wanted for token in own})
    if len(token_ids) <= _MAX_TOKEN_IDS:
        return [_ApiCall("completions", {"prompt": prompts, "logprob_token_ids": token_ids, **body}, len(prompts))]
    each = zip(prompts, wanted, strict=True)
    return [_ApiCall("completions", {"prompt": prompt, "logprob_token_ids": own, **body}, 1) for prompt, own in each]


def _read_completions(reply: Any, count: int) -> tuple[list[TokenLogprobs], int]:
    """The next-token log-probabilities after each prompt, and the number of prompt tokens."""
    choices: Any = reply.get("choices") if isinstance(reply, dict) else None
    items = choices if isinstance(choices, list) else []
    valid = [choice for choice in items if isinstance(choice, dict)]
    places = {place: choice for choice in valid if isinstance(place := choice.get("index") or 0, int)}
    if places.keys() != set(range(count)):
        raise FailedTry("wrong count", f"{len(places)} answers to {count} prompts")
    logprobs = [read_logprobs({"choices": [{**places[place], "index": 0}]}) for place in range(count)]
    return logprobs, usage_of(reply).get("prompt_tokens") or 0


def _read_sglang(reply: Any, count: int) -> tuple[list[TokenLogprobs], int]:
    """The same from SGLang's own API, which returns each token's log-probability, id and text."""
    try:
        metas = [item["meta_info"] for item in reply]
        logprobs: list[TokenLogprobs] = [
            [(int(token), float(value)) for value, token, *_ in meta["output_token_ids_logprobs"][0]] for meta in metas
        ]
        tokens_in = sum(int(meta["prompt_tokens"]) for meta in metas)
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise FailedTry("malformed reply", "the reply has no log-probabilities") from error
    if len(logprobs) != count:
        raise FailedTry("wrong count", f"{len(logprobs)} answers to {count} prompts")
    return logprobs, tokens_in

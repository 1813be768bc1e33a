"""Log-probabilities of labels from a server: by the answer's first token where one tells the labels apart, else token by token.

vLLM is asked for the very tokens, and SGLang where they are followed: those of all labels in one call. Other servers tell only
the likeliest (20 as a rule), and a label below those weighs nothing. Raw text in place of a conversation is asked as a
completion, with the labels' tokens as they stand behind it.
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
"""So many tokens vLLM lets one call name."""


class _Prompt(NamedTuple):
    """What the model reads, and the spellings of each label from there on."""

    start: list[int] | str
    ways: Spellings


async def weigh(request: Request, post: Post, tokens: ServerTokenizer, dialect: str, most: int) -> Reply | FailedTry:
    """The weights of one request's labels."""
    raw = dialect in ("vllm", "sglang", "llamacpp") and tokens.available
    if request.text is not None:
        if raw:
            return await _weigh_spellings(request, await _encode_raw(request.text, request.labels, tokens), post, dialect, most)
        return await _weigh_by_text(request, post, dialect, most)
    _, ways = await _spell("", request.labels, tokens) if raw else (0, [])
    if raw and not _are_single_tokens(ways):
        start = await tokens.raw(await tokens.render(request.messages, ask=True))
        return await _weigh_spellings(request, _Prompt(start, ways), post, dialect, most)
    wanted = [token for [(token,)] in ways]
    body = {"messages": list(map(dict, request.messages)), "logprobs": True, "top_logprobs": most}
    if dialect == "vllm":
        body |= {"logprob_token_ids": wanted, "return_tokens_as_token_ids": True}
    told = await post("chat/completions", {**body, **sampling_body(_ONE, 0, dialect)})
    found = read_logprobs(told)
    usage = told.get("usage") or {}
    counts = {"tokens_in": usage.get("prompt_tokens") or 0, "tokens_out": 1}
    if wanted and any(isinstance(token, int) for token, _ in found):
        weights = tuple(_logprob_of(found, token) for token in wanted)
    else:
        weights = match_labels(found, _check_first_tokens(request.labels, found))
    return Reply(request.index, weights=weights, **counts)


def _are_single_tokens(ways: Spellings) -> bool:
    """Whether each label is one token, however it is written, and no two the same."""
    return all(len(own) == 1 and len(own[0]) == 1 for own in ways) and len({own[0] for own in ways}) == len(ways)


def _logprob_of(found: TokenLogprobs, token: int) -> float:
    return next((value for known, value in found if known == token), -inf)


def _check_first_tokens(labels: tuple[str, ...], found: TokenLogprobs) -> tuple[str, ...]:
    """The labels, if each of them can be a first token that is told; "1" and "10" may begin alike."""
    for label in labels:
        if any(other != label and other.startswith(label) for other in labels):
            raise EngineError(
                f"label {label!r} begins another label, and this server tells single tokens only: use labels such as A, B, C, "
                "or a server that takes token ids (vllm, sglang, llama.cpp)"
            )
    starts = {token.strip() for token, value in found if isinstance(token, str) and value > -4.6} - {"", *labels}
    if cut := [label for label in labels if any(label.startswith(start) for start in starts)]:
        raise EngineError(
            f"label {cut[0]!r} is several tokens of this model: use shorter labels, or a server that takes token ids"
        )
    return labels


async def _encode_raw(text: str, labels: Sequence[str], tokens: ServerTokenizer) -> _Prompt:
    """A raw text's tokens, and each label's behind it."""
    given, ways = await _spell(context_of(text), labels, tokens)
    start = await tokens.raw(text)
    return _Prompt(start[: len(start) - given], ways)


async def _spell(tail: str, labels: Sequence[str], tokens: ServerTokenizer) -> tuple[int, Spellings]:
    return spell_labels(tail, "", labels, {text: await tokens.ids(text) for text in texts_to_encode(tail, "", labels)})


async def _weigh_by_text(request: Request, post: Post, dialect: str, most: int) -> Reply:
    """The labels' weights of a server that takes text and tells text."""
    told = await post("completions", {"prompt": request.text, "logprobs": most, **sampling_body(_ONE, 0, dialect)})
    found = read_logprobs(told)
    weights = match_labels(found, _check_first_tokens(request.labels, found))
    return Reply(request.index, weights=weights, tokens_in=(told.get("usage") or {}).get("prompt_tokens") or 0, tokens_out=1)


class _ApiCall(NamedTuple):
    """One call that asks what follows each of some prompts."""

    path: str
    body: dict[str, Any]
    prompts: int


async def _weigh_spellings(request: Request, asked: _Prompt, post: Post, dialect: str, most: int) -> Reply | FailedTry:
    """Follow each spelling of each label from token to token."""
    ways = {way for own in asked.ways for way in own}
    steps = {(way[:at], token) for way in ways for at, token in enumerate(way)}
    stems = sorted({stem for stem, _ in steps})
    wanted = [sorted(token for own, token in steps if own == stem) for stem in stems]
    likely: list[TokenLogprobs] = []
    spent = 0
    for path, body, count in _build_calls([[*asked.start, *stem] for stem in stems], wanted, dialect, most):
        told = await post(path, body)
        found, tokens = _read_sglang(told, count) if dialect == "sglang" else _read_completions(told, count)
        likely += found
        spent += tokens
    known = dict(zip(stems, likely, strict=True))
    logs: dict[Spelling, float] = {
        way: sum(_logprob_of(known[way[:at]], token) for at, token in enumerate(way)) for way in ways
    }
    return Reply(request.index, weights=label_logprobs(asked.ways, logs), tokens_in=spent, tokens_out=len(stems))


def _build_calls(prompts: list[Any], wanted: list[list[int]], dialect: str, most: int) -> list[_ApiCall]:
    """How the chances of next tokens are asked for: all in one call where the server takes it."""
    if dialect == "sglang":  # its completions tell texts only, and no token by name
        told = {"return_logprob": True, "logprob_start_len": -1, "token_ids_logprob": wanted}
        body = {"input_ids": prompts, "sampling_params": {"temperature": 0.0, "max_new_tokens": 1}, **told}
        return [_ApiCall("/generate", body, len(prompts))]
    body = {"logprobs": most, **sampling_body(_ONE, 0, dialect)}
    if dialect != "vllm":
        return [_ApiCall("completions", {"prompt": prompt, **body}, 1) for prompt in prompts]
    body["return_tokens_as_token_ids"] = True
    named = sorted({token for own in wanted for token in own})
    if len(named) <= _MAX_TOKEN_IDS:
        return [_ApiCall("completions", {"prompt": prompts, "logprob_token_ids": named, **body}, len(prompts))]
    each = zip(prompts, wanted, strict=True)
    return [_ApiCall("completions", {"prompt": prompt, "logprob_token_ids": own, **body}, 1) for prompt, own in each]


def _read_completions(told: Any, count: int) -> tuple[list[TokenLogprobs], int]:
    """The chances behind each prompt, and how many tokens were read."""
    choices: Any = told.get("choices") if isinstance(told, dict) else None
    listed = choices if isinstance(choices, list) else []
    whole = [choice for choice in listed if isinstance(choice, dict)]
    places = {place: choice for choice in whole if isinstance(place := choice.get("index") or 0, int)}
    if places.keys() != set(range(count)):
        raise FailedTry("wrong count", f"{len(places)} answers where {count} were asked for")
    found = [read_logprobs({"choices": [{**places[place], "index": 0}]}) for place in range(count)]
    return found, usage_of(told).get("prompt_tokens") or 0


def _read_sglang(told: Any, count: int) -> tuple[list[TokenLogprobs], int]:
    """The same of SGLang's own API, which tells of each token its log-probability, its id and its text."""
    try:
        metas = [item["meta_info"] for item in told]
        found: list[TokenLogprobs] = [
            [(int(token), float(value)) for value, token, *_ in meta["output_token_ids_logprobs"][0]] for meta in metas
        ]
        spent = sum(int(meta["prompt_tokens"]) for meta in metas)
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise FailedTry("malformed reply", "the reply has no log-probabilities") from error
    if len(found) != count:
        raise FailedTry("wrong count", f"{len(found)} answers where {count} were asked for")
    return found, spent

"""Log-probabilities of labels from a server: by the answer's first token where one tells the labels apart, else token by token.

vLLM is asked for the very tokens; other servers tell only the likeliest (20 as a rule), and a label below those weighs nothing.
Raw text in place of a conversation is asked as a completion, with the labels' tokens as they stand behind it.
"""

from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple

from attar.engines.base import Reply, Request, Sampling
from attar.engines.bodies import Odds, label_weights, odds, sampled
from attar.engines.labels import behind, closed, near
from attar.engines.mishaps import Mishap
from attar.engines.tokens import Post, Tokens
from attar.errors import EngineError

_ONE = Sampling(max_tokens=1)


class _Ways(NamedTuple):
    """What the model reads, and the tokens of each label from there on."""

    start: list[int] | str
    labels: list[list[int]]


async def weigh(request: Request, post: Post, tokens: Tokens, dialect: str, most: int) -> Reply | Mishap:
    """The weights of one request's labels."""
    raw = dialect in ("vllm", "sglang", "llamacpp") and tokens.known
    if request.text is not None:
        if raw:
            return await _walk(request, await _behind(request.text, request.labels, tokens), post, dialect, most)
        return await _completed(request, post, dialect, most)
    pieces = [await tokens.ids(label) for label in request.labels] if raw else []
    if raw and not _apart(pieces):
        start = await tokens.raw(await tokens.render(request.messages, ask=True))
        return await _walk(request, _Ways(start, closed(pieces, await tokens.end())), post, dialect, most)
    wanted = [piece[0] for piece in pieces]
    body = {"messages": list(map(dict, request.messages)), "logprobs": True, "top_logprobs": most}
    if dialect == "vllm":
        body |= {"logprob_token_ids": wanted, "return_tokens_as_token_ids": True}
    told = await post("chat/completions", {**body, **sampled(_ONE, 0, dialect)})
    found = odds(told)
    usage = told.get("usage") or {}
    counts = {"tokens_in": usage.get("prompt_tokens") or 0, "tokens_out": 1}
    if wanted and any(isinstance(token, int) for token, _ in found):
        weights = tuple(_of(found, token) for token in wanted)
    else:
        weights = label_weights(found, _telling(request.labels, found))
    return Reply(request.index, weights=weights, **counts)


def _apart(pieces: Sequence[Sequence[int]]) -> bool:
    return all(len(piece) == 1 for piece in pieces) and len({piece[0] for piece in pieces}) == len(pieces)


def _of(found: Odds, token: int) -> float:
    return next((value for known, value in found if known == token), -inf)


def _telling(labels: tuple[str, ...], found: Odds) -> tuple[str, ...]:
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


async def _behind(text: str, labels: Sequence[str], tokens: Tokens) -> _Ways:
    """A raw text's tokens, and each label's behind it."""
    tail = near(text)
    given, ways = behind(await tokens.ids(tail), [await tokens.ids(tail + label) for label in labels])
    start = await tokens.raw(text)
    begun = any(other != own and other[: len(own)] == own for own in ways for other in ways)
    return _Ways(start[: len(start) - given], closed(ways, await tokens.end() if begun else None))


async def _completed(request: Request, post: Post, dialect: str, most: int) -> Reply:
    """The labels' weights of a server that takes text and tells text."""
    told = await post("completions", {"prompt": request.text, "logprobs": most, **sampled(_ONE, 0, dialect)})
    found = odds(told)
    weights = label_weights(found, _telling(request.labels, found))
    return Reply(request.index, weights=weights, tokens_in=(told.get("usage") or {}).get("prompt_tokens") or 0, tokens_out=1)


async def _walk(request: Request, ways: _Ways, post: Post, dialect: str, most: int) -> Reply | Mishap:
    """Follow each label from token to token; one that another goes on from is closed with the end of the turn."""
    stems = sorted({tuple(way[:at]) for way in ways.labels for at in range(len(way))})
    likely: dict[tuple[int, ...], Odds] = {}
    spent = 0
    for stem in stems:
        wanted = sorted({way[len(stem)] for way in ways.labels if tuple(way[: len(stem)]) == stem and len(way) > len(stem)})
        body: dict[str, Any] = {"prompt": [*ways.start, *stem], "logprobs": most, **sampled(_ONE, 0, dialect)}
        if dialect != "llamacpp":
            body |= {"return_tokens_as_token_ids": True, "logprob_token_ids": wanted}
        told = await post("completions", body)
        likely[stem] = odds(told)
        spent += (told.get("usage") or {}).get("prompt_tokens") or 0
    weights = [sum(_of(likely[tuple(way[:at])], token) for at, token in enumerate(way)) for way in ways.labels]
    return Reply(request.index, weights=tuple(weights), tokens_in=spent, tokens_out=len(stems))

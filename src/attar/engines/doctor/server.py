"""Checks of a server: raw prompts and how it treats them, tokens, log-probabilities, speed, price."""

import json
import time
from collections.abc import Iterator
from functools import partial
from math import isinf
from typing import Any

from attar.chat.templates import prefix
from attar.core.errors import AttarError, EngineError
from attar.core.format import format_dollars
from attar.engines.base import Reply, Request, Sampling
from attar.engines.describe import Facts, TokenIds, describe, to_lines
from attar.engines.doctor.verbs import CHECKS, HI, Check, fail, only, show_answer, show_facts, show_template
from attar.engines.http.engine import Http
from attar.engines.http.server_queue import wait_for
from attar.engines.prices import price_of
from attar.engines.thinking import separate, setting

FIRST = "server"
"""The check that all others need."""
_SPEED_SECONDS = 10.0
"""After this time no more requests are sent: a slow server would take an hour."""
_SHAPE = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": False}


def checks(opened: Any, rows: int) -> Iterator[Check]:
    """Every check, in an order in which later ones may depend on earlier ones."""
    try:
        engine: Http = opened.http  # starts the server if Attar manages it
    except AttarError as error:
        yield FIRST, partial(fail, error)
        return
    rows *= 4
    yield FIRST, lambda: _server(engine)
    yield "chat", lambda: _chat(engine)
    yield "chat template", lambda: show_template(engine)
    yield "raw prompts", lambda: _raw(engine)
    yield from show_facts(lambda: to_lines(*describe_server(engine)))
    yield "sampling", lambda: _sample(engine)
    yield "label log-probs", lambda: _weigh(engine)
    yield "structured output", lambda: _shape(engine)
    for name, check in (CHECKS["embed"], CHECKS["reward"]):
        yield name, partial(check, engine)
    yield "speed", lambda: _speed(engine, rows)


def _server(engine: Http) -> str:
    info = engine.server
    context = f", prompt and answer of up to {info.context:,} tokens together" if info.context else ""
    return f"{info.dialect} with {', '.join(info.models) or 'no list of models'}{context}"


def _chat(engine: Http) -> str:
    template, how = (
        engine.tokens.known_template,
        setting(engine.options),
    )  # the server is inspected, from outside the event loop
    counted_apart = engine.api is not None or bool(how == "auto" and wait_for(engine.tokens.opened_remotely(how)))
    return show_answer(engine, template, counted_apart=counted_apart)


def describe_server(engine: Http, system: str | None = None) -> tuple[Facts, TokenIds | None]:
    """The facts of the model's template, and its tokenizer's ids where there are any."""
    tokens, template = engine.tokens, engine.template
    if not tokens.available:
        return describe(template, engine.options, system), None
    adds_bos = bool(wait_for(tokens.ids("", special=True)))
    ids = TokenIds(lambda text: wait_for(tokens.raw(text)), lambda text: wait_for(tokens.ids(text)))
    return describe(template, engine.options, system, adds_bos=adds_bos), ids


def _raw(engine: Http) -> str:
    """The server must count as many tokens as a raw prompt has; more mean that it adds a template."""
    one = Sampling(max_tokens=1)
    raw = _count_prompt(engine, Request(0, text="Hi", sampling=one))
    if not raw:
        raise EngineError("the server reports no prompt tokens, so it is unknown whether it re-templates raw prompts")
    if engine.tokens.available:
        ids = wait_for(engine.tokens.raw("Hi"))
        if len(ids) != raw:
            raise EngineError(
                f"'Hi' is {len(ids)} tokens, but the server counted {raw}: it adds something to raw prompts. "
                "Magpie would sample from another prompt than intended: use a server that takes raw prompts (vllm, llama.cpp)"
            )
        bos = wait_for(engine.tokens.ids("", special=True))[:1]
        return f"are sent as token ids and taken unchanged; the tokenizer adds {f'BOS {bos[0]}' if bos else 'no BOS'}"
    chat = _count_prompt(engine, Request(0, messages=HI, sampling=one))
    if raw >= chat:
        raise EngineError(
            f"'Hi' costs {raw} tokens raw and {chat} in chat: the server re-templates raw prompts. "
            "Magpie does not work on it: use a server that takes raw prompts (vllm, llama.cpp)"
        )
    return f"are sent as text and not re-templated ('Hi' is {raw} tokens, {chat} in chat)"


def _count_prompt(engine: Http, request: Request) -> int:
    """The tokens that the server counts in a prompt, whatever it answers."""
    (reply,) = engine.generate([request])
    if reply.error is not None:
        raise EngineError(reply.error)
    return reply.tokens_in


def _sample(engine: Http) -> str:
    magpie_prefix = prefix(engine.template)
    sampling = Sampling(1.0, 1.0, 256, magpie_prefix.stops)
    asks = (Request(i, text=magpie_prefix.text, sampling=sampling, seed=i) for i in range(16))
    replies = list(map(separate, engine.generate(asks)))
    complete = [reply for reply in replies if reply.finish == "stop" and (reply.text or "").strip()]
    if not complete:
        raise EngineError(
            replies[0].error or "none of 16 samples ended by itself: this is a base model, or the server changes raw prompts"
        )
    return f"{len(complete)} of 16 ended by themselves, such as {(complete[0].text or '').strip()[:120]!r}"


def _weigh(engine: Http) -> str:
    labels = tuple("123456789")
    weights = only(engine.weigh([Request(0, messages=HI, labels=labels)])).weights or ()
    returned = sum(not isinf(weight) for weight in weights)
    if not returned:
        raise EngineError(
            "the server returns log-probabilities, but none of the nine digits is among them; llama.cpp takes `logprobs: 1000`"
        )
    coverage = (
        "of any label"
        if returned == len(labels)
        else f"of {returned} of nine labels; tokens below the most likely ones get probability zero"
    )
    return f"returned {coverage}"


def _shape(engine: Http) -> str:
    request = Request(0, messages=HI, sampling=Sampling(max_tokens=64, schema=_SHAPE))
    reply = only(engine.generate([request]))
    try:
        value = json.loads(reply.text or "")
    except ValueError as error:
        raise EngineError(f"the reply does not follow the JSON schema: {(reply.text or '')[:80]!r} ({reply.finish})") from error
    if not isinstance(value, dict) or not isinstance(value.get("ok"), bool):
        raise EngineError(f"the reply does not follow the JSON schema: {(reply.text or '')[:80]!r}")
    return "the reply follows the JSON schema"


def _speed(engine: Http, rows: int) -> str:
    sampling = Sampling(temperature=1.0, max_tokens=64)
    started = time.perf_counter()
    replies: list[Reply] = []
    while not replies or (len(replies) < rows and time.perf_counter() < started + _SPEED_SECONDS):
        batch = range(len(replies), min(rows, 2 * len(replies) + 8))
        replies += engine.generate(Request(i, messages=HI, sampling=sampling, seed=i) for i in batch)
    seconds = time.perf_counter() - started
    answered = [reply for reply in replies if reply.error is None]
    if not answered:
        raise EngineError(f"none of {len(replies)} requests was answered: {replies[0].error}")
    tokens_in, tokens_out = sum(reply.tokens_in for reply in answered), sum(reply.tokens_out for reply in answered)
    level = engine.wire.queue.concurrency.limit
    speed = f"{len(answered) / seconds:,.1f} rows/s, {tokens_out / seconds:,.0f} tokens/s, best with {level} in flight"
    price = price_of(engine.spec)
    if price is None:
        return f"{speed}; its price is unknown (set `price`)"
    cost = price.of(tokens_in, tokens_out) + price.hour * seconds / 3600
    return f"{speed}; 1,000 such rows cost {format_dollars(1000 * cost / len(answered))}"

"""What a server can do, found by trying: raw prompts and what becomes of them, tokens, log-probabilities, speed, price."""

import json
import time
from collections.abc import Iterator
from functools import partial
from math import isinf
from typing import Any

from attar.chat.templates import prefix
from attar.core.errors import AttarError, EngineError
from attar.core.format import format_dollars
from attar.engines.base import Request, Sampling
from attar.engines.doctor.verbs import CHECKS, HI, Check, only, show_template
from attar.engines.http.engine import Http
from attar.engines.http.server_queue import wait_for
from attar.engines.prices import price_of

FIRST = "server"
"""The check without which no other makes sense."""
_SHAPE = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": False}


def checks(opened: Any, rows: int) -> Iterator[Check]:
    """Every check, in the order in which one leans on another."""
    try:
        engine: Http = opened.http  # which starts a server of its own
    except AttarError as error:
        yield FIRST, partial(_fail, error)
        return
    rows *= 4
    yield FIRST, lambda: _server(engine)
    yield "chat", lambda: _chat(engine)
    yield "chat template", lambda: show_template(engine)
    yield "raw prompts", lambda: _raw(engine)
    yield "magpie prefix", lambda: _prefix(engine)
    yield "drawing from nothing", lambda: _draw(engine)
    yield "label log-probs", lambda: _weigh(engine)
    yield "structured output", lambda: _shape(engine)
    for name, check in (CHECKS["embed"], CHECKS["reward"]):
        yield name, partial(check, engine)
    yield "speed", lambda: _speed(engine, rows)


def _fail(error: AttarError) -> str:
    raise error


def _server(engine: Http) -> str:
    found = engine.server
    holds = f", prompts and answers of {found.context:,} tokens together" if found.context else ""
    return f"{found.dialect} with {', '.join(found.models) or 'no list of models'}{holds}"


def _chat(engine: Http) -> str:
    reply = only(engine.generate([Request(0, messages=HI, sampling=Sampling(max_tokens=16))]))
    thinks = ", keeps its reasoning apart" if reply.reasoning else ""
    return f"answers {reply.text!r} ({reply.finish}){thinks}; a greeting is {reply.tokens_in} tokens"


def _raw(engine: Http) -> str:
    """A raw prompt must cost the server no more tokens than it has: a template around it would show."""
    one = Sampling(max_tokens=1)
    raw = only(engine.generate([Request(0, text="Hi", sampling=one)]))
    chat = only(engine.generate([Request(0, messages=HI, sampling=one)]))
    if not raw.tokens_in:
        raise EngineError("the server does not count prompt tokens, so whether it re-templates raw prompts cannot be told")
    if engine.tokens.available:
        ids = wait_for(engine.tokens.raw("Hi"))
        if len(ids) != raw.tokens_in:
            raise EngineError(
                f"'Hi' is {len(ids)} tokens, but the server counted {raw.tokens_in}: it adds something to raw prompts. "
                "Magpie would draw from a prompt that is not its own: use a server that takes raw prompts (vllm, llama.cpp)"
            )
        start = wait_for(engine.tokens.ids("", special=True))[:1]
        bos = f"one BOS ({start[0]})" if start else "no BOS (the model has none)"
        return f"go as token ids and are taken as they are, with {bos}"
    if raw.tokens_in >= chat.tokens_in:
        raise EngineError(
            f"'Hi' costs {raw.tokens_in} tokens raw and {chat.tokens_in} in chat: the server re-templates raw prompts. "
            "Magpie cannot be done on it: use a server that takes raw prompts (vllm, llama.cpp)"
        )
    return f"go as text and are not re-templated ('Hi' is {raw.tokens_in} tokens, {chat.tokens_in} in chat)"


def _prefix(engine: Http) -> str:
    found = prefix(engine.template)
    told = f"{found.text!r}, stops at {', '.join(map(repr, found.stops))}"
    if not engine.tokens.available:
        return told
    ids, stops = wait_for(engine.tokens.raw(found.text)), wait_for(engine.tokens.single_token_ids(found.stops))
    return f"{told}; token ids {ids}, stop ids {stops}"


def _draw(engine: Http) -> str:
    found = prefix(engine.template)
    sampling = Sampling(1.0, 1.0, 256, found.stops)
    replies = list(engine.generate(Request(i, text=found.text, sampling=sampling, seed=i) for i in range(16)))
    whole = [reply for reply in replies if reply.finish == "stop" and (reply.text or "").strip()]
    if not whole:
        raise EngineError(replies[0].error or "none of 16 draws ended by itself: a base model, or the prompt is not taken raw")
    return f"{len(whole)} of 16 ended by themselves, such as {(whole[0].text or '').strip()[:120]!r}"


def _weigh(engine: Http) -> str:
    labels = tuple("123456789")
    weights = only(engine.weigh([Request(0, messages=HI, labels=labels)])).weights or ()
    seen = sum(not isinf(weight) for weight in weights)
    if not seen:
        raise EngineError("the server tells log-probabilities, but none of the nine digits was among them")
    all_of_them = (
        "of any label" if seen == len(labels) else f"of {seen} of nine labels; what is below the likeliest weighs nothing"
    )
    return f"told {all_of_them}"


def _shape(engine: Http) -> str:
    request = Request(0, messages=HI, sampling=Sampling(max_tokens=64, schema=_SHAPE))
    reply = only(engine.generate([request]))
    try:
        value = json.loads(reply.text or "")
    except ValueError as error:
        raise EngineError(f"a JSON schema was not kept to: {(reply.text or '')[:80]!r} ({reply.finish})") from error
    if not isinstance(value, dict) or not isinstance(value.get("ok"), bool):
        raise EngineError(f"a JSON schema was not kept to: {(reply.text or '')[:80]!r}")
    return "a JSON schema is kept to"


def _speed(engine: Http, rows: int) -> str:
    sampling = Sampling(temperature=1.0, max_tokens=64)
    started = time.perf_counter()
    replies = list(engine.generate(Request(i, messages=HI, sampling=sampling, seed=i) for i in range(rows)))
    seconds = time.perf_counter() - started
    answered = [reply for reply in replies if reply.error is None]
    if not answered:
        raise EngineError(f"none of {rows} requests was answered: {replies[0].error}")
    tokens_in, tokens_out = sum(reply.tokens_in for reply in answered), sum(reply.tokens_out for reply in answered)
    level = engine.wire.queue.concurrency.limit
    told = f"{len(answered) / seconds:,.1f} rows/s, {tokens_out / seconds:,.0f} tokens/s, best with {level} in flight"
    price = price_of(engine.spec)
    if price is None:
        return f"{told}; its price is unknown (say it with `price`)"
    cost = price.of(tokens_in, tokens_out) + price.hour * seconds / 3600
    return f"{told}; 1,000 such rows cost {format_dollars(1000 * cost / len(answered))}"

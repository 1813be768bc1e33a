"""What a model in this process can do: how it reads a Magpie prefix, token by token, and each verb that its weights allow."""

import time
from collections.abc import Iterator
from typing import Any

from attar.chat.templates import prefix
from attar.core.errors import EngineError
from attar.engines.base import Request, Sampling
from attar.engines.doctor.verbs import CHECKS, Check, show_template


def checks(engine: Any, rows: int) -> Iterator[Check]:
    """Every check that fits the model: a sequence classifier gives rewards, any other writes."""
    yield "chat template", lambda: show_template(engine)
    if any("ForSequenceClassification" in name for name in engine.architectures()):
        yield CHECKS["reward"][0], lambda: CHECKS["reward"][1](engine)
    else:
        yield "magpie prefix", lambda: _prefix(engine)
        yield "training marks", lambda: _marks(engine)
        yield "generation", lambda: _generate(engine, rows)
        yield CHECKS["weigh"][0], lambda: CHECKS["weigh"][1](engine)
    yield CHECKS["embed"][0], lambda: CHECKS["embed"][1](engine)


def _prefix(engine: Any) -> str:
    found = prefix(engine.template)
    tokenizer = engine.tokenizer
    ids = engine.tokens(found.text)
    bos = ids.count(tokenizer.bos_token_id) if tokenizer.bos_token_id is not None else 0
    said = "no BOS (the model has none)" if tokenizer.bos_token_id is None else f"{bos} BOS"
    return f"{found.text!r} = {ids}, {said}, stops at {', '.join(map(repr, found.stops))}"


def _marks(engine: Any) -> str:
    if "{% generation" in engine.template.source or "{%- generation" in engine.template.source:
        return "the template marks the assistant's turns: it can be trained as it is"
    return "the template does not mark the assistant's turns: fine as a teacher, not yet as a base to train"


def _generate(engine: Any, rows: int) -> str:
    found = prefix(engine.template)
    sampling = Sampling(1.0, 1.0, 128, found.stops)
    list(engine.generate([Request(0, text=found.text, sampling=sampling)]))  # loads the model before the clock starts
    started = time.perf_counter()
    replies = list(engine.generate(Request(i, text=found.text, sampling=sampling, seed=i) for i in range(rows)))
    spent = time.perf_counter() - started
    tokens = sum(reply.tokens_out for reply in replies)
    whole = sum(reply.finish == "stop" for reply in replies)
    if not whole:
        raise EngineError(f"none of {rows} draws from nothing ended by itself: this is a base model, not a teacher for Magpie")
    return (
        f"{rows} draws from nothing, {whole} ended by themselves, {tokens / spent:,.0f} tokens/s, such as {replies[0].text!r}"
    )

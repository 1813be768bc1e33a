"""Checks of a model in this process: how it tokenizes a Magpie prefix, and each verb that its weights support."""

import time
from collections.abc import Iterator
from typing import Any

from attar.chat.templates import prefix
from attar.core.errors import EngineError
from attar.engines.base import Request, Sampling
from attar.engines.describe import Facts, TokenIds, describe, to_lines
from attar.engines.doctor.verbs import CHECKS, Check, show_answer, show_facts, show_template
from attar.engines.thinking import separate


def checks(engine: Any, rows: int) -> Iterator[Check]:
    """Every check that fits the model: rewards for a sequence classifier, generation for any other."""
    yield "chat template", lambda: show_template(engine)
    if any("ForSequenceClassification" in name for name in engine.architectures()):
        yield CHECKS["reward"][0], lambda: CHECKS["reward"][1](engine)
    else:
        yield from show_facts(lambda: to_lines(*describe_local(engine)))
        yield "training marks", lambda: _marks(engine)
        yield "chat", lambda: show_answer(engine, engine.template)
        yield "sampling", lambda: _sample(engine, rows)
        yield CHECKS["weigh"][0], lambda: CHECKS["weigh"][1](engine)
    yield CHECKS["embed"][0], lambda: CHECKS["embed"][1](engine)


def describe_local(engine: Any) -> tuple[Facts, TokenIds]:
    """The facts of the model's template, and its tokenizer's ids."""
    tokenizer = engine.tokenizer
    adds_bos = tokenizer.bos_token_id is not None and tokenizer.bos_token_id in tokenizer.encode("")
    facts = describe(engine.template, engine.spec.options, adds_bos=adds_bos)
    return facts, TokenIds(engine.tokens, lambda text: tokenizer.encode(text, add_special_tokens=False))


def _marks(engine: Any) -> str:
    if "{% generation" in engine.template.source or "{%- generation" in engine.template.source:
        return "the template marks the assistant's turns: a base model with it can be trained"
    return "the template does not mark the assistant's turns: usable as a teacher, not as a base to train"


def _sample(engine: Any, rows: int) -> str:
    magpie_prefix = prefix(engine.template)
    sampling = Sampling(1.0, 1.0, 128, magpie_prefix.stops)
    list(engine.generate([Request(0, text=magpie_prefix.text, sampling=sampling)]))  # loads the model before the clock starts
    started = time.perf_counter()
    asks = (Request(i, text=magpie_prefix.text, sampling=sampling, seed=i) for i in range(rows))
    replies = list(map(separate, engine.generate(asks)))
    seconds = time.perf_counter() - started
    tokens = sum(reply.tokens_out for reply in replies)
    complete = sum(reply.finish == "stop" for reply in replies)
    if not complete:
        raise EngineError(
            f"none of {rows} texts sampled from the prefix ended by itself: this is a base model, not a teacher for Magpie"
        )
    return (
        f"{rows} texts sampled from the prefix, {complete} ended by themselves, {tokens / seconds:,.0f} tokens/s, "
        f"such as {replies[0].text!r}"
    )

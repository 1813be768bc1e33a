"""Look an engine over before a run leans on it: what it can do, what a Magpie prefix is to it, how fast it is."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from attar.chat.templates import prefix
from attar.core.errors import AttarError, EngineError
from attar.engines.base import Request, Sampling, Spec
from attar.engines.registry import open_engine


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried."""

    what: str
    good: bool
    told: str
    needed: bool = True
    """Whether an engine that cannot do this is of no use at all."""


def examine(spec: Spec, rows: int = 64) -> Iterator[Finding]:
    """Try everything that an engine may be asked."""
    engine = open_engine(spec)
    yield _tried("identity", engine.identity)
    if spec.kind not in ("local", "fake"):
        yield from _examine_server(spec, engine, rows)
        return
    rewards = _is_rewarder(engine)
    checks: list[tuple[str, Callable[[], str]]] = [("chat template", lambda: _template(engine))]
    if rewards:
        checks.append(("rewards", lambda: _reward(engine)))
    else:
        checks += [
            ("magpie prefix", lambda: _prefix(engine)),
            ("training marks", lambda: _marks(engine)),
            ("writing", lambda: _write(engine, rows)),
            ("label log-probs", lambda: _weigh(engine)),
        ]
    checks.append(("embeddings", lambda: _embed(engine)))
    for what, check in checks:
        yield _tried(what, check)
    engine.close()


def _examine_server(spec: Spec, engine: Any, rows: int) -> Iterator[Finding]:
    """An engine behind HTTP; where the server itself cannot be reached there is nothing more to try."""
    from attar.engines.doctor.server import checks

    try:
        http = engine if spec.kind == "http" else engine.http
        for what, check in checks(http, 4 * rows):
            found = replace(_tried(what, check), needed=what == "server")
            yield found
            if what == "server" and not found.good:
                return
    except AttarError as error:
        yield Finding("server", False, str(error))
    finally:
        engine.close()


def _tried(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, check())
    except AttarError as error:
        return Finding(what, False, str(error))


def _is_rewarder(engine: Any) -> bool:
    """Whether a local model is a sequence classifier, wherever its config lies."""
    if engine.spec.kind != "local":
        return False
    return any("ForSequenceClassification" in name for name in engine.architectures())


def _template(engine: Any) -> str:
    text = engine.template.render([{"role": "user", "content": "Hi"}], ask=True)
    return f"renders a question as {text!r}"


def _prefix(engine: Any) -> str:
    found = prefix(engine.template)
    tokenizer = getattr(engine, "tokenizer", None)
    if tokenizer is None:
        return f"{found.text!r}, stops at {', '.join(map(repr, found.stops))}"
    ids = engine.tokens(found.text)
    bos = ids.count(tokenizer.bos_token_id) if tokenizer.bos_token_id is not None else 0
    said = "no BOS (the model has none)" if tokenizer.bos_token_id is None else f"{bos} BOS"
    return f"{found.text!r} = {ids}, {said}, stops at {', '.join(map(repr, found.stops))}"


def _marks(engine: Any) -> str:
    if "{% generation" in engine.template.source or "{%- generation" in engine.template.source:
        return "the template marks the assistant's turns: it can be trained as it is"
    return "the template does not mark the assistant's turns: fine as a teacher, not yet as a base to train"


def _write(engine: Any, rows: int) -> str:
    found = prefix(engine.template)
    sampling = Sampling(1.0, 1.0, 128, found.stops)
    list(engine.write([Request(0, text=found.text, sampling=sampling)]))  # loads the model before the clock starts
    started = time.perf_counter()
    replies = list(engine.write(Request(i, text=found.text, sampling=sampling, seed=i) for i in range(rows)))
    spent = time.perf_counter() - started
    tokens = sum(reply.tokens_out for reply in replies)
    whole = sum(reply.finish == "stop" for reply in replies)
    if not whole:
        raise EngineError(f"none of {rows} draws from nothing ended by itself: this is a base model, not a teacher for Magpie")
    return (
        f"{rows} draws from nothing, {whole} ended by themselves, {tokens / spent:,.0f} tokens/s, such as {replies[0].text!r}"
    )


def _weigh(engine: Any) -> str:
    request = Request(0, messages=({"role": "user", "content": "Hi"},), labels=("1", "2", "10"))
    weights = next(iter(engine.weigh([request]))).weights
    return "of whole labels, several tokens long too: " + ", ".join(f"{weight:.2f}" for weight in weights)


def _embed(engine: Any) -> str:
    vector = next(iter(engine.embed([Request(0, text="Hi")]))).vector
    return f"{len(vector)} dimensions"


def _reward(engine: Any) -> str:
    talk = ({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."})
    return f"{next(iter(engine.reward([Request(0, messages=talk)]))).reward:.3f} for a greeting"

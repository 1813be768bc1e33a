"""Checks of any engine, verb by verb: the smallest possible request for each."""

from collections.abc import Callable, Iterator
from typing import Any

from attar.chat.templates import prefix
from attar.core.errors import EngineError
from attar.engines.base import Reply, Request, Sampling
from attar.engines.registry import kind_of

Check = tuple[str, Callable[[], str]]
HI = ({"role": "user", "content": "Hi"},)


def checks(engine: Any, _: int) -> Iterator[Check]:
    """A check for each verb of the engine's kind."""
    kind = kind_of(engine.spec)
    if kind.template:
        yield "chat template", lambda: show_template(engine)
        yield "magpie prefix", lambda: _prefix(engine)
    for verb in kind.verbs:
        name, check = CHECKS[verb]
        yield name, lambda check=check: check(engine)


def only(replies: Iterator[Reply]) -> Reply:
    """The single reply; raises its error if it has one."""
    all_replies = list(replies)
    if len(all_replies) != 1:
        raise EngineError(f"{len(all_replies)} replies to one request")
    if all_replies[0].error is not None:
        raise EngineError(all_replies[0].error)
    return all_replies[0]


def show_template(engine: Any) -> str:
    """A question as the chat template renders it."""
    return f"renders a question as {engine.template.render(HI, ask=True)!r}"


def _prefix(engine: Any) -> str:
    magpie_prefix = prefix(engine.template)
    return f"{magpie_prefix.text!r}, stops at {', '.join(map(repr, magpie_prefix.stops))}"


def _generate(engine: Any) -> str:
    reply = only(engine.generate([Request(0, messages=HI, sampling=Sampling(max_tokens=16))]))
    return f"answers {reply.text!r} ({reply.finish})"


def _weigh(engine: Any) -> str:
    weights = only(engine.weigh([Request(0, messages=HI, labels=("1", "2", "10"))])).weights or ()
    return "of complete labels, also of several tokens: " + ", ".join(f"{weight:.2f}" for weight in weights)


def _embed(engine: Any) -> str:
    return f"{len(only(engine.embed([Request(0, text='Hi')])).vector or ())} dimensions"


def _reward(engine: Any) -> str:
    messages = (*HI, {"role": "assistant", "content": "Hello."})
    return f"{only(engine.reward([Request(0, messages=messages)])).reward:.3f} for a greeting"


CHECKS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "generate": ("generation", _generate),
    "weigh": ("label log-probs", _weigh),
    "embed": ("embeddings", _embed),
    "reward": ("rewards", _reward),
}

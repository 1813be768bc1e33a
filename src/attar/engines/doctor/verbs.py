"""What any engine can do, verb by verb: the smallest thing that each may be asked."""

from collections.abc import Callable, Iterator
from typing import Any

from attar.chat.templates import prefix
from attar.core.errors import EngineError
from attar.engines.base import Reply, Request, Sampling
from attar.engines.registry import kind_of

Check = tuple[str, Callable[[], str]]
HI = ({"role": "user", "content": "Hi"},)


def checks(engine: Any, _: int) -> Iterator[Check]:
    """A check for each verb that engines of its kind have."""
    kind = kind_of(engine.spec)
    if kind.template:
        yield "chat template", lambda: show_template(engine)
        yield "magpie prefix", lambda: _prefix(engine)
    for verb in kind.verbs:
        name, check = CHECKS[verb]
        yield name, lambda check=check: check(engine)


def only(replies: Iterator[Reply]) -> Reply:
    """The one reply, if it is an answer."""
    found = list(replies)
    if len(found) != 1:
        raise EngineError(f"one request, and {len(found)} replies")
    if found[0].error is not None:
        raise EngineError(found[0].error)
    return found[0]


def show_template(engine: Any) -> str:
    """A question, as the chat template renders it."""
    return f"renders a question as {engine.template.render(HI, ask=True)!r}"


def _prefix(engine: Any) -> str:
    found = prefix(engine.template)
    return f"{found.text!r}, stops at {', '.join(map(repr, found.stops))}"


def _generate(engine: Any) -> str:
    reply = only(engine.generate([Request(0, messages=HI, sampling=Sampling(max_tokens=16))]))
    return f"answers {reply.text!r} ({reply.finish})"


def _weigh(engine: Any) -> str:
    weights = only(engine.weigh([Request(0, messages=HI, labels=("1", "2", "10"))])).weights or ()
    return "of whole labels, several tokens long too: " + ", ".join(f"{weight:.2f}" for weight in weights)


def _embed(engine: Any) -> str:
    return f"{len(only(engine.embed([Request(0, text='Hi')])).vector or ())} dimensions"


def _reward(engine: Any) -> str:
    talk = (*HI, {"role": "assistant", "content": "Hello."})
    return f"{only(engine.reward([Request(0, messages=talk)])).reward:.3f} for a greeting"


CHECKS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "generate": ("generation", _generate),
    "weigh": ("label log-probs", _weigh),
    "embed": ("embeddings", _embed),
    "reward": ("rewards", _reward),
}

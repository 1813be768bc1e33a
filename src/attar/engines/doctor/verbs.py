"""Checks of any engine, verb by verb: the smallest possible request for each."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from attar.chat.templates import Template
from attar.core.errors import AttarError, EngineError
from attar.engines import thinking
from attar.engines.base import Reply, Request, Sampling
from attar.engines.describe import LABELS, describe, to_lines
from attar.engines.registry import kind_of

Check = tuple[str, Callable[[], str]]
_NO_ANSWER = "there is no answer; raise `thinking_tokens`, set `thinking: on` if the template is not known, or `thinking: off`"
HI = ({"role": "user", "content": "Hi"},)


def checks(engine: Any, _: int) -> Iterator[Check]:
    """A check for each verb of the engine's kind."""
    kind = kind_of(engine.spec)
    if kind.template:
        yield "chat template", lambda: show_template(engine)
        yield from show_facts(lambda: to_lines(describe(engine.template, engine.spec.options)))
    for verb in kind.verbs:
        name, check = CHECKS[verb]
        yield name, lambda check=check: check(engine)


def only(replies: Iterable[Reply]) -> Reply:
    """The single reply, its thought apart from its answer; raises its error if it has one."""
    all_replies = list(replies)
    if len(all_replies) != 1:
        raise EngineError(f"{len(all_replies)} replies to one request")
    reply = thinking.separate(all_replies[0])
    if reply.error is not None:
        raise EngineError(f"{reply.error}: {_NO_ANSWER}" if all_replies[0].error is None else reply.error)
    return reply


def fail(error: AttarError) -> str:
    """A check that has failed already."""
    raise error


def show_facts(read: Callable[[], Mapping[str, str]]) -> Iterator[Check]:
    """A line for each fact of the chat template; one failure, if its prefix cannot be cut."""
    try:
        lines = read()
    except AttarError as error:
        yield "prefix", partial(fail, error)
        return
    for label in LABELS:
        yield label, partial(lines.__getitem__, label)


def show_template(engine: Any) -> str:
    """A question as the chat template renders it."""
    return f"renders a question as {engine.template.render(HI, ask=True)!r}"


def show_answer(engine: Any, template: Template | None = None, *, counted_apart: bool = False) -> str:
    """A greeting's answer and whether a thought comes first; raises for a thought where thinking is off.

    `template` is the engine's, if it is known here; thoughts may be `counted_apart` without one.
    """
    options = engine.spec.options
    reply = only(engine.generate([Request(0, messages=HI, sampling=Sampling(max_tokens=16))]))
    answer, size = f"answers {reply.text!r} ({reply.finish})", f"; a greeting is {reply.tokens_in} tokens"
    if not reply.reasoning:
        return answer + size
    if thinking.setting(options) == "off":
        raise EngineError(
            f"`thinking: off`, but the reply has a thought, {reply.reasoning[:80]!r}: the server or the model ignores it; "
            "leave `thinking` out, or take a server that passes it to the template (vllm, sglang, llamacpp)"
        )
    limit = (
        f"`thinking_tokens` ({thinking.budget(options):,}) limits the thought and `max_tokens` the answer alone"
        if counted_apart or thinking.is_counted_apart(template, options)
        else "`max_tokens` limits both together, for the template is not known here: set `thinking: on`"
    )
    return f"{answer} after a thought of {len(reply.reasoning)} characters; {limit}{size}"


def _weigh(engine: Any) -> str:
    weights = only(engine.weigh([Request(0, messages=HI, labels=("1", "2", "10"))])).weights or ()
    return "of complete labels, also of several tokens: " + ", ".join(f"{weight:.2f}" for weight in weights)


def _embed(engine: Any) -> str:
    return f"{len(only(engine.embed([Request(0, text='Hi')])).vector or ())} dimensions"


def _reward(engine: Any) -> str:
    messages = (*HI, {"role": "assistant", "content": "Hello."})
    return f"{only(engine.reward([Request(0, messages=messages)])).reward:.3f} for a greeting"


CHECKS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "generate": ("chat", show_answer),
    "weigh": ("label log-probs", _weigh),
    "embed": ("embeddings", _embed),
    "reward": ("rewards", _reward),
}

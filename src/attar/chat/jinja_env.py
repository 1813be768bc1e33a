"""Chat templates run: jinja in a sandbox, with what transformers gives templates and nothing more.

Whatever goes wrong inside a template is one error, `TemplateError`, however deep it was raised.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, meta, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

_TEMPLATE_FAULTS = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


class _Generation(Extension):
    """`{% generation %}` marks what the assistant says; for rendering it is transparent."""

    tags = {"generation"}  # noqa: RUF012 (jinja2 declares it so)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _environment() -> ImmutableSandboxedEnvironment:
    world = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    world.filters["tojson"] = _tojson
    world.globals["raise_exception"] = _refuse
    world.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return world


@lru_cache
def _compile(source: str) -> Callable[..., str]:
    return _environment().from_string(source).render


@lru_cache
def argument_names(source: str) -> frozenset[str]:
    """The names that a template reads and does not set itself; none if it cannot be parsed."""
    try:
        return frozenset(meta.find_undeclared_variables(_environment().parse(source)))
    except TemplateError:
        return frozenset()


def render_template(
    source: str,
    tokens: Mapping[str, str],
    turns: Sequence[Mapping[str, Any]],
    *,
    ask: bool,
    arguments: Mapping[str, Any] | None = None,
) -> str:
    """What a template makes of these turns; with `ask`, up to where the assistant's answer starts.

    `arguments` are the template's own, such as `enable_thinking`.
    """
    turns = [dict(turn) for turn in turns]
    given = {**(arguments or {}), "messages": turns, "tools": None, "documents": None, "add_generation_prompt": ask}
    try:
        return _compile(source)(**{**tokens, **given})
    except _TEMPLATE_FAULTS as error:  # a template's own slip: a list where it wants a text, a key that is not there
        raise TemplateError(f"{type(error).__name__}: {error}") from error


def as_parts(turn: Mapping[str, str]) -> dict[str, Any]:
    """A turn as templates of models that see and hear want it: its content a list of parts, one of them text."""
    return {**turn, "content": [{"type": "text", "text": turn["content"]}]}


_PROBES = ("zqProbeOneqz", "zqProbeTwoqz")


@lru_cache
def takes_parts(source: str, tokens: tuple[tuple[str, str], ...]) -> bool:
    """Whether a template keeps a text only where it comes in a list of parts."""
    turns = [{"role": role, "content": text} for role, text in zip(("user", "assistant"), _PROBES, strict=True)]
    return not _keeps_text(source, dict(tokens), turns) and _keeps_text(
        source, dict(tokens), [as_parts(turn) for turn in turns]
    )


def _keeps_text(source: str, tokens: Mapping[str, str], turns: Sequence[Mapping[str, Any]]) -> bool:
    try:
        text = render_template(source, tokens, turns, ask=False)
    except TemplateError:
        return False
    return all(probe in text for probe in _PROBES) and "'type'" not in text and '"type"' not in text

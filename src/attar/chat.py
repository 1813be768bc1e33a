"""Chat templates: conversations to the exact text that a model was trained on, and Magpie's prefixes out of them.

A prefix is found by rendering a sentinel in the user's place and cutting there, so that it is right for any template that keeps
the user's text whole. Rendering follows the conventions of transformers, in a sandbox. The text holds its own BOS where the
template writes one: it is tokenised without adding another.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from attar.errors import EngineError

Message = Mapping[str, str]
_SENTINELS = ("zqSentinelOneqz", "zqSentinelTwoqz", "zqSentinelThreeqz")


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


@lru_cache
def _compile(source: str) -> Callable[..., str]:
    world = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    world.filters["tojson"] = _tojson
    world.globals["raise_exception"] = _refuse
    world.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return world.from_string(source).render


@dataclass(frozen=True, slots=True)
class Template:
    """A chat template and the special tokens that it may name."""

    source: str
    tokens: Mapping[str, str] = field(default_factory=dict)
    name: str = "the chat template"

    def render(self, messages: Sequence[Message], *, ask: bool = False) -> str:
        """A conversation as text; with `ask`, up to where the assistant's answer starts."""
        given = {"messages": [dict(turn) for turn in messages], "tools": None, "documents": None, "add_generation_prompt": ask}
        try:
            return _compile(self.source)(**given, **self.tokens)
        except TemplateError as error:
            raise EngineError(f"{self.name} refuses this conversation: {error.message}") from error


@dataclass(frozen=True, slots=True)
class Prefix:
    """Where a user's text starts and ends: what comes before it, and what a model writes right after it."""

    text: str
    stops: tuple[str, ...]


def prefix(template: Template, system: str | None = None) -> Prefix:
    """All that a template puts before the first user turn's text, with its own default system turn or the given one."""
    user, answer, again = _SENTINELS
    opening = [{"role": "system", "content": system}] if system is not None else []
    turns = [*opening, _said("user", user), _said("assistant", answer), _said("user", again)]
    text = template.render(turns)
    _each_once(template, text)
    if system is not None and system.strip() not in text:
        raise EngineError(f"{template.name} drops the system turn: ask without one")
    before, _, rest = text.partition(user)
    between = rest.partition(answer)[0]
    return Prefix(before, _stops(template, between, text.partition(again)[2]))


def answered() -> list[Message]:
    """A conversation whose rendering shows how an answer ends."""
    return [_said("user", _SENTINELS[0]), _said("assistant", _SENTINELS[1])]


def answer_end(text: str) -> str:
    """What a template puts right after the assistant's last answer, out of `answered` rendered."""
    return text.partition(_SENTINELS[1])[2].strip()


def next_turn_prefix(template: Template, messages: Sequence[Message]) -> Prefix:
    """A conversation that ends with the assistant, and all that comes before the next user turn's text."""
    text = template.render([*messages, _said("user", _SENTINELS[2])])
    if text.count(_SENTINELS[2]) != 1:
        raise EngineError(f"{template.name} does not keep the user's text as it is: no prefix can be cut")
    return Prefix(text.partition(_SENTINELS[2])[0], prefix(template).stops)


def _said(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _each_once(template: Template, text: str) -> None:
    places = [text.find(sentinel) for sentinel in _SENTINELS]
    if -1 in places or places != sorted(places) or any(text.count(sentinel) != 1 for sentinel in _SENTINELS):
        raise EngineError(f"{template.name} does not keep the turns' texts whole and in order: no prefix can be cut")


def _stops(template: Template, after_first: str, after_last: str) -> tuple[str, ...]:
    """What ends a user turn: the mark that follows its text, wherever it stands, and the end of all text."""
    common = len(after_first)
    while common and not after_last.startswith(after_first[:common]):
        common -= 1
    shared = after_first[:common].strip() or after_first.strip()
    mark = shared.split("\n")[0].strip()
    marks = [mark] if mark else []
    marks += [token for key, token in template.tokens.items() if key == "eos_token"]
    return tuple(dict.fromkeys(marks))


def load_template(folder: Path) -> Template:
    """The chat template of a model folder, in any of the places where transformers keeps it."""
    config = _json(folder / "tokenizer_config.json")
    special = {**_json(folder / "special_tokens_map.json"), **config}
    tokens = {key: _token(value) for key, value in special.items() if key.endswith("_token") and value is not None}
    file = folder / "chat_template.jinja"
    source = file.read_text() if file.exists() else config.get("chat_template")
    if isinstance(source, list):  # several named templates: the default one
        source = next((item["template"] for item in source if item["name"] == "default"), None)
    if not source:
        raise EngineError(f"{folder} has no chat template: it is a base model, or its chat_template.jinja is missing")
    return Template(source, tokens, name=f"the chat template of {folder.name}")


def _token(value: Any) -> str:
    return value["content"] if isinstance(value, dict) else str(value)


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text()) if file.exists() else {}

"""Chat templates: conversations to the exact text that a model was trained on, and Magpie's prefixes out of them.

A prefix is found by rendering a sentinel in the user's place and cutting there, so that it is right for any template that keeps
the user's text whole. The text holds its own BOS where the template writes one (`bos` says so): it is tokenised without
adding another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from jinja2 import TemplateError

from attar.chat import template_loader, turn_markers
from attar.chat.jinja_env import as_parts, render_template, takes_parts
from attar.chat.system_turns import Message, fold_system, has_system, keeps_system
from attar.core.errors import EngineError

_SENTINELS = ("zqSentinelOneqz", "zqSentinelTwoqz", "zqSentinelThreeqz")
_SYSTEM = "zqSystemqz"


@dataclass(frozen=True, slots=True)
class Template:
    """A chat template, the special tokens that it may name, and what the tokenizer's files say of others."""

    source: str
    tokens: Mapping[str, str] = field(default_factory=dict, hash=False)
    name: str = "the chat template"
    special: tuple[str, ...] = ()
    adds_bos: bool | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """The template's own arguments, such as `enable_thinking: false`; servers call them `chat_template_kwargs`."""

    def render(self, messages: Sequence[Message], *, ask: bool = False) -> str:
        """A conversation as text; with `ask`, up to where the assistant's answer starts.

        A system turn that the template refuses or drops is folded into the first user turn.
        """
        return self._render(fit_system(self, messages), ask=ask)

    def _render(self, messages: Sequence[Message], *, ask: bool) -> str:
        try:
            parts = takes_parts(self.source, tuple(sorted(self.tokens.items())))
            turns = [as_parts(turn) if parts else turn for turn in messages]
            return render_template(self.source, self.tokens, turns, ask=ask, arguments=self.arguments)
        except TemplateError as error:
            raise EngineError(f"{self.name} refuses this conversation: {error.message}") from error


@dataclass(frozen=True, slots=True)
class Prefix:
    """Where a user's text starts and ends: what comes before it, and the marks at which a writer of it is stopped."""

    text: str
    stops: tuple[str, ...]


def fit_system(template: Template, messages: Sequence[Message]) -> Sequence[Message]:
    """The conversation as a template takes it: a system turn that it refuses or drops is folded into the first user turn."""
    return fold_system(messages) if has_system(messages) and not _keeps_system(template) else messages


@lru_cache
def _keeps_system(template: Template) -> bool:
    return keeps_system(lambda turns: template._render(turns, ask=True))


def prefix(template: Template, system: str | None = None) -> Prefix:
    """All that a template puts before the first user turn's text, with its own default system turn or the given one."""
    text = _render_question(template, system)
    if text.count(_SENTINELS[0]) != 1:
        raise EngineError(f"{template.name} does not keep the user's text as it is: no prefix can be cut; {_REMEDY}")
    before = text.partition(_SENTINELS[0])[0]
    if not before:
        raise EngineError(
            f"{template.name} puts nothing before the user's text: a model would have nothing to start from; {_REMEDY}"
        )
    if system is not None and system.strip() not in before:
        raise EngineError(
            f"{template.name} does not put the system turn, as it is, before the user's text: ask without a system turn"
        )
    return Prefix(before, _stops(template, steered=system is not None))


def next_turn_prefix(template: Template, messages: Sequence[Message]) -> Prefix:
    """A conversation that ends with the assistant, and all that comes before the next user turn's text."""
    if not messages or messages[-1]["role"] != "assistant":
        raise EngineError("a next user turn follows an assistant's turn: the conversation must end with one")
    sentinel = _SENTINELS[2]
    text = template.render([*messages, _turn("user", sentinel)], ask=True)
    if text.count(sentinel) != 1:
        raise EngineError(f"{template.name} does not keep the user's text as it is: no prefix can be cut; {_REMEDY}")
    return Prefix(text.partition(sentinel)[0], _stops(template, steered=messages[0]["role"] == "system"))


def bos(template: Template, adds_bos: bool | None = None) -> Literal["template", "tokenizer", "none", "unknown"]:
    """Who writes the one BOS: the template itself, the tokenizer, none of them; unknown where no file says.

    `adds_bos` is what the tokenizer itself does, where it was asked.
    """
    token = template.tokens.get("bos_token")
    if token and _render_question(template, None).lstrip().startswith(token):
        return "template"
    adds = template.adds_bos if adds_bos is None else adds_bos
    return "unknown" if adds is None else "tokenizer" if adds else "none"


def example_conversation() -> list[Message]:
    """A conversation whose rendering shows how an answer ends."""
    return [_turn("user", _SENTINELS[0]), _turn("assistant", _SENTINELS[1])]


def answer_end(text: str) -> str:
    """What a template puts right after the assistant's last answer, out of `answered` rendered."""
    return text.partition(_SENTINELS[1])[2].strip()


def load_template(path: Path) -> Template:
    """The chat template of a model folder, in any of the places where transformers keeps it, or of one file."""
    return Template(*template_loader.find_template(path))


_REMEDY = "give the model's own default template, or one that marks each turn and keeps its text"


def _turn(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _system_turns(system: str | None) -> list[Message]:
    return [] if system is None else [_turn("system", system)]


def _render_question(template: Template, system: str | None) -> str:
    """One question rendered; a refusal says whether a system turn was missing."""
    ask = [_turn("user", _SENTINELS[0])]
    try:
        return template.render([*_system_turns(system), *ask], ask=True)
    except EngineError as error:
        if system is None and _can_render(template, [*_system_turns(_SYSTEM), *ask]):
            raise EngineError(f"{error}; it needs a system turn: give one") from error
        raise EngineError(f"{error}; {_REMEDY}") from error


def _can_render(template: Template, turns: Sequence[Message]) -> bool:
    try:
        template.render(turns, ask=True)
    except EngineError:
        return False
    return True


@lru_cache
def _stops(template: Template, *, steered: bool) -> tuple[str, ...]:
    """The marks that follow a user's text and an answer, between turns and at the end, and the end of all text."""
    user, answer, again = _SENTINELS
    talk = [*_system_turns(_SYSTEM if steered else None), *example_conversation()]
    text = template.render([*talk, _turn("user", again)])
    places = [text.find(sentinel) for sentinel in _SENTINELS]
    if -1 in places or places != sorted(places) or any(text.count(sentinel) != 1 for sentinel in _SENTINELS):
        raise EngineError(f"{template.name} does not keep the turns' texts whole and in order: no prefix can be cut; {_REMEDY}")
    said, _, rest = text.partition(user)[2].partition(answer)
    first, end = (template.tokens.get(key, "") for key in ("bos_token", "eos_token"))
    special = (*template.special, first, end)
    ends = turn_markers.after_user(said, special, (first, end))
    if not ends:
        raise EngineError(
            f"{template.name} puts no mark after the user's text, only {said!r}: what is written could not be stopped there; "
            "give a template that ends turns with a token of their own"
        )
    ends += turn_markers.after_answer(rest.partition(again)[0], special, (first, end))
    ends += turn_markers.after_answer(answer_end(template.render(talk)), special)[:1]
    return tuple(dict.fromkeys([*ends, *([end] if end else [])]))

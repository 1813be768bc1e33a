"""What there is to know of a chat template, as facts and as lines of words: the same everywhere they are shown.

`attar prefix` prints the lines, and the doctor prints them of every engine, with token ids where there is a tokenizer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from attar.chat import templates
from attar.chat.templates import Message, Template
from attar.chat.thoughts import CHANNELS, Marks, opened_thought
from attar.core.errors import EngineError
from attar.engines import thinking

LABELS = ("BOS", "prefix", "next turn", "stops", "thoughts", "system turn")
"""The lines, in the order in which they are shown."""
Writer = Literal["template", "tokenizer", "none", "unknown"]
_QUESTION: tuple[Message, ...] = ({"role": "user", "content": "?"},)
_SYSTEM = "zqSystemqz"
_BOS = {"none": "none", "unknown": "unknown: no file says whether the tokenizer writes one"}


class TokenIds(NamedTuple):
    """How a model's tokenizer turns a text into ids."""

    prompt: Callable[[str], Sequence[int] | str]
    """A whole prompt, with its one BOS."""
    mark: Callable[[str], Sequence[int]]
    """A text as it is."""


@dataclass(frozen=True, slots=True)
class Thoughts:
    """How a model's thoughts are marked, and turned off."""

    marks: tuple[Marks, ...]
    opened_by: Literal["prompt", "model"]
    off_by: Literal["argument", "prompt", "default"]
    """By the template's own argument, by an empty thought in the prompt, or already."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """The arguments that turn them off; where they are off by default, on."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A chat template's facts."""

    bos: Writer
    bos_token: str | None
    prefix: str
    next_turn_prefix: str
    stops: tuple[str, ...]
    thoughts: Thoughts | None
    """None if the model has no marks of thoughts, or the template is not shown (`hidden`)."""
    system_turn: Literal["own", "folded"]
    hidden: bool = False
    """True if only the server has the template, and renders with it."""


def describe(
    template: Template,
    options: Mapping[str, Any] | None = None,
    system: str | None = None,
    *,
    adds_bos: bool | None = None,
) -> Facts:
    """The facts of a template with an engine's options and a system turn; `adds_bos` is what the tokenizer itself does."""
    start = templates.prefix(template, system)
    talk: list[Message] = [] if system is None else [{"role": "system", "content": system}]
    talk += templates.example_conversation()
    next_turn = templates.next_turn_prefix(template, talk).text.rpartition(talk[-1]["content"])[2]
    writer = templates.bos(template, adds_bos)
    return Facts(
        bos=writer,
        bos_token=template.tokens.get("bos_token") if writer in ("template", "tokenizer") else None,
        prefix=start.text,
        next_turn_prefix=next_turn,
        stops=start.stops,
        thoughts=_thoughts(template, options or {}) if template.source else None,
        system_turn=_system_turn(template),
        hidden=not template.source,
    )


def to_lines(facts: Facts, ids: TokenIds | None = None) -> dict[str, str]:
    """A line of words for each label, with token ids where there is a tokenizer."""
    written = f"{_show(facts.bos_token, ids)}, written by the {facts.bos}" if facts.bos_token else f"written by the {facts.bos}"
    start = ids.prompt(facts.prefix) if ids else ""
    return {
        "BOS": _BOS.get(facts.bos, written),
        "prefix": f"{facts.prefix!r} = {start}" if start and not isinstance(start, str) else repr(facts.prefix),
        "next turn": repr(facts.next_turn_prefix),
        "stops": ", ".join(_show(stop, ids) for stop in facts.stops),
        "thoughts": _show_thoughts(facts),
        "system turn": {"own": "own", "folded": "folded into the first user turn"}[facts.system_turn],
    }


def to_json(facts: Facts) -> dict[str, Any]:
    """The facts for programs, in the order of the labels."""
    thoughts = facts.thoughts
    return {
        "bos": facts.bos,
        "bos_token": facts.bos_token,
        "prefix": facts.prefix,
        "next_turn_prefix": facts.next_turn_prefix,
        "stops": list(facts.stops),
        "thoughts": "unknown"
        if facts.hidden
        else thoughts
        and {
            "marks": [list(pair) for pair in thoughts.marks],
            "opened_by": thoughts.opened_by,
            "off_by": thoughts.off_by,
            "arguments": dict(thoughts.arguments),
        },
        "system_turn": facts.system_turn,
    }


def _thoughts(template: Template, options: Mapping[str, Any]) -> Thoughts | None:
    """Read off the template as it is by default, whatever the engine's own setting is."""
    marks = thinking.marks_of(template)
    if not marks:
        return None
    extra = dict(options.get("template_args", {}))
    plain = replace(template, arguments=extra)
    on, off = (thinking.with_arguments(plain, {"template_args": extra}, how) for how in ("on", "off"))
    opened_by = "prompt" if opened_thought(on.render(_QUESTION, ask=True), marks) else "model"
    if any(plain.render(_QUESTION, ask=True).rstrip().endswith(closing) for _, closing in marks):
        return Thoughts(marks, opened_by, "default", _new_arguments(on, extra))
    closed = thinking.is_closed_by_template(plain, {"template_args": extra})
    return Thoughts(marks, opened_by, "argument" if closed else "prompt", _new_arguments(off, extra))


def _new_arguments(template: Template, extra: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in template.arguments.items() if name not in extra}


def _system_turn(template: Template) -> Literal["own", "folded"]:
    """Folded if a user turn has begun before the system text."""
    whole = template.render([{"role": "system", "content": _SYSTEM}, *_QUESTION], ask=True)
    try:
        start = templates.prefix(template).text
    except EngineError:  # it needs a system turn, so it has a place for one
        return "own"
    return "folded" if whole.partition(_SYSTEM)[0].startswith(start) else "own"


def _show(text: str | None, ids: TokenIds | None) -> str:
    """A mark, and its token id; of several tokens, their number, and a doubt if it looks like one token."""
    if text is None or ids is None:
        return repr(text)
    tokens = ids.mark(text)
    if len(tokens) == 1:
        return f"{text!r} ({tokens[0]})"
    doubt = ": no token of this model, so is the template its own?" if text.startswith("<|") else ""
    return f"{text!r} ({len(tokens)} tokens{doubt})"


def _show_thoughts(facts: Facts) -> str:
    thoughts = facts.thoughts
    if thoughts is None:
        return "unknown: the server does not show its template" if facts.hidden else "none"
    marks = " or ".join(f"{opening!r} to {closing!r}" for opening, closing in thoughts.marks)
    arguments = ", ".join(f"`{name}: {_show_value(value)}`" for name, value in thoughts.arguments.items())
    if thoughts.off_by == "default":
        how = f"off by default, turned on by {arguments}"
    elif thoughts.off_by == "argument":
        how = f"turned off by {arguments}"
    else:
        empty = "the answer's channel opened in the prompt" if CHANNELS in thoughts.marks else "an empty thought in the prompt"
        how = f"turned off by {empty}{' and ' if arguments else ''}{arguments}"
    return f"{marks}, opened by the {thoughts.opened_by}; {how}"


def _show_value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

"""How an engine's model thinks: its options, prompts that turn thoughts on or off, and a reply's thought apart from its answer.

The journal keeps a reply's text as it came; `separate` is applied when it is read, so a better separation costs no request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any, Literal

from annotated_types import Ge
from typing_extensions import TypedDict

from attar.chat.jinja_env import argument_names
from attar.chat.templates import Message, Template
from attar.chat.thoughts import KNOWN, Marks, close_thought, find_marks, opened_thought, split_thought
from attar.core.errors import EngineError
from attar.core.reasons import CUT_OFF
from attar.engines.base import Reply

Setting = Literal["off", "on", "auto"]
DEFAULT_BUDGET = 4096
_SWITCHES = ("enable_thinking", "thinking")
_SELF_HOSTED = ("vllm", "sglang", "llamacpp", "other")
"""Servers that render a template and pass `chat_template_kwargs` to it."""


class ThinkingOptions(TypedDict, total=False):
    """The options of an engine whose model may think."""

    __pydantic_config__ = {"extra": "forbid"}  # type: ignore[misc] # noqa: RUF012 (pydantic declares it so)

    thinking: Literal["off", "on", "auto"] | bool
    """`auto` leaves it to the model's own template; YAML reads off and on as booleans."""
    thinking_tokens: Annotated[int, Ge(1)]
    """The longest thought; an answer's token limit does not count it."""
    template_args: dict[str, Any]
    """Arguments of the model's chat template, such as {reasoning_effort: high}."""


def setting(options: Mapping[str, Any]) -> Setting:
    """Whether thoughts are off, on, or as the model's template has them."""
    value = options.get("thinking", "auto")
    if isinstance(value, bool):
        return "on" if value else "off"
    return value


def budget(options: Mapping[str, Any]) -> int:
    """The longest thought, in tokens."""
    return options.get("thinking_tokens", DEFAULT_BUDGET)


def shaping(options: Mapping[str, Any]) -> dict[str, Any]:
    """What changes the replies, for the engine's identity; nothing if all is at its default."""
    own = {"thinking": setting(options)} if setting(options) != "auto" else {}
    return own | {name: options[name] for name in ("thinking_tokens", "template_args") if name in options}


def with_arguments(template: Template, options: Mapping[str, Any], how: Setting | None = None) -> Template:
    """The template with the arguments that turn thoughts off or on as the options (or `how`) say, where it has them."""
    how, names = how or setting(options), argument_names(template.source)
    switches: dict[str, Any] = {} if how == "auto" else {name: how == "on" for name in _SWITCHES if name in names}
    if how == "off":
        switches |= {name: value for name, value in (("thinking_budget", 0), ("reasoning_effort", "low")) if name in names}
    arguments = {**template.arguments, **switches, **options.get("template_args", {})}
    return replace(template, arguments=arguments) if arguments != template.arguments else template


@lru_cache
def marks_of(template: Template) -> tuple[Marks, ...]:
    """The marks of the thoughts of a template's model; none if it does not think."""
    return find_marks(template.source, (*template.special, *template.tokens.values()))


def render_question(template: Template, messages: Sequence[Message], options: Mapping[str, Any]) -> str:
    """The prompt of a question, up to where the thought or, with thinking off, the answer starts."""
    if setting(options) == "off":
        return render_closed(template, messages, options)
    if setting(options) == "on" and not marks_of(template):
        raise EngineError(f"{template.name} has no marks of thoughts, so its model does not think: leave `thinking` out")
    return with_arguments(template, options).render(messages, ask=True)


def render_closed(template: Template, messages: Sequence[Message], options: Mapping[str, Any]) -> str:
    """The prompt of a question, up to where the answer starts: thoughts are off, or there is an empty one."""
    return close_thought(with_arguments(template, options, "off").render(messages, ask=True), marks_of(template))


def is_closed_by_template(template: Template, options: Mapping[str, Any]) -> bool:
    """True if the template's own arguments turn thoughts off; else only a prompt with an empty thought does."""
    question = [{"role": "user", "content": "?"}]
    return with_arguments(template, options, "off").render(question, ask=True) == render_closed(template, question, options)


def is_counted_apart(template: Template | None, options: Mapping[str, Any]) -> bool:
    """True if an answer may come after a thought, and its token limit does not count that."""
    return setting(options) == "on" or (setting(options) == "auto" and template is not None and bool(marks_of(template)))


def request_fields(dialect: str, options: Mapping[str, Any], how: Setting | None = None) -> dict[str, Any]:
    """The fields of a chat request that turn thoughts off or on at a server of this kind."""
    how, arguments = how or setting(options), options.get("template_args", {})
    if dialect in _SELF_HOSTED:
        switches: dict[str, Any] = {} if how == "auto" else dict.fromkeys(_SWITCHES, how == "on")
        switches |= {"thinking_budget": 0} if how == "off" else {}  # Seed-OSS has no other switch
        return {"chat_template_kwargs": {**switches, **arguments}} if switches or arguments else {}
    return {"reasoning_effort": "none"} if how == "off" else {}


def with_marks(reply: Reply, marks: Sequence[Marks], opened: str = "") -> Reply:
    """A reply that says which marks its model has beside the known ones, and which one its prompt ended with."""
    own = tuple(pair for pair in marks if pair not in KNOWN)
    return replace(reply, marks=own or None, opened=opened or None) if own or opened else reply


def separate(reply: Reply) -> Reply:
    """A reply whose text is the answer alone; a thought that was never closed is its error."""
    if reply.text is None or reply.error is not None:
        return reply
    opened = "" if reply.reasoning else reply.opened or ""  # the server has separated the thought that the prompt opened
    parts = split_thought(reply.text, (*(reply.marks or ()), *KNOWN), opened)
    if parts.answer is None:
        error = f"thought {CUT_OFF}" if reply.finish == "length" else "thought not closed"
        return replace(reply, text=None, reasoning=parts.thought, error=error)
    if parts.thought is None:
        return reply
    return replace(reply, text=parts.answer, reasoning="\n\n".join(filter(None, (reply.reasoning, parts.thought))) or None)


def opened_by(template: Template, options: Mapping[str, Any]) -> str:
    """The mark with which the template's prompts open a thought; nothing if they do not."""
    question = [{"role": "user", "content": "?"}]
    return opened_thought(render_question(template, question, options), marks_of(template)) if marks_of(template) else ""

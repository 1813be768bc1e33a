"""System turns of models that take none: the text opens the first user turn, as their makers advise.

A template refuses a system turn (Gemma 2, Mistral v0.1) or drops it without a word (Mistral v0.3). Which one does is found by
rendering a marker. Of a server whose template is unknown, only its refusal can be seen.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from attar.core.errors import EngineError

Message = Mapping[str, str]
_MARKER = "zqSystemqz"
_QUESTION = {"role": "user", "content": "zqQuestionqz"}
_REFUSAL = re.compile(
    r"system[ _-]?(role|message|prompt|turn|instruction)|role\W.{0,40}system|developer instruction|roles must alternate",
    re.IGNORECASE,
)


def has_system(messages: Sequence[Message]) -> bool:
    """True if a conversation starts with a system turn and has a user turn to fold it into."""
    return bool(messages) and messages[0]["role"] == "system" and any(turn["role"] == "user" for turn in messages)


def fold_system(messages: Sequence[Message]) -> list[Message]:
    """The conversation with the system text and a blank line at the start of its first user turn; an empty text is dropped."""
    text, rest = messages[0]["content"], list(messages[1:])
    if text.strip():
        first = next(i for i, turn in enumerate(rest) if turn["role"] == "user")
        rest[first] = {**rest[first], "content": f"{text}\n\n{rest[first]['content']}"}
    return rest


def keeps_system(render: Callable[[Sequence[Message]], str]) -> bool:
    """False if a template refuses or drops a system turn; True too if it refuses every conversation, for its own reason."""
    try:
        return _MARKER.casefold() in render([{"role": "system", "content": _MARKER}, _QUESTION]).casefold()
    except EngineError:
        pass
    try:
        render([_QUESTION])
    except EngineError:
        return True
    return False


def is_refusal(reason: str) -> bool:
    """True if a server's reason for refusing a conversation may be its system turn."""
    return _REFUSAL.search(reason) is not None

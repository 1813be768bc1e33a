"""Clean a user message that a model generated: markers of another turn, broken characters, a label or surrounding quotes.

Only what cannot be part of a user's message is removed. Questions, line breaks, code, lists and the words "user" and
"assistant" within a text stay as they are.
"""

import re
from collections.abc import Sequence

_BROKEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u2060\ufeff]")
_NAMES = "instruction|prompt|question|request|task|user"
_LABEL = re.compile(rf"^(?:\*\*)?(?:{_NAMES})(?:\*\*)?\s*:(?:\*\*)?\s+(?=\S)", re.IGNORECASE)
_QUOTES = {'"': '"', "“": "”", "«": "»"}


def repair(text: str, marks: Sequence[str] = ()) -> str:
    """Remove broken characters and everything after one of the chat template's markers, which belongs to another turn."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for mark in marks:
        if mark.strip():
            text = text.partition(mark)[0]
    return _BROKEN.sub("", text).strip()


def unwrap(text: str) -> str:
    """The text without a label before it or quotes around all of it, for replies that should be the text alone."""
    text = _LABEL.sub("", repair(text), count=1)
    closing = _QUOTES.get(text[:1])
    if closing and len(text) > 1 and text.endswith(closing) and closing not in text[1:-1] and text[0] not in text[1:-1]:
        text = text[1:-1].strip()
    return text

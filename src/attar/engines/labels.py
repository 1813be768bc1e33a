"""The tokens of a label where it stands: right behind what the model has read, which may change them.

A tokenizer that marks the space before a word (Llama's, Mistral's) writes "1" by itself as two tokens, and as one after a line
break. Where it would join a label to the end of the text, the text gives up those tokens and the label takes them.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from attar.chat import Template, answered
from attar.errors import EngineError

_NEAR = 32
"""So many characters of the text before a label tell its tokens."""


def near(text: str) -> str:
    """The end of a text, which is all of it that a label's tokens hang on."""
    return text[-_NEAR:]


def behind(before: Sequence[int], wholes: Sequence[Sequence[int]]) -> tuple[int, list[list[int]]]:
    """How many tokens the text gives up at its end, and the tokens of each label from there on."""
    shared = len(before)
    for whole in wholes:
        shared = next((at for at in range(shared) if list(whole[at : at + 1]) != [before[at]]), shared)
    return len(before) - shared, [list(whole[shared:]) for whole in wholes]


def closed(ways: Sequence[list[int]], end: int | None) -> list[list[int]]:
    """Each label's tokens; one that another label goes on from is closed with the end of the turn."""
    begins = [any(other != own and other[: len(own)] == own for other in ways) for own in ways]
    return [[*own, end] if begun and end is not None else own for own, begun in zip(ways, begins, strict=True)]


@lru_cache(64)
def lead(template: Template) -> str:
    """The space that a template itself writes between where an answer starts and its text."""
    asked, said = answered()
    try:
        ask, full = template.render([asked], ask=True), template.render([asked, said])
    except EngineError:  # one that takes no such conversation, as a guard's may
        return ""
    between = full.removeprefix(ask).partition(said["content"])[0] if full.startswith(ask) else ""
    return between if between.isspace() else ""


Posed = tuple[list[int], list[list[int]]]
"""The tokens of what is asked, and of each label behind it."""


def posed(tokenizer: Any, prompt: list[int], text: str, labels: tuple[str, ...], space: str) -> Posed:
    """A text whose tokens are `prompt`, and its labels (behind it and that space), by a tokenizer of this process."""
    given, ways = _placed(tokenizer, near(text), labels, space)
    return prompt[: len(prompt) - given], ways


@lru_cache(4096)
def _placed(tokenizer: Any, tail: str, labels: tuple[str, ...], space: str) -> tuple[int, list[list[int]]]:
    ids: list[list[int]] = tokenizer([tail, *(f"{tail}{space}{label}" for label in labels)], add_special_tokens=False).input_ids
    given, ways = behind(ids[0], ids[1:])
    return given, closed(ways, tokenizer.eos_token_id)

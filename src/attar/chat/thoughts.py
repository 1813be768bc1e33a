"""A model's thoughts and its answer in one text: which marks a template has, and where a text is cut.

A thought stands between two marks (`<think>` and `</think>`). Some templates open it in the prompt, so that the text begins
inside the thought and only the closing mark is in it. Without its closing mark a thought has no end, and there is no answer.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Marks = tuple[str, str]
"""What opens a thought, and what closes it."""
CHANNELS: Marks = ("<|channel|>analysis<|message|>", "<|end|>")
"""Those of gpt-oss; its other channels but `final` count as thoughts too."""
KNOWN: tuple[Marks, ...] = (
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<|channel>thought", "<channel|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("◁think▷", "◁/think▷"),
    CHANNELS,
)
"""Marks that are looked for in every model's texts, whatever its template says."""
_TAG = re.compile(r"<([\w:|]*(?:think|thought|reason)[\w:|]*)>", re.IGNORECASE)
_CHANNEL = re.compile(r"<\|channel\|>(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>")
_FRAME = re.compile(r"<\|(?:start|end|return|call)\|>(?:assistant)?")
_QUOTES = ("`", '"', "'", "“")
_BARE_CHANNELS = re.compile(r"analysis(.*?)assistant(?:final|<\|channel\|>final<\|message\|>)(.*)", re.DOTALL)
"""gpt-oss where a server dropped the special tokens."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A text's thought, if it has one, and its answer; None if the thought was never closed."""

    thought: str | None
    answer: str | None


def find_marks(source: str, special: Iterable[str] = ()) -> tuple[Marks, ...]:
    """The marks of thoughts that a template, or the special tokens of its model, have; none if the model does not think."""
    text = "\n".join([source, *special])
    found = [marks for marks in KNOWN[:-1] if any(mark in text for mark in marks)]  # one may only open or only cut thoughts
    found += [CHANNELS] if "<|channel|>" in text and "<|message|>" in text else []
    known = {opening for opening, _ in found}
    tags = dict.fromkeys(_TAG.findall(text))
    return (*found, *((f"<{tag}>", f"</{tag}>") for tag in tags if f"<{tag}>" not in known and f"</{tag}>" in text))


def mark_texts(marks: Sequence[Marks]) -> tuple[str, ...]:
    """All texts that mark thoughts, and of gpt-oss the frame between its channels."""
    return (*(text for pair in marks for text in pair), *(["<|start|><|channel|><|return|>"] if CHANNELS in marks else []))


def opened_thought(prompt: str, marks: Sequence[Marks]) -> str:
    """The mark with which a prompt ends, if it opens a thought for the model; else nothing."""
    end = prompt.rstrip()
    return next((opening for opening, _ in marks if end.endswith(opening)), "")


def close_thought(prompt: str, marks: Sequence[Marks]) -> str:
    """A prompt whose next text is the answer: a thought that the model would write first is put there, empty."""
    if not marks or any(prompt.rstrip().endswith(closing) for _, closing in marks):
        return prompt
    if CHANNELS in marks:
        return f"{prompt}<|channel|>final<|message|>"
    if opening := opened_thought(prompt, marks):
        return f"{prompt.rstrip()}\n\n{dict(marks)[opening]}\n\n"
    opening, closing = marks[0]
    return f"{prompt}{opening}\n\n{closing}\n\n"


def split_thought(text: str, marks: Sequence[Marks] = KNOWN, opened: str = "") -> Parts:
    """A text's thoughts, joined, and its answer; `opened` is the mark with which the prompt opened a thought."""
    if CHANNELS in marks and (parts := _split_channels(text)):
        return parts
    if not opened and not any(mark in text for pair in marks for mark in pair):
        return Parts(None, text)  # most texts: the searches below take far longer
    rest = text if not opened or text.lstrip().startswith(opened) else opened + text
    thoughts: list[str] = []
    while mark := next((mark for mark in marks if rest.lstrip().startswith(mark[0])), None):
        thought, closed, rest = rest.lstrip().removeprefix(mark[0]).partition(mark[1])
        thoughts.append(thought)
        if not closed:
            return Parts(_join(thoughts), None)
    while ended := _end_of_opened(rest, marks):
        thoughts.append(ended[0])
        rest = ended[1]
    for mark in marks:
        rest, inner, closed = _take_later(rest, mark)
        thoughts += inner
        if not closed:
            return Parts(_join(thoughts), None)
    return Parts(_join(thoughts), rest.lstrip()) if thoughts else Parts(None, text)


def _join(thoughts: list[str]) -> str:
    return "\n\n".join(thought.strip() for thought in thoughts if thought.strip())


def _end_of_opened(text: str, marks: Sequence[Marks]) -> tuple[str, str] | None:
    """A text that begins inside a thought, in two: there is a closing mark, and no opening one before it."""
    for opening, closing in marks:
        thought, closed, rest = text.partition(closing)
        is_quoted = thought.endswith(_QUOTES) or thought.count("```") % 2 == 1
        if closed and opening not in thought and not is_quoted and (opening, closing) != CHANNELS:
            return thought, rest
    return None


def _take_later(text: str, marks: Marks) -> tuple[str, list[str], bool]:
    """A text without the thoughts that open a line in it, these thoughts, and whether each was closed.

    Within a fenced block the marks are part of the answer.
    """
    kept, thoughts, at = "", [], 0
    for found in re.finditer(rf"^[ \t]*{re.escape(marks[0])}", text, re.MULTILINE):
        if found.start() < at or (kept + text[at : found.start()]).count("```") % 2:
            continue
        thought, closed, _ = text[found.end() :].partition(marks[1])
        thoughts.append(thought)
        if not closed:
            return kept, thoughts, False
        kept += text[at : found.start()]
        at = found.end() + len(thought) + len(marks[1])
    return kept + text[at:], thoughts, True


def _split_channels(text: str) -> Parts | None:
    """The parts of a text in channels; None if it has none."""
    if bare := _BARE_CHANNELS.fullmatch(text.strip()):
        return Parts(bare[1].strip(), bare[2].strip())
    pieces = _CHANNEL.split(text)  # what stands before the first channel, then a name and a text for each
    if len(pieces) == 1:
        return None
    channels = [(name, _FRAME.sub("", body).strip()) for name, body in zip(pieces[1::2], pieces[2::2], strict=True)]
    thoughts = [body for name, body in channels if name != "final"]
    answers = [body for name, body in channels if name == "final"]
    return Parts(_join(thoughts) if thoughts else None, "\n\n".join(answers) if answers else None)

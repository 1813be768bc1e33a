"""The tokens of a label where it stands: right behind what the model has read, which may change them; and what it weighs there.

A tokenizer that marks the space before a word (Llama's, Mistral's) writes "1" by itself as two tokens, and as one after a line
break. Where it would join a label to the end of the text, the text gives up those tokens and the label takes them.

A short label weighs what all its spellings weigh together: a model may write "10" as one token or as "1" and "0", whatever its
tokenizer does. One that another goes on from weighs less what the other takes of it: "1" is no answer where a "0" follows.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import exp, inf, log, log1p
from typing import Any

from attar.chat.templates import Template, example_conversation
from attar.core.errors import EngineError

_CONTEXT_CHARS = 32
"""Characters of the text before a label that decide its tokens."""
_MAX_SPELLED = 3
"""Labels up to this many characters are taken in all their spellings, longer ones in the tokenizer's own."""
_LINE = "\n"
"""Behind it a tokenizer writes a text as it does within a word."""
Spelling = tuple[int, ...]
"""The tokens of one spelling of a label, from where the text before it ends."""
Spellings = list[list[Spelling]]
"""The spellings of each label, the tokenizer's own first."""


def context_of(text: str) -> str:
    """The end of a text, which is all of it that a label's tokens hang on."""
    return text[-_CONTEXT_CHARS:]


def split_shared(before: Sequence[int], wholes: Sequence[Sequence[int]]) -> tuple[int, list[list[int]]]:
    """How many tokens the text gives up at its end, and the tokens of each label from there on."""
    shared = len(before)
    for whole in wholes:
        shared = next((at for at in range(shared) if list(whole[at : at + 1]) != [before[at]]), shared)
    return len(before) - shared, [list(whole[shared:]) for whole in wholes]


def texts_to_encode(tail: str, space: str, labels: Sequence[str]) -> list[str]:
    """All texts whose tokens `spelt` needs to know."""
    starts = {f"{tail}{space}{start}" for label in labels for start in _starts(label)}
    return sorted({tail, _LINE, *starts, *(_LINE + part for label in labels for part in _parts(label))})


def spell_labels(tail: str, space: str, labels: Sequence[str], ids: Mapping[str, Sequence[int]]) -> tuple[int, Spellings]:
    """How many tokens the text gives up at its end, and every spelling of each label behind it, from the tokens of `texts`."""
    starts = list(dict.fromkeys(start for label in labels for start in _starts(label)))
    given, ways = split_shared(ids[tail], [ids[f"{tail}{space}{start}"] for start in starts])
    begun = {start: tuple(way) for start, way in zip(starts, ways, strict=True)}
    pieces = {part: piece for label in labels for part in _parts(label) if (piece := _piece(part, ids)) is not None}
    return given, [_spellings(label, begun, pieces) for label in labels]


def _starts(label: str) -> list[str]:
    """What the tokenizer is asked to write before the rest of a label is put together from pieces; the whole of it first."""
    return [label[:stop] for stop in range(len(label), -1, -1)] if len(label) <= _MAX_SPELLED else [label]


def _parts(label: str) -> list[str]:
    places = range(len(label) + 1) if len(label) <= _MAX_SPELLED else ()
    return [label[start:stop] for start in places for stop in places if start < stop]


def _piece(part: str, ids: Mapping[str, Sequence[int]]) -> int | None:
    """The one token that a part of a word is; None where it is several."""
    given, [found] = split_shared(ids[_LINE], [ids[_LINE + part]])
    return found[0] if not given and len(found) == 1 else None


def _spellings(label: str, begun: Mapping[str, Spelling], pieces: Mapping[str, int]) -> list[Spelling]:
    return list(
        dict.fromkeys(begun[start] + rest for start in _starts(label) for rest in _segmentations(label[len(start) :], pieces))
    )


def _segmentations(text: str, pieces: Mapping[str, int]) -> Iterator[Spelling]:
    """Every way to put a text together from pieces."""
    if not text:
        yield ()
    for stop in range(1, len(text) + 1):
        if text[:stop] in pieces:
            yield from ((pieces[text[:stop]], *rest) for rest in _segmentations(text[stop:], pieces))


def label_logprobs(ways: Spellings, logs: Mapping[Spelling, float]) -> tuple[float, ...]:
    """Each label's log-probability from those of all spellings: their sum, less what other labels' go on from."""
    known = {way for own in ways for way in own}
    return tuple(_logsumexp([_exclusive_logprob(way, known - set(own), logs) for way in own]) for own in ways)


def _exclusive_logprob(way: Spelling, others: set[Spelling], logs: Mapping[Spelling, float]) -> float:
    """A spelling's log-probability where no other label goes on from it."""
    longer = [other for other in others if len(other) > len(way) and other[: len(way)] == way]
    least = [each for each in longer if not any(other != each and each[: len(other)] == other for other in longer)]
    taken = sum(exp(logs[each] - logs[way]) for each in least) if logs[way] > -inf else 0.0
    return logs[way] + log1p(-taken) if taken < 1 else -inf


def _logsumexp(logs: Sequence[float]) -> float:
    most = max(logs)
    return most + log(sum(exp(each - most) for each in logs)) if most > -inf else -inf


@lru_cache(64)
def answer_space(template: Template) -> str:
    """The space that a template itself writes between where an answer starts and its text."""
    asked, said = example_conversation()
    try:
        ask, full = template.render([asked], ask=True), template.render([asked, said])
    except EngineError:  # one that takes no such conversation, as a guard's may
        return ""
    between = full.removeprefix(ask).partition(said["content"])[0] if full.startswith(ask) else ""
    return between if between.isspace() else ""


LabelPrompt = tuple[list[int], Spellings]
"""The tokens of what is asked, and the spellings of each label behind it."""


def tokenize_labels(tokenizer: Any, prompt: list[int], text: str, labels: tuple[str, ...], space: str) -> LabelPrompt:
    """A text whose tokens are `prompt`, and its labels (behind it and that space), by a tokenizer of this process."""
    given, ways = _spell_near(tokenizer, context_of(text), labels, space)
    return prompt[: len(prompt) - given], ways


@lru_cache(4096)
def _spell_near(tokenizer: Any, tail: str, labels: tuple[str, ...], space: str) -> tuple[int, Spellings]:
    asked = texts_to_encode(tail, space, labels)
    ids: list[list[int]] = tokenizer(asked, add_special_tokens=False).input_ids
    return spell_labels(tail, space, labels, dict(zip(asked, ids, strict=True)))

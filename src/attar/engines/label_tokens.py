"""The tokens of a label after a prompt, which may change them, and the label's log-probability from those of its tokens.

A tokenizer that marks the space before a word (Llama's, Mistral's) encodes "1" alone as two tokens, and after a line break as
one. Where it would merge the label with the end of the text, those tokens move from the text to the label.

A short label gets the probability of all its spellings: a model may generate "10" as one token or as "1" and "0", whatever its
tokenizer does. Where one label continues another, its share is subtracted: "1" is not the answer if a "0" follows.
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
"""After it a tokenizer encodes a text as it does within a word."""
Spelling = tuple[int, ...]
"""The tokens of one spelling of a label, after the text before it."""
Spellings = list[list[Spelling]]
"""The spellings of each label, the tokenizer's own first."""


def context_of(text: str) -> str:
    """The end of a text; a label's tokens depend on nothing before it."""
    return text[-_CONTEXT_CHARS:]


def split_shared(before: Sequence[int], wholes: Sequence[Sequence[int]]) -> tuple[int, list[list[int]]]:
    """How many tokens to remove from the end of the text, and each label's tokens after that."""
    shared = len(before)
    for whole in wholes:
        shared = next((at for at in range(shared) if list(whole[at : at + 1]) != [before[at]]), shared)
    return len(before) - shared, [list(whole[shared:]) for whole in wholes]


def texts_to_encode(tail: str, space: str, labels: Sequence[str]) -> list[str]:
    """All texts whose tokens `spell_labels` needs."""
    starts = {f"{tail}{space}{start}" for label in labels for start in _starts(label)}
    return sorted({tail, _LINE, *starts, *(_LINE + part for label in labels for part in _parts(label))})


def spell_labels(tail: str, space: str, labels: Sequence[str], ids: Mapping[str, Sequence[int]]) -> tuple[int, Spellings]:
    """How many tokens to remove from the end of the text, and each label's spellings after that, from `ids` of all texts."""
    starts = list(dict.fromkeys(start for label in labels for start in _starts(label)))
    removed, ways = split_shared(ids[tail], [ids[f"{tail}{space}{start}"] for start in starts])
    start_tokens = {start: tuple(way) for start, way in zip(starts, ways, strict=True)}
    pieces = {part: piece for label in labels for part in _parts(label) if (piece := _piece(part, ids)) is not None}
    return removed, [_spellings(label, start_tokens, pieces) for label in labels]


def _starts(label: str) -> list[str]:
    """The beginnings of a label that the tokenizer encodes itself, the complete label first; the rest is made of pieces."""
    return [label[:stop] for stop in range(len(label), -1, -1)] if len(label) <= _MAX_SPELLED else [label]


def _parts(label: str) -> list[str]:
    places = range(len(label) + 1) if len(label) <= _MAX_SPELLED else ()
    return [label[start:stop] for start in places for stop in places if start < stop]


def _piece(part: str, ids: Mapping[str, Sequence[int]]) -> int | None:
    """The token of a part of a word; None if it is several tokens."""
    removed, [tokens] = split_shared(ids[_LINE], [ids[_LINE + part]])
    return tokens[0] if not removed and len(tokens) == 1 else None


def _spellings(label: str, start_tokens: Mapping[str, Spelling], pieces: Mapping[str, int]) -> list[Spelling]:
    return list(
        dict.fromkeys(
            start_tokens[start] + rest for start in _starts(label) for rest in _segmentations(label[len(start) :], pieces)
        )
    )


def _segmentations(text: str, pieces: Mapping[str, int]) -> Iterator[Spelling]:
    """Every segmentation of a text into pieces."""
    if not text:
        yield ()
    for stop in range(1, len(text) + 1):
        if text[:stop] in pieces:
            yield from ((pieces[text[:stop]], *rest) for rest in _segmentations(text[stop:], pieces))


def label_logprobs(ways: Spellings, logs: Mapping[Spelling, float]) -> tuple[float, ...]:
    """Each label's log-probability: the sum over its spellings, without the share of longer labels that continue them."""
    spellings = {way for own in ways for way in own}
    return tuple(_logsumexp([_exclusive_logprob(way, spellings - set(own), logs) for way in own]) for own in ways)


def _exclusive_logprob(way: Spelling, others: set[Spelling], logs: Mapping[Spelling, float]) -> float:
    """log(p(way) - p(longer labels that continue it)): the probability that the answer ends after this spelling."""
    longer = [other for other in others if len(other) > len(way) and other[: len(way)] == way]
    shortest = [each for each in longer if not any(other != each and each[: len(other)] == other for other in longer)]
    share = sum(exp(logs[each] - logs[way]) for each in shortest) if logs[way] > -inf else 0.0
    return logs[way] + log1p(-share) if share < 1 else -inf


def _logsumexp(logs: Sequence[float]) -> float:
    most = max(logs)
    return most + log(sum(exp(each - most) for each in logs)) if most > -inf else -inf


@lru_cache(64)
def answer_space(template: Template) -> str:
    """The whitespace that a template writes between the start of an answer and its text."""
    question, answer = example_conversation()
    try:
        ask, full = template.render([question], ask=True), template.render([question, answer])
    except EngineError:  # some templates, such as a guard's, refuse this conversation
        return ""
    between = full.removeprefix(ask).partition(answer["content"])[0] if full.startswith(ask) else ""
    return between if between.isspace() else ""


LabelPrompt = tuple[list[int], Spellings]
"""The prompt's tokens, and the spellings of each label after it."""


def tokenize_labels(tokenizer: Any, prompt: list[int], text: str, labels: tuple[str, ...], space: str) -> LabelPrompt:
    """The prompt and its labels' spellings after a text (`prompt` are its tokens) and a space, by a local tokenizer."""
    removed, ways = _spell_near(tokenizer, context_of(text), labels, space)
    return prompt[: len(prompt) - removed], ways


@lru_cache(4096)
def _spell_near(tokenizer: Any, tail: str, labels: tuple[str, ...], space: str) -> tuple[int, Spellings]:
    texts = texts_to_encode(tail, space, labels)
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False).input_ids
    return spell_labels(tail, space, labels, dict(zip(texts, ids, strict=True)))

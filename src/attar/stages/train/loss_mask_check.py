"""The loss mask check: before the first step, a sample of the trainer's rows is decoded and compared with their texts.

There must be exactly one BOS token if the model has one, and exactly the assistant's tokens must count in the loss, with the
end of each of its turns. An error shows the decoded row. Without this check a model trained on a wrong mask looks healthy
until someone talks to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from attar.chat.templates import Message, answer_end, example_conversation
from attar.core.errors import EngineError

MAX_ROWS = 32
"""How many rows are checked, evenly spaced over all."""


@dataclass(frozen=True, slots=True)
class Document:
    """One sequence from the trainer's collator, and the turns that it was made from."""

    ids: Sequence[int]
    in_loss: Sequence[bool]
    """Which tokens count in the loss."""
    turns: Sequence[Message]
    answers: Sequence[str]
    """The texts that should count in the loss, in order."""
    truncated: bool = False
    """It was truncated at `max_length`, so its last answer may be shorter or missing."""


@dataclass(frozen=True, slots=True)
class TemplateMarks:
    """What a chat template writes around an answer."""

    before: str
    """Between the assistant's header and its text: empty, or a thinking block."""
    end: str
    """What ends the assistant's turn."""
    tail: str
    """Everything after the last answer."""


def sample_indices(count: int) -> list[int]:
    """The indices of the rows to check: at most `MAX_ROWS` of `count`, evenly spaced."""
    size = min(count, MAX_ROWS)
    return [i * count // size for i in range(size)]


def check(documents: Iterable[Document], tokenizer: Any, template: str | None, model: str) -> int | None:
    """Raise on the first document with a wrong mask; returns the end-of-turn token, if it is a single token."""
    marks = _template_marks(tokenizer, template)
    if not marks.end:
        raise _error(model, "no end of turn follows the assistant's text", marks.before)
    for document in documents:
        if fault := _bos_fault(document, tokenizer) or _loss_fault(document, tokenizer, marks):
            raise _error(model, fault, tokenizer.decode(list(document.ids), skip_special_tokens=False))
    ends = tokenizer.encode(marks.end, add_special_tokens=False)
    return ends[0] if len(ends) == 1 else None


def _error(model: str, fault: str, text: str) -> EngineError:
    shown = text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"
    return EngineError(f"{model} cannot be trained as it is: {fault}. Fix its chat template; a row reads {shown!r}")


def _template_marks(tokenizer: Any, template: str | None) -> TemplateMarks:
    question, answer = example_conversation()
    options: dict[str, Any] = {"tokenize": False, "chat_template": template}
    prompt = tokenizer.apply_chat_template([question], add_generation_prompt=True, **options)
    full = tokenizer.apply_chat_template([question, answer], **options)
    pairs = zip(prompt, full, strict=False)
    shared = next((i for i, (one, other) in enumerate(pairs) if one != other), min(len(prompt), len(full)))
    tail = answer_end(full)
    return TemplateMarks(
        _normalize_spaces(full[shared : full.index(answer["content"])]), tail.split("\n")[0].strip(), _normalize_spaces(tail)
    )


def _normalize_spaces(text: str) -> str:
    return " ".join(text.split())


def _bos_fault(document: Document, tokenizer: Any) -> str | None:
    bos = tokenizer.bos_token_id
    if bos is None or bos in (tokenizer.eos_token_id, tokenizer.pad_token_id):
        return None
    if any(tokenizer.bos_token in turn["content"] for turn in document.turns):
        return None
    count = list(document.ids).count(bos)
    if count > 1:
        return f"it begins with two BOS tokens ({tokenizer.bos_token})" if document.ids[1] == bos else "it has two BOS tokens"
    if count == 1 and document.ids[0] != bos:
        return "its BOS token is not the first token"
    if count == 0 and bos in tokenizer.encode(""):
        return f"it has no BOS token ({tokenizer.bos_token}), though its tokenizer adds one to every text"
    return None


def _loss_fault(document: Document, tokenizer: Any, marks: TemplateMarks) -> str | None:
    runs = groupby(zip(document.ids, document.in_loss, strict=True), key=lambda pair: pair[1])
    spans = [
        _normalize_spaces(tokenizer.decode([token for token, _ in run], skip_special_tokens=False))
        for bears, run in runs
        if bears
    ]
    answers = [_normalize_spaces(answer) for answer in document.answers]
    others = [_normalize_spaces(turn["content"]) for turn in document.turns if turn["content"].strip()]
    others = [text for text in others if text not in answers]
    if not spans:
        return "none of its tokens count in the loss"
    for i, (span, answer) in enumerate(zip(spans, answers, strict=False)):
        if document.truncated and i == len(spans) - 1:
            break
        if fault := _span_fault(span, answer, others, marks):
            skipped = answer not in span and any(later in span for later in answers[i + 1 :])
            return "an answer of the assistant does not count in the loss" if skipped else fault
    if len(spans) > len(answers):
        return f"tokens outside the assistant's turns count in the loss ({spans[-1]!r})"
    if len(spans) < len(answers) and not document.truncated:
        return "an answer of the assistant does not count in the loss"
    return None


def _span_fault(span: str, answer: str, others: list[str], marks: TemplateMarks) -> str | None:
    """What is wrong with one run of tokens in the loss, which should be `answer`; None if nothing is."""
    before, match, after = span.partition(answer) if answer else ("", "", span)
    if not match and answer:
        if any(text in span for text in others):
            return "tokens of the user count in the loss"
        return f"only part of the assistant's text counts in the loss ({span!r})"
    before, after = before.strip(), after.strip()
    if before not in ("", marks.before):
        return (
            "tokens of the user count in the loss"
            if any(text in before for text in others)
            else "the assistant's header counts in the loss"
        )
    if not after.startswith(_normalize_spaces(marks.end)):
        return "the end of the turn does not count in the loss"
    if after != _normalize_spaces(marks.end) and not marks.tail.startswith(after):
        return (
            "tokens of the user count in the loss" if any(text in after for text in others) else f"{after!r} counts in the loss"
        )
    return None

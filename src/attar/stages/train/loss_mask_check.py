"""The boundary check: before the first step, rows as the trainer will see them are read back and held against their texts.

Exactly one BOS where the model has one; exactly the assistant's tokens bear loss; its end of turn is there and bears loss. What
is wrong is told with the row's decoded text. A model trained across a wrong boundary looks healthy until somebody talks to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from attar.chat.templates import Message, answer_end, example_conversation
from attar.core.errors import EngineError

MAX_ROWS = 32
"""How many rows are read back, spread over all."""


@dataclass(frozen=True, slots=True)
class Document:
    """One sequence as the trainer's collator makes it, and the turns that it was made of."""

    ids: Sequence[int]
    bears: Sequence[bool]
    """Which tokens bear loss."""
    turns: Sequence[Message]
    answers: Sequence[str]
    """The texts that should bear loss, in order."""
    cut: bool = False
    """It was cut at the greatest length, so that its last answer may be shorter, or missing."""


@dataclass(frozen=True, slots=True)
class TemplateMarks:
    """What a template itself writes around an answer."""

    before: str
    """Between the assistant's header and its text: empty, or a block for thoughts."""
    end: str
    """What ends the assistant's turn."""
    tail: str
    """All that follows the last answer."""


def sample_indices(count: int) -> list[int]:
    """The places of the rows that are read back."""
    return sorted({at * count // min(count, MAX_ROWS) for at in range(min(count, MAX_ROWS))})


def check(documents: Iterable[Document], tokenizer: Any, template: str | None, model: str) -> int | None:
    """Raise on the first document that is not as it should be; else the token that ends the assistant's turn."""
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
    return EngineError(f"{model} cannot be trained as it is: {fault}. Mend its chat template; a row reads {shown!r}")


def _template_marks(tokenizer: Any, template: str | None) -> TemplateMarks:
    asked, said = example_conversation()
    given: dict[str, Any] = {"tokenize": False, "chat_template": template}
    ask = tokenizer.apply_chat_template([asked], add_generation_prompt=True, **given)
    full = tokenizer.apply_chat_template([asked, said], **given)
    same = next((at for at, (one, other) in enumerate(zip(ask, full, strict=False)) if one != other), min(len(ask), len(full)))
    tail = answer_end(full)
    return TemplateMarks(
        _normalize_spaces(full[same : full.index(said["content"])]), tail.split("\n")[0].strip(), _normalize_spaces(tail)
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
        return "its BOS token does not stand first"
    if count == 0 and bos in tokenizer.encode(""):
        return f"it has no BOS token ({tokenizer.bos_token}), though its tokenizer puts one before every text"
    return None


def _loss_fault(document: Document, tokenizer: Any, marks: TemplateMarks) -> str | None:
    runs = groupby(zip(document.ids, document.bears, strict=True), key=lambda pair: pair[1])
    spans = [
        _normalize_spaces(tokenizer.decode([token for token, _ in run], skip_special_tokens=False))
        for bears, run in runs
        if bears
    ]
    answers = [_normalize_spaces(answer) for answer in document.answers]
    others = [_normalize_spaces(turn["content"]) for turn in document.turns if turn["content"].strip()]
    others = [text for text in others if text not in answers]
    if not spans:
        return "nothing in it bears loss"
    for at, (span, answer) in enumerate(zip(spans, answers, strict=False)):
        if document.cut and at == len(spans) - 1:
            break
        if fault := _span_fault(span, answer, others, marks):
            skipped = answer not in span and any(later in span for later in answers[at + 1 :])
            return "an answer of the assistant bears no loss" if skipped else fault
    if len(spans) > len(answers):
        return f"tokens that are not the assistant's bear loss ({spans[-1]!r})"
    if len(spans) < len(answers) and not document.cut:
        return "an answer of the assistant bears no loss"
    return None


def _span_fault(span: str, answer: str, others: list[str], marks: TemplateMarks) -> str | None:
    """What is wrong with one run of tokens that bear loss, where the assistant says `answer`."""
    before, found, after = span.partition(answer) if answer else ("", "", span)
    if not found and answer:
        if any(text in span for text in others):
            return "tokens of the user bear loss"
        return f"only a part of the assistant's text bears loss ({span!r})"
    before, after = before.strip(), after.strip()
    if before not in ("", marks.before):
        return "tokens of the user bear loss" if any(text in before for text in others) else "the assistant's header bears loss"
    if not after.startswith(_normalize_spaces(marks.end)):
        return "the end of the turn bears no loss"
    if after != _normalize_spaces(marks.end) and not marks.tail.startswith(after):
        return "tokens of the user bear loss" if any(text in after for text in others) else f"{after!r} bears loss"
    return None

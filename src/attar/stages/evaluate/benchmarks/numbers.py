"""Tasks whose answer is a number, as in GSM8K: extract the answer from a response and compare it exactly with the reference.

The answer is the first of these that exists: the last `\\boxed{...}`; the text after the last `####`; the text after the last
"answer is" or "answer:" (for a sum, its result); the last number in the response. A box or a `####` without a number is a wrong
answer: no other number replaces it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

import polars as pl

from attar.core.errors import RecipeError
from attar.core.replies import Failure
from attar.core.stage import role, rowwise
from attar.core.table import Table, need, put
from attar.stages.evaluate.benchmarks.number_parsing import Decimal, Number, are_equal, numbers, parse_single

_BOX = re.compile(r"\\boxed\s*\{")
_LINK = re.compile(r"\b(?:is|are|was|be|equals|ist|est|es)\b|[:=]", re.IGNORECASE)
_SUM = re.compile(r"^(?:[\s\d.,$%+*/()x\u00d7÷-]*=)+|^(?:(?:(?!,\s)[^=;:(])*\s[-+*/\u00d7÷]\s(?:(?!,\s)[^=;:(])*=)+")
_SENTENCE = re.compile(r"[.!?;](?=\s|$)")
_MAX_LETTERS = 300
"""Characters searched after the word that announces an answer."""


@dataclass(frozen=True, slots=True)
class ExtractedAnswer:
    """The answer of a response and the rule that found it, or why there is none."""

    number: Number | None
    by: str | None
    error: str | None = None


_NO_RESPONSE = ExtractedAnswer(None, None, "no response")


@role("exam")
@rowwise
def check(
    table: Table,
    *,
    tolerance: float = 0,
    relative: float = 0,
    decimal: Decimal = ".",
    word: str = "answer",
) -> Table:
    """response, reference -> answer, answer_by, answer_error, correct, correct_error: whether the answer is the reference.

    They may differ by `tolerance`, or by `relative` times the reference; `word` announces an answer. A response without a
    number is wrong. `correct` is null if there is no response or the reference is not a number.
    """
    need(table, "response", "reference")
    if min(tolerance, relative) < 0 or not isfinite(tolerance + relative):
        raise RecipeError(f"tolerance and relative must be finite and >= 0, got {tolerance} and {relative}")
    if decimal not in (".", ","):
        raise RecipeError(f"decimal must be '.' or ',', got {decimal!r}")
    near = Fraction(str(tolerance)), Fraction(str(relative))
    pairs = list(zip(table["response"], table["reference"], strict=True))
    answers = [extract_answer(text, decimal=decimal, word=word) if text is not None else _NO_RESPONSE for text, _ in pairs]
    wanted = [parse_reference(reference, decimal=decimal) for _, reference in pairs]
    results = [_compare(*both, *near) for both in zip(answers, wanted, strict=True)]
    shown = [str(answer.number) if answer.number else None for answer in answers]
    out = put(table, "answer", shown, [answer.error for answer in answers], dtype=pl.String)
    out = out.with_columns(pl.Series("answer_by", [answer.by for answer in answers], dtype=pl.String))
    return put(out, "correct", [correct for correct, _ in results], [error for _, error in results], dtype=pl.Boolean)


def _compare(
    answer: ExtractedAnswer, wanted: Number | Failure, tolerance: Fraction, relative: Fraction
) -> tuple[bool | None, str | None]:
    """Whether an answer is correct, or why that cannot be decided."""
    if answer is _NO_RESPONSE:
        return None, answer.error
    if isinstance(wanted, Failure):
        return None, wanted.reason
    return answer.number is not None and are_equal(answer.number, wanted, tolerance, relative), None


def extract_answer(response: str, *, decimal: Decimal = ".", word: str = "answer") -> ExtractedAnswer:
    """The number that a response gives as its answer."""
    if (boxed := _last_box(response)) is not None:
        return _explicit_answer(parse_single(boxed, decimal), "box")
    if "####" in response:
        line = response.rpartition("####")[2].strip().partition("\n")[0]
        return _explicit_answer(parse_single(line, decimal), "mark")
    for said in _announced_texts(response, word):
        if found := numbers(said, decimal):
            return ExtractedAnswer(found[0], "word")
    found = numbers(response.replace("**", ""), decimal)
    return ExtractedAnswer(found[-1], "last") if found else ExtractedAnswer(None, None, "no number")


def parse_reference(reference: object, *, decimal: Decimal = ".") -> Number | Failure:
    """Parse a reference: a number, a number as text, or a worked solution with a box or a `####` before the answer."""
    if reference is None:
        return Failure("no reference")
    if not isinstance(reference, str):
        return parse_single(str(reference), ".")
    boxed, marked = _last_box(reference), reference.rpartition("####")
    found = parse_single(boxed if boxed is not None else marked[2], decimal)
    return Failure(f"the reference: {found.reason}") if isinstance(found, Failure) else found


def _explicit_answer(found: Number | Failure, by: str) -> ExtractedAnswer:
    return ExtractedAnswer(None, by, found.reason) if isinstance(found, Failure) else ExtractedAnswer(found, by)


def _last_box(text: str) -> str | None:
    """The content of the last closed box."""
    opened: list[int] = []
    closed: dict[int, int] = {}
    for brace in re.finditer("[{}]", text):
        if brace[0] == "{":
            opened.append(brace.end())
        elif opened:
            closed[opened.pop()] = brace.start()
    whole = [match.end() for match in _BOX.finditer(text) if match.end() in closed]
    return text[whole[-1] : closed[whole[-1]]] if whole else None


def _announced_texts(text: str, word: str) -> Iterator[str]:
    """The texts after a word that announces an answer, last first: one sentence, then the whole line."""
    for match in reversed(list(re.finditer(rf"\b{re.escape(word)}s?\b", text, re.IGNORECASE))):
        line, _, below = text[match.end() :].replace("**", "").partition("\n")
        if (link := _LINK.search(line)) is None:
            continue
        said = line[link.end() :]
        if not said.strip(" *_`$"):
            said = below.strip().partition("\n")[0]
        said = said.lstrip(" :=")[:_MAX_LETTERS]
        for part in (_SENTENCE.split(said, maxsplit=1)[0], said):
            yield _SUM.sub("", part)

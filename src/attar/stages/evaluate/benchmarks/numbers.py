"""Tasks whose answer is a number, as in GSM8K: what a response answers, and whether that is the reference, exactly.

A response's answer is the first of these that is there: the last `\\boxed{...}`; what stands behind the last `####`; what is
said behind the last "answer is" or "answer:" (of a sum its result); the last number of all. A box or a `####` without a number
in it is an answer, and a wrong one: no other number is taken in its place.
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
"""Letters behind the word that announces an answer that are looked at."""


@dataclass(frozen=True, slots=True)
class ExtractedAnswer:
    """What a response answers and by which rule that was found; or why there is none."""

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

    They may be `tolerance` apart, or `relative` of the reference; `word` announces an answer. A response without a number
    is wrong; where there is no response, or the reference is no number, `correct` is null.
    """
    need(table, "response", "reference")
    if min(tolerance, relative) < 0 or not isfinite(tolerance + relative):
        raise RecipeError(f"tolerance {tolerance}, relative {relative}: both must be numbers, nought or more")
    if decimal not in (".", ","):
        raise RecipeError(f"decimal {decimal!r} is neither '.' nor ','")
    near = Fraction(str(tolerance)), Fraction(str(relative))
    pairs = list(zip(table["response"], table["reference"], strict=True))
    told = [extract_answer(said, decimal=decimal, word=word) if said is not None else _NO_RESPONSE for said, _ in pairs]
    wanted = [parse_reference(reference, decimal=decimal) for _, reference in pairs]
    right = [_compare(*both, *near) for both in zip(told, wanted, strict=True)]
    shown = [str(answer.number) if answer.number else None for answer in told]
    out = put(table, "answer", shown, [answer.error for answer in told], dtype=pl.String)
    out = out.with_columns(pl.Series("answer_by", [answer.by for answer in told], dtype=pl.String))
    return put(out, "correct", [found for found, _ in right], [why for _, why in right], dtype=pl.Boolean)


def _compare(
    answer: ExtractedAnswer, wanted: Number | Failure, tolerance: Fraction, relative: Fraction
) -> tuple[bool | None, str | None]:
    """Whether an answer is right, and why that cannot be said."""
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
    """A reference: a number, a text that is one, or worked steps with a box or a `####` before the answer."""
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
    """What the last box holds that is closed."""
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
    """What is said behind a word that announces an answer, the last first: as one sentence, or to the end of its line."""
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

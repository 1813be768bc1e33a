"""What can be demanded of a response and checked by a program: 25 kinds, each a function of the text and of its knobs.

A kind that counts (`words`, `bullets`) takes `least` and `most`, one or both; each other says in words what is missed, or None.
What is counted, and how, is as in IFEval, save for sentences and capital words, which are counted there by a library's models.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from inspect import Parameter, signature
from typing import Any
from unicodedata import category

from attar.core.errors import MissingExtraError, did_you_mean

_ABBREVIATIONS = (
    *("mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "etc", "inc", "ltd", "co", "corp", "no", "vol", "fig", "approx"),
    *("e.g", "i.e", "a.m", "p.m", "u.s", "u.k", "ph.d", "jan", "feb", "mar", "apr", "aug", "sept", "oct", "nov", "dec"),
)
_STOP = re.compile(r"""([.!?…]+)["'”\u2019)\]*_]*\s+(?=(\S))""")
_LONG = 20  # letters before a stop that are looked at
_CAPITAL = re.compile(r"""[^\s,;:!?()\[\]{}<>"“”*&@#$%…—\u2013]+""")
_SHORT = re.compile(r"'(?=(?:s|m|d|t|ll|re|ve)\b)|\u2019", re.IGNORECASE)
_FENCE = re.compile(r"\A```(?:json)?|```\Z", re.IGNORECASE)
_QUOTES = "'\""


def words(text: str) -> int:
    """Runs of letters and digits, with the signs that are written on them: don't is two."""
    if not text.isascii():
        text = "".join(sign for sign in text if category(sign) not in ("Mn", "Mc", "Cf"))
    return len(re.findall(r"\w+", text))


def sentences(text: str) -> int:
    """Stops that end a sentence, and what stands behind the last; a new line ends none."""
    small = not text.islower()  # otherwise small letters say nothing
    ends = 0
    for found in _STOP.finditer(text):
        before = text[max(0, found.start() - _LONG) : found.start()].rsplit(maxsplit=1)
        ends += _ends(before[-1] if before else "", found[1], small and found[2].islower())
    return ends + bool(text.strip())


def _ends(before: str, stop: str, small: bool) -> bool:
    """Whether a stop ends a sentence: not behind an abbreviation, an initial or a list's number, nor before a small letter."""
    word = before.lower().lstrip("(\"'“*")
    initial = len(word) == 1 and word.isalpha() and before != "I"
    return not small and not (stop == "." and (word in _ABBREVIATIONS or initial or word.isdigit()))


def paragraphs(text: str) -> int | str:
    """Texts between lines of three asterisks."""
    parts = [bool(part.strip()) for part in re.split(r"\s?\*\*\*\s?", text)]
    return sum(parts) if all(parts[1:-1]) else "an empty paragraph"


def bullets(text: str) -> int:
    """Lines that begin with an asterisk or a dash."""
    return len(re.findall(r"^\s*(?:\*[^*].*|-.*)$", text, re.MULTILINE))


def highlights(text: str) -> int:
    """Parts of a line within asterisks, single or double."""
    single = (found.strip("*") for found in re.findall(r"\*[^\n*]*\*", text))
    double = (found[2:-2] for found in re.findall(r"\*\*[^\n*]*\*\*", text))
    return sum(bool(inner.strip()) for inner in (*single, *double))


def sections(text: str, *, mark: str) -> int:
    """Headings of the mark and a number: Section 1."""
    return len(re.findall(rf"{re.escape(mark.strip())}\s?\d+", text))


def placeholders(text: str) -> int:
    """Places in square brackets, such as [name]."""
    return len(re.findall(r"\[.*?\]", text))


def capital_words(text: str) -> int:
    """Words without a small letter, I and A among them; joined by a hyphen they are one, and parted by a contraction two."""
    return sum(word.isupper() for word in _CAPITAL.findall(_SHORT.sub(" ", text)))


def letter(text: str, *, letter: str) -> int:
    """How often a letter or a sign occurs, whatever its case."""
    return text.lower().count(letter.lower())


def word(text: str, *, word: str) -> int:
    """How often a word occurs, whatever its case, also within others."""
    return len(re.findall(re.escape(word.strip()), text, re.IGNORECASE))


def includes(text: str, *, words: Sequence[str]) -> str | None:
    """Every one of these occurs, whatever its case, perhaps within another word."""
    return _list_words("lacks", [word for word in words if not re.search(re.escape(word), text, re.IGNORECASE)])


def excludes(text: str, *, words: Sequence[str]) -> str | None:
    """None of these occurs as a word, whatever its case."""
    return _list_words("has", [word for word in words if re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)])


def _list_words(verb: str, words: Sequence[str]) -> str | None:
    return f"{verb} {', '.join(map(repr, words))}" if words else None


def language(text: str, *, language: str) -> str | None:
    """It is written in the language of this code (ISO 639-1)."""
    found = _language(text)
    return None if found == language else f"is written in {found!r}, not {language!r}"


@lru_cache(maxsize=1)
def _detector() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "language") from error
    detector = LanguageIdentifier.from_model_file(MODEL_FILE)
    detector.set_languages([code for code in detector.labels if len(code) == 2])
    return detector


def _language(text: str) -> str:
    return _detector().classify(" ".join(text.split()))[0]


def capitals(text: str, *, language: str | None = None) -> str | None:
    """No small letter and some capital ones; and in a language, where one is named."""
    return _case(text, text.isupper(), "small letters", language)


def lowercase(text: str, *, language: str | None = None) -> str | None:
    """No capital letter and some small ones; and in a language, where one is named."""
    return _case(text, text.islower(), "capital letters", language)


def _case(text: str, fits: bool, wrong: str, code: str | None) -> str | None:
    if not fits:
        return f"has {wrong}" if any(sign.isalpha() for sign in text) else "has no letters"
    return language(text, language=code) if code else None


def first_word(text: str, *, paragraphs: int, paragraph: int, word: str) -> str | None:
    """It has `paragraphs` paragraphs, separated by empty lines, and paragraph number `paragraph` begins with `word`."""
    parts = [part.strip() for part in text.split("\n\n") if part.strip()]
    if len(parts) != paragraphs:
        return f"{len(parts)} paragraphs, {paragraphs} wanted"
    if not 1 <= paragraph <= paragraphs:
        return f"there is no paragraph {paragraph} of {paragraphs}"
    begins = re.split(r"[.,?!'\"]", parts[paragraph - 1].split()[0].lstrip(_QUOTES))[0]
    return None if begins.lower() == word.lower() else f"paragraph {paragraph} begins with {begins!r}, not {word!r}"


def postscript(text: str, *, mark: str) -> str | None:
    """It has a postscript that begins with the mark, such as P.S."""
    pattern = r"\.\s?".join(re.escape(part) for part in mark.strip().split("."))
    return None if re.search(pattern, text, re.IGNORECASE) else f"no postscript with {mark!r}"


def title(text: str) -> str | None:
    """It has a title in double angular brackets."""
    found = (inner.strip("<> ") for inner in re.findall(r"<<[^\n]+>>", text))
    return None if any(found) else "no title in << >>"


def json_text(text: str) -> str | None:
    """It is JSON and nothing else, perhaps in a code fence."""
    try:
        json.loads(_FENCE.sub("", text.strip()).strip())
    except (ValueError, RecursionError) as error:
        return f"is not JSON: {error}"
    return None


def one_of(text: str, *, options: Sequence[str]) -> str | None:
    """It says one of these, word for word."""
    return None if any(option in text for option in options) else f"says none of {', '.join(map(repr, options))}"


def two_answers(text: str, *, between: str = "******") -> str | None:
    """It is two different answers with a line of signs between them."""
    parts = [part.strip() for part in text.split(between)]
    answers = [part for part in parts if part]
    if not all(parts[1:-1]):
        return "an empty answer"
    if len(answers) != 2:
        return f"{len(answers)} answers parted by {between!r}, 2 wanted"
    return "the two answers are the same" if answers[0] == answers[1] else None


def repeats(text: str, *, request: str) -> str | None:
    """It begins with a text, whatever its case."""
    return None if text.strip().lower().startswith(request.strip().lower()) else "does not repeat the request first"


def ends(text: str, *, phrase: str) -> str | None:
    """It ends with a phrase, whatever its case, perhaps in quotes."""
    return None if text.strip().strip('"').lower().endswith(phrase.strip().lower()) else f"does not end with {phrase!r}"


def no_comma(text: str) -> str | None:
    """There is no comma in it."""
    return f"{text.count(',')} commas" if "," in text else None


def in_quotes(text: str) -> str | None:
    """It stands in double quotes, all of it."""
    inner = text.strip()
    return None if len(inner) > 1 and inner[0] == inner[-1] == '"' else "is not wrapped in double quotes"


COUNTS: dict[str, Callable[..., int | str]] = {
    count.__name__: count
    for count in (words, sentences, paragraphs, bullets, highlights, sections, placeholders, capital_words, letter, word)
}
DEMANDS: dict[str, Callable[..., str | None]] = {
    **{
        demand.__name__: demand for demand in (includes, excludes, language, capitals, lowercase, first_word, postscript, title)
    },
    **{demand.__name__: demand for demand in (one_of, two_answers, repeats, ends, no_comma)},
    "quoted": in_quotes,
    "json": json_text,
}
_BOUNDS = ("least", "most")


def violation(text: str, constraint: Mapping[str, Any]) -> str | None:
    """Why a text does not follow a constraint, or None if it does; an empty text follows none."""
    kind, knobs = constraint["kind"], {name: value for name, value in constraint.items() if name != "kind"}
    why = "is empty" if not text.strip() else _violation(text, kind, knobs)
    return None if why is None else f"{kind}: {why}"


def _violation(text: str, kind: str, knobs: dict[str, Any]) -> str | None:
    if kind in DEMANDS:
        return DEMANDS[kind](text, **knobs)
    least, most = (knobs.pop(bound, None) for bound in _BOUNDS)
    count = COUNTS[kind](text, **knobs)
    if isinstance(count, str):
        return count
    if (least is None or count >= least) and (most is None or count <= most):
        return None
    if least == most:
        return f"{count}, exactly {least} wanted"
    return f"{count}, " + (f"at least {least} wanted" if least is not None and count < least else f"at most {most} wanted")


def validate_constraint(constraint: object) -> dict[str, Any]:
    """A constraint whose kind and knobs are right; what is wrong with it is a ValueError."""
    if not isinstance(constraint, Mapping) or not isinstance(kind := constraint.get("kind"), str):
        raise ValueError(f"a constraint must be a mapping with a 'kind', not {constraint!r:.80}")
    knobs = {str(name): value for name, value in constraint.items() if name != "kind" and value is not None}
    if (function := COUNTS.get(kind) or DEMANDS.get(kind)) is None:
        raise ValueError(f"there is no kind of constraint {kind!r}; {did_you_mean(kind, (*COUNTS, *DEMANDS))}")
    own = {name: known for name, known in signature(function).parameters.items() if known.kind is Parameter.KEYWORD_ONLY}
    wanted = {
        **{name: known.annotation for name, known in own.items()},
        **(dict.fromkeys(_BOUNDS, int) if kind in COUNTS else {}),
    }
    if strange := [name for name in knobs if name not in wanted]:
        raise ValueError(f"constraint {kind!r} has no knob {strange[0]!r}; {did_you_mean(strange[0], wanted)}")
    lacking = [name for name, known in own.items() if known.default is Parameter.empty and name not in knobs]
    if lacking or (kind in COUNTS and not set(_BOUNDS) & set(knobs)):
        raise ValueError(f"constraint {kind!r} needs {lacking[0] if lacking else 'least, or most, or both'}")
    for name, value in knobs.items():
        _check_knob(kind, name, value, wanted[name])
    return {"kind": kind, **knobs}


def _check_knob(kind: str, name: str, value: Any, wanted: Any) -> None:
    """Raise for a value of another type than the knob's, or a text with nothing in it."""
    if wanted is int:
        good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    elif wanted == Sequence[str]:
        good = isinstance(value, list | tuple) and bool(value) and all(isinstance(item, str) and item.strip() for item in value)
    else:
        good = isinstance(value, str) and bool(value.strip())
    if not good:
        what = "a whole number" if wanted is int else "a list of texts" if wanted == Sequence[str] else "a text"
        raise ValueError(f"constraint {kind!r}: {name} must be {what}, not {value!r:.80}")

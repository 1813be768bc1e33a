"""Numbers as people write them, read exactly: 1,234.50 and 1.234,50, -$3, 45%, 1 1/2, LaTeX fractions, 2.5 million, 6.02e23.

If a separator could group thousands or begin decimals (`1,234`, `1.234`), `decimal` decides; otherwise its groups decide.
What is not a single number (`1.2.3`, a date) is read as several. Number words are not read.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from attar.core.replies import Failure

Decimal = Literal[".", ","]

_MAX_DIGITS = 400
"""Digits of a number, and powers of ten, beyond which nothing is read: such a text would fill the memory, and means nothing."""
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_VULGAR = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_GAP = "\u202f"  # stands for every space that holds a number together
_PLAIN = str.maketrans(
    dict.fromkeys("\u2212\u2013", "-")
    | dict.fromkeys("\u00a0\u2007\u2009", _GAP)
    | {"\u00d7": "*", "\u00b7": "*", "\u2044": "/", "\u2019": "'"}
)
_DIGITS = rf"\d+(?:[.,'{_GAP}]\d+)*"
_SPACED = rf"\d{{1,3}}(?:[ ]\d{{3}})+(?![\d ]*\d)(?:[.,]\d+)?|{_DIGITS}"
_MONEY = r"(?:(?:US|A|C|NZ|HK)?\\?[$€£¥₹₽₩]|(?:USD|EUR|GBP|CHF|INR|Rs\.?)\s?)"
_POWER = r"(?:\s?\^\s?|\*\*)(?:\{\s?([-+]?\d+)\s?\}|([-+]?\d+))|([⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
_NUMBER = rf"""
    (?<![^\W_])(?<!\d[.,])
    (?P<sign>(?<![\d)\]}}%])[-+])? (?:{_MONEY}[ ]?(?P<inner>[-+])?)?
    (?:
        (?P<whole>\d+)?\s?\\[dtc]?frac\s*(?:\{{\s*(?P<over>[-+]?DIGITS)\s*\}}|(?P<over_one>\d))
            \s*(?:\{{\s*(?P<under>DIGITS)\s*\}}|(?P<under_one>\d))
      | (?<!\d/)(?:(?P<mixed>\d+)[ {_GAP}])?(?P<top>DIGITS)[ ]?/[ ]?(?P<bottom>DIGITS)(?!/?\d)
      | (?P<run>DIGITS|\.\d+)(?:\s?(?P<vulgar>[{_VULGAR}]))?
      | (?P<alone>[{_VULGAR}])
    )
    (?:
        [eE](?P<exponent>[-+]?\d+)(?!\w)
      | \s?(?:x|\*|\\times|\\cdot)\s?10(?P<tens>{_POWER})
      | (?P<power>{_POWER})
      | [\s-]?(?P<scale>{"|".join(_SCALES)})s?\b
    )?
    (?P<percent>\s?(?:\\?%|per\s?cent\b))?
"""
_IN_TEXT = re.compile(_NUMBER.replace("DIGITS", _DIGITS), re.VERBOSE)
_IN_SHORT_TEXT = re.compile(_NUMBER.replace("DIGITS", f"(?:{_SPACED})"), re.VERBOSE)
_PIECE = re.compile(r"\d+")
_WORDS = re.compile(r"\\(?:text|textbf|mathrm|mathbf|operatorname)\s*\{([^{}]*)\}")
_SIGNS = re.compile(r"\^\s*\{?\\circ\}?|\\(?:circ|left|right|quad|qquad|displaystyle)(?![a-zA-Z])|\\[;: &()\[\]]")
_FORMULA = re.compile(r"\\[a-zA-Z]|[+*^√π∞]")


@dataclass(frozen=True, slots=True)
class Number:
    """A number, exactly, and whether it stood with a percent sign: 45% has the value 45."""

    value: Fraction
    percent: bool = False

    def __str__(self) -> str:
        return to_decimal(self.value) + "%" * self.percent


def numbers(text: str, decimal: Decimal = ".", *, spaced: bool = False) -> list[Number]:
    """Every number of a text, in order; `spaced` reads groups of three behind plain spaces too (1 234 567)."""
    found = (_IN_SHORT_TEXT if spaced else _IN_TEXT).finditer(_normalize(text))
    return [number for match in found for number in _read(match, decimal)]


def parse_single(text: str, decimal: Decimal = ".") -> Number | Failure:
    """The one number that a short text is: with its unit, or a name before an equals sign, but no further mathematics."""
    said = f"{text.strip()[:40]!r}"
    plain = _normalize(_SIGNS.sub(" ", _WORDS.sub(r" \1 ", text)).replace("**", "").replace("\\approx", "="))
    plain = re.split("[=≈]", plain)[-1]
    found = numbers(plain, decimal, spaced=True)
    if _FORMULA.search(_IN_SHORT_TEXT.sub("", plain)):
        return Failure(f"{said} is more than a number")
    return found[0] if len(found) == 1 else Failure(f"{said} is {f'{len(found)} numbers' if found else 'no number'}")


def are_equal(one: Number, other: Number, tolerance: Fraction = Fraction(0), relative: Fraction = Fraction(0)) -> bool:
    """Whether two numbers are equal, or no further apart than allowed; with one percent sign, 45% is both 45 and 0.45."""
    values = [one.value]
    if one.percent != other.percent:
        values.append(one.value / 100 if one.percent else one.value * 100)
    near = max(tolerance, relative * abs(other.value))
    return any(abs(value - other.value) <= near for value in values)


def to_decimal(value: Fraction) -> str:
    """A fraction as a decimal where it ends, else as one."""
    rest, places = value.denominator, 0
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest, count = rest // prime, count + 1
        places = max(places, count)
    if rest > 1:
        return f"{value.numerator}/{value.denominator}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).zfill(places + 1)
    cut = len(digits) - places
    return "-" * (value < 0) + digits[:cut] + "." * bool(places) + digits[cut:]


def _normalize(text: str) -> str:
    """The text with one sign for each thing, and without LaTeX's way of spacing a number."""
    return text.translate(_PLAIN).replace("{,}", ",").replace("\\,", _GAP).replace("\\!", "")


def _read(match: re.Match[str], decimal: Decimal) -> Iterator[Number]:
    """The number that was matched; or its pieces, where it is no one number."""
    value = _magnitude(match, decimal)
    if isinstance(value, Failure):
        yield from (Number(Fraction(int(piece))) for piece in _PIECE.findall(match[0]) if len(piece) <= _MAX_DIGITS)
        return
    if (value := _apply_scale(value, match)) is not None:
        minus = (match["sign"] == "-") != (match["inner"] == "-")
        yield Number(-value if minus else value, match["percent"] is not None)


def _apply_scale(value: Fraction, match: re.Match[str]) -> Fraction | None:
    """The number with its powers of ten, its own power, or its scale in words."""
    if match["scale"]:
        return value * 10 ** _SCALES[match["scale"]]
    power = re.sub(r"[\s^*{}]", "", match["exponent"] or match["tens"] or match["power"] or "").translate(_SUPERSCRIPTS)
    if not power:
        return value
    base = value if match["power"] else Fraction(10)
    if len(power) > 4 or abs(int(power)) * len(str(max(base.numerator, base.denominator))) > 2 * _MAX_DIGITS or not base:
        return None
    return base ** int(power) * (1 if match["power"] else value)


def _magnitude(match: re.Match[str], decimal: Decimal) -> Fraction | Failure:
    if match["alone"]:
        return _vulgar(match["alone"])
    if match["run"]:
        value = _digits(match["run"], decimal)
        part = _vulgar(match["vulgar"]) if match["vulgar"] else Fraction(0)
        return value if isinstance(value, Failure) else value + part
    over, under = match["over"] or match["over_one"] or match["top"], match["under"] or match["under_one"] or match["bottom"]
    whole, minus = match["whole"] or match["mixed"] or "0", over[0] == "-"
    parts = [_digits(part, decimal) for part in (whole, over.lstrip("-+"), under)]
    if any(isinstance(part, Failure) for part in parts) or not parts[2]:
        return Failure("no number")
    base, top, bottom = (Fraction(part) for part in parts if not isinstance(part, Failure))
    if match["mixed"] and top >= bottom:
        return Failure("two numbers")
    return base + (-top if minus else top) / bottom


def _vulgar(letter: str) -> Fraction:
    return Fraction(unicodedata.numeric(letter)).limit_denominator(10)


def _digits(run: str, decimal: Decimal = ".") -> Fraction | Failure:
    """Digits with separators among them, as one number without a sign."""
    if len(run) > _MAX_DIGITS:
        return Failure("too long")
    groups, marks = re.split(r"\D", run), re.findall(r"\D", run)
    if not marks:
        return Fraction(int(run))
    if run[0] in ".,":
        return Fraction(f"0.{groups[1]}")
    grouped = len(set(marks)) == 1 and _is_grouped(groups, marks[0])
    if len(marks) > 1 and grouped:
        return Fraction(int("".join(groups)))
    if marks[-1] not in ".,":
        return Fraction(int("".join(groups))) if grouped else Failure("two numbers")
    if len(marks) == 1:
        whole = grouped and marks[0] != decimal
        return Fraction(int("".join(groups))) if whole else Fraction(f"{groups[0]}.{groups[1]}")
    before = set(marks[:-1])
    if len(before) == 1 and marks[-1] not in before and _is_grouped(groups[:-1], marks[0]):
        return Fraction(f"{''.join(groups[:-1])}.{groups[-1]}")
    return Failure("several numbers")


def _is_grouped(groups: list[str], mark: str) -> bool:
    """Whether digits stand in groups of three; or as in India, of two and a last one of three."""
    first, *rest = groups
    if first == "0" or not 1 <= len(first) <= 3:
        return False
    lakhs = mark == "," and len(first) <= 2 and all(len(group) == 2 for group in rest[:-1])
    return len(rest[-1]) == 3 and (lakhs or all(len(group) == 3 for group in rest))

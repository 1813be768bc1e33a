"""Language identification, by the small n-gram model that comes with the py3langid library: no download.

Code, formulas, addresses and quoted words are ignored as long as other words remain. The result is one of about 110 two-letter
codes; close languages (Indonesian and Malay, Hindi and Marathi) can be distinguished only in longer texts.
"""

import re
from functools import lru_cache
from itertools import pairwise
from typing import Any
from unicodedata import category

import polars as pl

from attar.core.errors import MissingExtraError
from attar.core.stage import rowwise
from attar.core.table import Table, need, put

_NOT_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|https?://\S+|\S+@\S+", re.DOTALL)
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”|«[^»]*»|「[^」]*」|『[^』]*』')
_FEWEST_LETTERS = 8
_MOST_CHARACTERS = 1000
_NO_LANGUAGE = "zxx"


@rowwise
def detect(table: Table, *, column: str = "prompt", least: float = 0.0) -> Table:
    """{column} -> language (ISO 639-1), language_sure, language_error; null without words, or where `least` is not reached."""
    need(table, column)
    results = [language_of(text, least) if text else (None, None, f"no {column}") for text in table[column]]
    out = put(table, "language", [code for code, _, _ in results], [error for _, _, error in results], dtype=pl.String)
    return out.with_columns(pl.Series("language_sure", [sure for _, sure, _ in results], dtype=pl.Float64))


def language_of(text: str, least: float = 0.0) -> tuple[str | None, float | None, str | None]:
    """A text's language, its probability, and an error if there is none."""
    words = _words(text)
    if not any(category(a)[0] == "L" and category(b)[0] in "LM" for a, b in pairwise(words)):
        return None, None, "no words"
    code, sure = _detector().classify(words)
    if code == _NO_LANGUAGE or sure < least:
        return None, sure, "undecided"
    return code, sure, None


def _words(text: str) -> str:
    """The prose of a text, on one line; without quotations, where enough remains."""
    prose = _NOT_PROSE.sub(" ", text[: 20 * _MOST_CHARACTERS])
    unquoted = _QUOTED.sub(" ", prose)
    if sum(letter.isalpha() for letter in unquoted) >= _FEWEST_LETTERS:
        prose = unquoted
    return " ".join(prose.split())[:_MOST_CHARACTERS]


@lru_cache(maxsize=1)
def _detector() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "language") from error
    detector = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    detector.set_languages([code for code in detector.labels if len(code) == 2 or code == _NO_LANGUAGE])
    return detector

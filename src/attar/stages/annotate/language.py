"""Which language a text is written in, told by a small model of letter sequences that a library brings along: no download.

Code, formulas, addresses and quoted words are left out of the account as long as other words remain. The answer is one of
about 110 codes of two letters; near relatives (Indonesian and Malay, Hindi and Marathi) are told apart only in longer texts.
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

_NO_WORDS = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|https?://\S+|\S+@\S+", re.DOTALL)
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”|«[^»]*»|「[^」]*」|『[^』]*』')
_ENOUGH = 8
_LONGEST = 1000
_NONE = "zxx"


@rowwise
def detect(table: Table, *, column: str = "prompt", least: float = 0.0) -> Table:
    """{column} -> language (ISO 639-1), language_sure, language_error; null without words, or where `least` is not reached."""
    need(table, column)
    told = [language_of(text, least) if text else (None, None, f"no {column}") for text in table[column]]
    out = put(table, "language", [code for code, _, _ in told], [error for _, _, error in told], dtype=pl.String)
    return out.with_columns(pl.Series("language_sure", [sure for _, sure, _ in told], dtype=pl.Float64))


def language_of(text: str, least: float = 0.0) -> tuple[str | None, float | None, str | None]:
    """A text's language and how sure it is; or why there is none."""
    words = _words(text)
    if not any(category(a)[0] == "L" and category(b)[0] in "LM" for a, b in pairwise(words)):
        return None, None, "no words"
    code, sure = _detector().classify(words)
    if code == _NONE or sure < least:
        return None, sure, "undecided"
    return code, sure, None


def _words(text: str) -> str:
    """The part of a text that is language, as one line."""
    prose = _NO_WORDS.sub(" ", text[: 20 * _LONGEST])
    own = _QUOTED.sub(" ", prose)
    if sum(letter.isalpha() for letter in own) >= _ENOUGH:
        prose = own
    return " ".join(prose.split())[:_LONGEST]


@lru_cache(maxsize=1)
def _detector() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "language") from error
    detector = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    detector.set_languages([code for code in detector.labels if len(code) == 2 or code == _NONE])
    return detector

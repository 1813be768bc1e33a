"""How an answer is written, apart from what it says: its length, headers, lists and bold, counted outside code.

Leads are Arena-Hard's: lengths as (a - b) / (a + b), the rest by their share of the tokens, as (a - b) / (a + b + 1). Its code
takes what stands in a fence out of the whole answer and misses fences with a backtick in them; ours takes out fences as
Markdown has them. Its tokens are those of one closed model, ours a rule (`tokens`) that comes near it.
"""

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl

from attar.core.errors import DataError, RecipeError, did_you_mean
from attar.core.stage import role, rowwise
from attar.core.table import Table, need

Length = Literal["tokens", "characters"]
MARKS = ("length", "headers", "lists", "bold")
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*\n.*?(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_HEADER = re.compile(r"^#{1,6}\s", re.MULTILINE)
_ITEM = re.compile(r"^\s*(?:\d+\.|[-*+])\s", re.MULTILINE)
_BOLD = re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__")
_SCRIPTS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"  # of which a sign is a syllable or a word
_TOKEN = re.compile(rf"[{_SCRIPTS}]|\d{{1,3}}|[^\W\d{_SCRIPTS}]{{1,8}}|[^\w\s]+|\n+")


def tokens(text: str) -> int:
    """About how many tokens a text has: pieces of words of up to 8 letters, 3 digits, runs of other signs, line ends."""
    return len(_TOKEN.findall(text))


def count_marks(text: str, length: Length = "tokens") -> tuple[int, int, int, int]:
    """Length (of the whole text), headers, list items and bold places (outside fences)."""
    plain = _FENCE.sub("", text)
    size = tokens(text) if length == "tokens" else len(text)
    return size, len(_HEADER.findall(plain)), len(_ITEM.findall(plain)), len(_BOLD.findall(plain))


@role("exam")
@rowwise
def leads(battles: Table, *, length: Length = "tokens") -> Table:
    """response, against -> lead_length, lead_headers, lead_lists, lead_bold: by how much the response leads, from -1 to 1."""
    need(battles, "response", "against")
    if length not in ("tokens", "characters"):
        raise RecipeError(f"length {length!r}; {did_you_mean(length, ('tokens', 'characters'))}")
    pairs = zip(battles["response"], battles["against"], strict=True)
    found = [None if None in pair else _leads(count_marks(pair[0], length), count_marks(pair[1], length)) for pair in pairs]
    columns = [[row and row[place] for row in found] for place in range(len(MARKS))]
    return battles.with_columns(
        pl.Series(f"lead_{mark}", column, dtype=pl.Float64) for mark, column in zip(MARKS, columns, strict=True)
    )


def _leads(one: Sequence[int], other: Sequence[int]) -> tuple[float, ...]:
    whole = one[0] + other[0]
    shares = [(a / (one[0] + 1), b / (other[0] + 1)) for a, b in zip(one[1:], other[1:], strict=True)]
    return ((one[0] - other[0]) / whole if whole else 0.0, *((a - b) / (a + b + 1) for a, b in shares))


def lead_columns(style: Sequence[str]) -> list[str]:
    """The columns of leads that a knob `style` names."""
    if unknown := [mark for mark in style if mark not in MARKS]:
        raise RecipeError(f"there is no style {unknown[0]!r}; {did_you_mean(unknown[0], MARKS)}")
    return [f"lead_{mark}" for mark in style]


def scale_leads(leads: np.ndarray, weights: np.ndarray, *, centred: bool = False) -> np.ndarray:
    """Leads by their spread over all votes, so that coefficients compare; a lead that nobody has stays nought.

    Nought stays nought too: even style is even. Arena-Hard's code is `centred`, takes the mean lead away first, so that its
    scores are those at the lead that these models have on the average, and hang on who else is in the table.
    """
    if not len(leads):
        raise DataError("no battle has a preference: there is no style to hold even")
    mean = weights @ leads / weights.sum()
    spread = np.sqrt(weights @ (leads - mean) ** 2 / max(weights.sum() - 1, 1e-12))
    return (leads - mean if centred else leads) / np.where(spread > 1e-12, spread, np.inf)

"""Style features of an answer: its length, headers, lists and bold, counted outside code.

Leads are Arena-Hard's: (a - b) / (a + b) for lengths; (a - b) / (a + b + 1) for the other features per token. Its code removes
fenced code with a pattern that misses fences with a backtick in them; ours removes fences as Markdown defines them. Its tokens
are those of one closed model; ours follow a simple rule (`tokens`) that approximates them.
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
_SCRIPTS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"  # scripts where one character is a syllable or a word
_TOKEN = re.compile(rf"[{_SCRIPTS}]|\d{{1,3}}|[^\W\d{_SCRIPTS}]{{1,8}}|[^\w\s]+|\n+")


def tokens(text: str) -> int:
    """The approximate number of tokens: word pieces of up to 8 letters, 3 digits, runs of other characters, line ends."""
    return len(_TOKEN.findall(text))


def count_marks(text: str, length: Length = "tokens") -> tuple[int, int, int, int]:
    """The length of the whole text, and its headers, list items and bold spans outside fences."""
    plain = _FENCE.sub("", text)
    size = tokens(text) if length == "tokens" else len(text)
    return size, len(_HEADER.findall(plain)), len(_ITEM.findall(plain)), len(_BOLD.findall(plain))


@role("exam")
@rowwise
def leads(battles: Table, *, length: Length = "tokens") -> Table:
    """response, against -> lead_length, lead_headers, lead_lists, lead_bold: by how much the response leads, from -1 to 1."""
    need(battles, "response", "against")
    if length not in ("tokens", "characters"):
        raise RecipeError(f"there is no length {length!r}; {did_you_mean(length, ('tokens', 'characters'))}")
    pairs = zip(battles["response"], battles["against"], strict=True)
    rows = [None if None in pair else _leads(count_marks(pair[0], length), count_marks(pair[1], length)) for pair in pairs]
    columns = [[row and row[place] for row in rows] for place in range(len(MARKS))]
    return battles.with_columns(
        pl.Series(f"lead_{mark}", column, dtype=pl.Float64) for mark, column in zip(MARKS, columns, strict=True)
    )


def _leads(one: Sequence[int], other: Sequence[int]) -> tuple[float, ...]:
    whole = one[0] + other[0]
    shares = [(a / (one[0] + 1), b / (other[0] + 1)) for a, b in zip(one[1:], other[1:], strict=True)]
    return ((one[0] - other[0]) / whole if whole else 0.0, *((a - b) / (a + b + 1) for a, b in shares))


def lead_columns(style: Sequence[str]) -> list[str]:
    """The columns for the features that the knob `style` names."""
    if unknown := [mark for mark in style if mark not in MARKS]:
        raise RecipeError(f"there is no style {unknown[0]!r}; {did_you_mean(unknown[0], MARKS)}")
    return [f"lead_{mark}" for mark in style]


def scale_leads(leads: np.ndarray, weights: np.ndarray, *, centred: bool = False) -> np.ndarray:
    """Leads divided by their weighted standard deviation, so that coefficients are comparable; a constant column becomes 0.

    Without `centred` a lead of zero stays zero, so equal style has no effect. Arena-Hard's code is `centred`: it subtracts the
    mean lead first, so its scores hold at the mean lead of these models and depend on which models are in the table.
    """
    if not len(leads):
        raise DataError("no battle has a preference: style control has nothing to fit")
    mean = weights @ leads / weights.sum()
    deviation = np.sqrt(weights @ (leads - mean) ** 2 / max(weights.sum() - 1, 1e-12))
    return (leads - mean if centred else leads) / np.where(deviation > 1e-12, deviation, np.inf)

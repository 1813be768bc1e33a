"""Texts compared regardless of case and spacing: lower case, one space between words, none at the ends.

There is one function for a string and one for a column. They differ only on the separators U+001C to U+001F, which Python
counts as white space and polars does not. What needs more or less than this has its own rule: shingles also ignore
punctuation, replies and evolved prompts use `casefold`, and language detection keeps the case.
"""

from typing import TypeVar

import polars as pl

Column = TypeVar("Column", pl.Series, pl.Expr)


def normalise(text: str) -> str:
    """A text in lower case, with single spaces."""
    return " ".join(text.lower().split())


def normalise_column(texts: Column) -> Column:
    """A column of texts in lower case, with single spaces; null stays null."""
    return texts.str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()

"""Texts compared regardless of case and spacing."""

import polars as pl
import pytest

from attar.core.text import normalise, normalise_column

TEXTS = ["", " ", "  Write\ta \n\n POEM. ", "Straße", "ΟΔΟΣ", "a\u00a0b\u3000c", "İstanbul", "don't  stop"]


def test_case_and_spacing_make_no_difference():
    assert normalise(" Write  a\npoem ") == normalise("WRITE a POEM") == "write a poem"


def test_punctuation_makes_a_difference():
    assert normalise("Write a poem.") != normalise("Write a poem")


@pytest.mark.parametrize("text", TEXTS)
def test_a_column_gives_what_a_string_gives(text: str):
    assert normalise_column(pl.Series([text])).to_list() == [normalise(text)]


def test_a_series_and_an_expression_agree_and_null_stays_null():
    table = pl.DataFrame({"text": [*TEXTS, None]})
    series = normalise_column(table["text"])
    assert table.select(normalise_column(pl.col("text")))["text"].equals(series)
    assert series[-1] is None

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.replies import Failure
from attar.stages.evaluate.benchmarks.number_parsing import Number, are_equal, parse_single, to_decimal
from attar.stages.evaluate.benchmarks.number_parsing import numbers as found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1'234'567", "1234567"),
        ("1\u202f234\u00a0567", "1234567"),
        ("12,34,567", "1234567"),
        ("1{,}234", "1234"),
        ("1\\,234", "1234"),
        ("1,234.50", "1234.5"),
        ("1.234,50", "1234.5"),
        ("0,5", "0.5"),
        ("12,75", "12.75"),
        ("0,500", "0.5"),
        (".5", "0.5"),
        ("-$3.10", "-3.1"),
        ("$-3", "-3"),
        ("\u22127", "-7"),
        ("US$5", "5"),
        ("45 %", "45%"),
        ("5 percent", "5%"),
        ("3/4", "0.75"),
        ("1 1/2", "1.5"),
        ("1\u00bd", "1.5"),
        ("-\\frac{3}{4}", "-0.75"),
        ("2\\dfrac13", "7/3"),
        ("2.5 million", "2500000"),
        ("6.02e23", "602" + "0" * 21),
        ("6.02 \u00d7 10^{-3}", "0.00602"),
        ("5\u00b710\u207b\u00b2", "0.05"),
        ("2^10", "1024"),
    ],
)
def test_one_number_is_read_however_it_is_written(text, value):
    assert [str(number) for number in found(f"so {text} it is")] == [value]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("16 - 3 = 13", ["16", "3", "13"]),
        ("from 5-7", ["5", "7"]),
        ("$5-$7", ["5", "7"]),
        ("1,23456,789", ["1", "23456", "789"]),
        ("1,2,3", ["1", "2", "3"]),
        ("12.05.2020", ["12", "5", "2020"]),
        ("3/4/2020", ["3", "4", "2020"]),
        ("1/0", ["1", "0"]),
        ("3 3/2", ["3", "3", "2"]),
        ("H2O and v1.2", []),
        ("the 5th of 12.", ["5", "12"]),
        ("**5** 3", ["5", "3"]),
        ("in 2020 500 came", ["2020", "500"]),
    ],
)
def test_what_is_no_one_number_is_several_or_none(text, values):
    assert [str(number) for number in found(text)] == values


def test_a_separator_that_could_be_either_is_what_the_convention_says():
    assert [str(found(text, ".")[0]) for text in ("1,234", "1.234", "12,5")] == ["1234", "1.234", "12.5"]
    assert [str(found(text, ",")[0]) for text in ("1,234", "1.234", "12.5")] == ["1.234", "1234", "12.5"]


WHOLE = st.integers(-(10**30), 10**30)


@given(WHOLE, st.sampled_from([",", ".", "'", "\u2019", "\u00a0", "\u202f"]))
def test_whole_numbers_are_read_back_with_any_thousands_separator(value, mark):
    convention = "," if mark == "." else "."
    assert found(f"It is {value:,} in all".replace(",", mark), convention) == [Number(Fraction(value))]


@given(WHOLE, st.integers(1, 40), st.sampled_from([("", "."), ("", ","), (",", "."), (".", ","), ("\u202f", ",")]))
def test_decimals_are_read_back_exactly_in_any_convention(value, places, marks):
    value = Fraction(value, 10**places)
    digits = f"{abs(value.numerator * 10**places // value.denominator):0{places + 1}d}"
    whole = f"{int(digits[:-places]):,}".replace(",", marks[0])
    text = "-" * (value < 0) + whole + marks[1] + digits[-places:]
    assert found(text, marks[1]) == [Number(value)]


@given(st.fractions())
def test_fractions_are_read_back_plain_in_latex_and_as_they_are_shown(value):
    top, bottom = value.numerator, value.denominator
    sign = "-" * (top < 0)
    for text in (
        f"{top}/{bottom}",
        f"{sign}\\frac{{{abs(top)}}}{{{bottom}}}",
        f"\\frac{{{top}}}{{{bottom}}}",
        to_decimal(value),
    ):
        assert parse_single(text) == Number(value), text


def test_a_percent_sign_on_one_side_may_mean_either():
    part, hundred, cent = Number(Fraction(9, 20)), Number(Fraction(45)), Number(Fraction(45), percent=True)
    assert are_equal(cent, part)
    assert are_equal(part, cent)
    assert are_equal(cent, hundred)
    assert are_equal(cent, cent)
    assert not are_equal(part, hundred)
    assert not are_equal(Number(Fraction(9, 20), percent=True), cent)


def test_numbers_may_be_apart_as_far_as_is_allowed_and_no_further():
    third, short = Number(Fraction(1, 3)), Number(Fraction("0.33"))
    assert not are_equal(short, third)
    assert are_equal(short, third, tolerance=Fraction(1, 300))
    assert not are_equal(short, third, tolerance=Fraction(1, 301))
    assert are_equal(short, third, relative=Fraction(1, 100))
    assert not are_equal(short, third, relative=Fraction(1, 101))


def test_a_text_that_is_more_than_a_number_is_none():
    for text in ("5 or 6", "2\\sqrt{3}", "x^2", ""):
        assert isinstance(parse_single(text), Failure), text

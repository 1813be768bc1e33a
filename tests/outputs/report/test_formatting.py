"""How figures are written on a report's page."""

import pytest

from attar.outputs.report import formatting


@pytest.mark.parametrize(("share", "points"), [(0.125, "+12.5"), (-0.031, "-3.1"), (0.0, "+0.0"), (-0.0001, "+0.0")])
def test_a_difference_has_its_sign_and_nothing_is_minus_zero(share, points):
    assert formatting.format_points(share) == points


@pytest.mark.parametrize(
    ("value", "how", "written"),
    [
        (0.5, {"share": True}, "50.0%"),
        (0.5, {"share": True, "bare": True}, "50.0"),
        (0.61234, {"share": False}, "0.612"),
        (0.61234, {"share": False, "sign": True}, "+0.612"),
        (-0.0001, {"share": True}, "0.0%"),
    ],
)
def test_agreement_is_a_share_in_percent_and_a_coefficient_as_it_is(value, how, written):
    assert formatting.format_agreement(value, **how) == written


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("-", None),
        ("3", 3.0),
        ("0.123", 0.12345),
        ("-0.5", -0.5),
        ("12,346", 12_345.6),
        ("1,000", 1000),
        ("1,000", 999.6),
        ("12.3", 12.345),
    ],
)
def test_a_number_has_as_many_digits_as_one_reads(written, value):
    assert formatting.format_number(value) == written


@pytest.mark.parametrize(
    ("count", "written"),
    [(0, "0"), (9_999, "9,999"), (25_000, "25K"), (999_999, "1M"), (1_500_000, "1.5M"), (999_999_999, "1B"), (2.34e9, "2.34B")],
)
def test_a_large_count_is_in_thousands_or_millions(count, written):
    assert formatting.format_short_count(count) == written


def test_a_long_text_is_cut_and_its_length_is_given():
    assert formatting.shorten("abc", 3) == "abc"
    assert formatting.shorten("abcdef" * 500, 4) == "abcd ... (3,000 characters)"
    assert formatting.shorten(None) == ""

import pytest

from attar.core.format import format_dollars, format_seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.0 s"), (99.0, "99.0 s"), (120.0, "2.0 min"), (5990.0, "99.8 min"), (7200.0, "2.0 h"), (3.6e7, "10,000.0 h")],
)
def test_a_duration_is_written_in_the_unit_that_fits(seconds, text):
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("dollars", "text"), [(0.0, "$0.00"), (0.0123, "$0.0123"), (0.12, "$0.1200"), (1.0, "$1.00"), (1234.5, "$1,234.50")]
)
def test_parts_of_a_cent_are_written_only_below_one_dollar(dollars, text):
    assert format_dollars(dollars) == text

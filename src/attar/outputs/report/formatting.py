"""How figures are written on a report's page."""

from collections.abc import Callable, Mapping
from typing import Any

from attar.core.format import format_dollars, format_seconds
from attar.outputs.report.arm_scores import ScoreEstimate


def format_percent(share: float) -> str:
    """66.7%."""
    return f"{100 * share:.1f}%"


def format_points(share: float) -> str:
    """A difference of shares, in points with its sign."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"  # no -0.0


def format_interval(figure: ScoreEstimate) -> str:
    """A share's interval."""
    return f"{100 * figure.low:.1f} to {100 * figure.high:.1f}"


def format_signed_interval(figure: ScoreEstimate) -> str:
    """The interval of a difference of shares."""
    return f"{format_points(figure.low)} to {format_points(figure.high)}"


def format_knob(value: Any) -> str:
    """A knob's value; one that was not said is as the recipe has it."""
    return "not said" if value is None else str(value)


def format_agreement(value: float, share: bool, bare: bool = False, sign: bool = False) -> str:
    """A figure of agreement: a share in percent, all else as it is."""
    digits = 1 if share else 3
    number = round(100 * value if share else value, digits) + 0.0  # no -0.0
    return f"{number:{'+' if sign else ''}.{digits}f}{'%' if share and not bare else ''}"


def format_number(value: float | None) -> str:
    """Any number, with as many digits as one reads."""
    if value is None:
        return "-"
    whole = value == int(value) or abs(float(f"{value:.3g}")) >= 1000
    return f"{value:,.0f}" if whole else f"{value:.3g}"


def format_short_count(count: float) -> str:
    """A count by thousands or millions."""
    rounded = float(f"{count:.3g}")  # 999,999 is 1M
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e4, "K")):
        if (count if letter == "K" else rounded) >= size:
            return f"{count / (1e3 if letter == 'K' else size):.3g}{letter}"
    return f"{count:,.0f}"


def readable_name(name: str) -> str:
    """A name that a program gave, as words."""
    return name.removeprefix("figures-").replace("_", " ").replace("-", " ")


def shorten(text: str | None, most: int = 900) -> str:
    """The beginning of a long text, and how long it is."""
    text = text or ""
    return text if len(text) <= most else f"{text[:most]} ... ({len(text):,} characters)"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "percent": format_percent,
    "points": format_points,
    "interval": format_interval,
    "signed_interval": format_signed_interval,
    "duration": format_seconds,
    "knob": format_knob,
    "agreement": format_agreement,
    "number": format_number,
    "short_count": format_short_count,
    "dollars": format_dollars,
    "readable": readable_name,
    "shorten": shorten,
}
"""What the report's templates call them."""

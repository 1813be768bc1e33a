"""How figures are written on a report's page."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attar.report.arms import Figure


def percent(share: float) -> str:
    """66.7%."""
    return f"{100 * share:.1f}%"


def points(share: float) -> str:
    """A difference of shares, in points with its sign."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"  # no -0.0


def between(figure: Figure) -> str:
    """A share's interval."""
    return f"{100 * figure.low:.1f} to {100 * figure.high:.1f}"


def signed(figure: Figure) -> str:
    """The interval of a difference of shares."""
    return f"{points(figure.low)} to {points(figure.high)}"


def within(share: float) -> float:
    """What of a share fits between 0 and 100%: an interval over few runs may go beyond."""
    return round(min(1.0, max(0.0, share)), 4)


def places(line: Sequence[tuple[float, float]]) -> str:
    """Places as SVG has them."""
    return " ".join(f"{x:g},{y:g}" for x, y in line)


def took(seconds: float) -> str:
    """Seconds, minutes or hours."""
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def known(value: Any) -> str:
    """A knob's value; one that was not said is as the recipe has it."""
    return "not said" if value is None else str(value)


def measured(value: float, share: bool, bare: bool = False, sign: bool = False) -> str:
    """A figure of agreement: a share in percent, all else as it is."""
    digits = 1 if share else 3
    number = round(100 * value if share else value, digits) + 0.0  # no -0.0
    return f"{number:{'+' if sign else ''}.{digits}f}{'%' if share and not bare else ''}"


FILTERS: Mapping[str, Callable[..., Any]] = {
    filter_.__name__: filter_ for filter_ in (percent, points, between, signed, within, places, took, known, measured)
}

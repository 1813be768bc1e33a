"""Accuracy by round as a drawing: where every point, band and label of the curve lies.

Arms named round-1, round-2 and on are its points; a few other arms are level lines to compare with. The scale runs from 0 to
100%, so that equal heights mean equal accuracies in every report.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attar.report.arms import Arm

FRAME = {"left": 48.0, "top": 14.0, "wide": 440.0, "high": 300.0}
"""Where the scale lies in the drawing."""
_LEAST = 3
"""Fewer rounds are no curve."""
_LINES = 3
"""More other arms are no help to the eye."""
MARGIN = 24.0
"""Room for labels on both sides of the points."""
_APART = 16.0
"""Labels beside each other's lines stand so far apart at least."""

Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Point:
    """A round: its place, where its interval ends, and its arm."""

    at: Place
    low: float
    high: float
    number: int
    arm: Arm


@dataclass(frozen=True, slots=True)
class Level:
    """An arm that is no round: the height of its line, and of its label."""

    height: float
    label: float
    arm: Arm


@dataclass(frozen=True, slots=True)
class Curve:
    """All that is drawn; `runs` holds each run's own places where there are several."""

    points: Sequence[Point]
    runs: Sequence[Sequence[Place]]
    levels: Sequence[Level]

    @property
    def line(self) -> list[Place]:
        """The places of the rounds."""
        return [point.at for point in self.points]

    @property
    def band(self) -> list[Place]:
        """The outline of the intervals: out along their upper ends, back along the lower ones."""
        out = [(point.at[0], point.high) for point in self.points]
        return out + [(point.at[0], point.low) for point in reversed(self.points)]


def height(share: float) -> float:
    """How far down a share lies: 100% at the top; what an interval has beyond 0 and 100% is cut off."""
    return round(FRAME["top"] + FRAME["high"] * (1 - min(1.0, max(0.0, share))), 1)


def rounds(arms: Sequence[Arm]) -> Mapping[int, Arm]:
    """The arms that are rounds, by number."""
    numbered = {int(found[1]): arm for arm in arms if (found := re.fullmatch(r"round-(\d+)", arm.name))}
    return dict(sorted(numbered.items()))


def curve(arms: Sequence[Arm]) -> Curve | None:
    """The curve of the arms that are rounds; None of fewer than three."""
    found = rounds(arms)
    if len(found) < _LEAST:
        return None
    first, last = min(found), max(found)
    step = (FRAME["wide"] - 2 * MARGIN) / (last - first)
    along = {number: round(FRAME["left"] + MARGIN + step * (number - first), 1) for number in found}
    points = []
    for number, arm in found.items():
        value = arm.accuracy
        points.append(Point((along[number], height(value.value)), height(value.low), height(value.high), number, arm))
    several = range(count) if (count := len(points[0].arm.accuracy.runs)) > 1 else ()
    runs = [[(along[number], height(arm.accuracy.runs[run])) for number, arm in found.items()] for run in several]
    return Curve(points, runs, _levels([arm for arm in arms if arm not in found.values()]))


def in_bars(arms: Sequence[Arm]) -> list[Arm]:
    """The arms for the bar chart: of rounds that are a curve only the last."""
    found = rounds(arms)
    drawn = list(found.values())[:-1] if len(found) >= _LEAST else []
    return [arm for arm in arms if arm not in drawn]


def _levels(arms: Sequence[Arm]) -> list[Level]:
    """Lines from the top down, each label pushed below the one before where they would overlap."""
    if len(arms) > _LINES:
        return []
    out: list[Level] = []
    for arm in sorted(arms, key=lambda arm: -arm.accuracy.value):
        line = height(arm.accuracy.value)
        out.append(Level(line, max(line, out[-1].label + _APART) if out else line, arm))
    return out

"""How many requests a server is sent at once, found by trying: more while more comes back, fewer when it pushes back.

A window is as many replies as may be in flight, or four times that. Doubling goes on while it pays; then the level is tried a
little up and a little down for ever, since a self-hosted server never says that it is full: its replies only take longer.
"""

import time
from collections.abc import Callable
from math import inf, sqrt

_PAYS = 1.2
"""What doubling must bring to be done again."""
_LEAST = 4
_BORNE = 0.1
"""The share of pushing back that is borne: those tries are made again, and a server's bad day is not its limit."""
_UP = 0.3
"""What of a small step up must show in the rate for it to be kept."""


class Pace:
    """The level, and what it learns from each reply."""

    def __init__(self, start: int = 32, most: int = 2048, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self.most, self._clock = min(start, most), most, clock
        self._growing, self._doubts, self._step, self._held = True, 0, 0.1, False
        self._rate, self._before, self._ceiling, self._cut = 0.0, self.limit, inf, -inf
        self._open()

    def _open(self) -> None:
        self._since, self._work, self._count, self._pushed, self._idle = self._clock(), 0.0, 0, 0, 0

    def finished(self, in_flight: int, work: float = 1.0) -> None:
        """A reply came, worth so much work, while so many were in flight."""
        self._count += 1
        self._work += work
        self._idle += in_flight < 0.9 * self.limit
        self._close_window()

    def pushed_back(self, began: float) -> None:
        """The server had too much (429, 503, a time-out) for a request that was sent at this time."""
        if began <= self._cut:  # sent before the level was last lowered
            return
        self._count += 1
        self._pushed += 1
        self._close_window()

    def _close_window(self) -> None:
        size = max(32, self.limit if self._growing else 4 * self.limit)
        swamped = self._pushed > max(4, self.limit // 2) and self._pushed > self._count // 2
        if not swamped and (self._count < size or self._clock() - self._since < 0.1):
            return
        borne = _BORNE * self._count
        if self._growing and not self._doubts and borne < self._pushed <= self._count // 2:
            self._doubts = 1  # a chance cluster looks the same: look again
        elif self._pushed > borne + 2 * sqrt(borne):  # more than chance would bring
            self._ceiling, self._cut = 0.9 * self.limit, self._clock()
            self._move(self.limit * (1 - 0.5 * self._pushed / self._count))
            self._growing, self._rate, self._held, self._step = False, 0.0, False, 0.3
        elif self._idle < 0.5 * self._count:  # else there was not enough to ask to tell anything
            self._learn(self._work / max(1e-9, self._clock() - self._since))
        self._open()

    def _learn(self, rate: float) -> None:
        if self._growing:
            self._grow(rate)
        elif not self._held:  # measure the level as it is, then try another
            self._rate, self._before, self._held = rate, self.limit, True
            self._move(self._higher() if self._step > 0 else self.limit / 1.1)
        else:
            self._held = False
            if self._step > 0 and rate >= self._rate * (1 + _UP * (self.limit / self._before - 1)):
                self._step = min(1.0, 2 * self._step)
            elif self._step > 0 or rate < self._rate:
                self._move(self._before)
                self._step = -0.1 if self._step > 0 else 0.1

    def _higher(self) -> float:
        """A level to try; a small step where the server has pushed back before."""
        reach = min(self.limit * (1 + self._step) + 1, max(1.05 * self.limit + 1, self._ceiling))
        self._ceiling = max(self._ceiling, reach)
        return reach

    def _grow(self, rate: float) -> None:
        if rate > _PAYS * self._rate:
            self._rate, self._before, self._doubts = rate, self.limit, 0
            self._move(2 * self.limit)
            self._growing = self.limit > self._before
        elif self._doubts:
            self._move(self._before)
            self._growing = False
        else:  # a hiccup of either machine looks the same: look again
            self._doubts = 1

    def _move(self, limit: float) -> None:
        self.limit = min(self.most, max(_LEAST, int(limit)))


class Cap:
    """So many a minute and no more, evenly: when the next may go."""

    def __init__(self, per_minute: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._each = 60 / per_minute if per_minute else 0.0
        self._clock, self._free = clock, clock()

    def take(self, amount: float = 1.0) -> float:
        """Take an amount; the seconds to wait before it may be used. A negative amount gives back."""
        now = self._clock()
        wait = max(0.0, self._free - now)
        self._free = max(self._free, now) + amount * self._each
        return wait

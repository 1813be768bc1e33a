"""Adaptive concurrency by hill climbing: raise the number of requests in flight while throughput rises, lower it on pushback.

Throughput is measured over windows: one reply per allowed request while the limit doubles, four afterwards. Doubling stops when
it no longer pays. Then the limit is probed a little up and down for ever, because a self-hosted server never reports that it is
full: its replies only take longer.
"""

import time
from collections.abc import Callable
from enum import Enum
from math import inf, sqrt

_DOUBLING_GAIN = 1.2
"""Doubling goes on while a window's rate is at least this many times the last one's."""
_LEAST_LIMIT = 4
_TOLERATED_PUSHBACK = 0.1
"""This share of refused requests is normal: they are retried, and a server's bad day is not its capacity."""
_PROBE_GAIN = 0.3
"""A step up is kept if the rate grows by at least this share of the step."""


class _State(Enum):
    """What the current window decides."""

    DOUBLING = "doubling"
    DOUBTING = "doubling, but the last window did not confirm it: one more window decides"
    MEASURING = "measuring the rate at the current limit"
    PROBING = "measuring the rate at another limit, to compare"


class ConcurrencyLimit:
    """The number of requests that may be in flight, adjusted with each window of replies."""

    def __init__(self, start: int = 32, most: int = 2048, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = min(start, most)
        self.most = most
        self._clock = clock
        self._state = _State.DOUBLING
        self._step = 0.1
        """The next probe's relative size; positive is up, negative is down."""
        self._base_rate = 0.0
        """Work per second at the limit that the next one is compared with."""
        self._base_limit = self.limit
        self._ceiling = inf
        """Above it only small steps are probed: the server pushed back there."""
        self._lowered_at = -inf
        self._open_window()

    def _open_window(self) -> None:
        self._opened_at = self._clock()
        self._work = 0.0
        self._count = 0
        self._refused = 0
        self._idle = 0

    def count_reply(self, in_flight: int, work: float = 1.0) -> None:
        """Count a reply worth `work`; `in_flight` requests were under way when it was sent."""
        self._count += 1
        self._work += work
        self._idle += in_flight < 0.9 * self.limit
        self._close_window()

    def count_pushback(self, sent_at: float) -> None:
        """Count an overload (429, 503, a time-out) of a request that was sent at this time."""
        if sent_at <= self._lowered_at:  # the limit was lowered since
            return
        self._count += 1
        self._refused += 1
        self._close_window()

    def _close_window(self) -> None:
        """At the end of a window, adjust the limit and open the next."""
        doubling = self._state in (_State.DOUBLING, _State.DOUBTING)
        size = max(32, self.limit if doubling else 4 * self.limit)
        swamped = self._refused > max(4, self.limit // 2) and self._refused > self._count // 2
        if not swamped and (self._count < size or self._clock() - self._opened_at < 0.1):
            return
        tolerated = _TOLERATED_PUSHBACK * self._count
        if self._state is _State.DOUBLING and tolerated < self._refused <= self._count // 2:
            self._state = _State.DOUBTING  # may be a random cluster: look again
        elif self._refused > tolerated + 2 * sqrt(tolerated):  # two standard deviations above what is tolerated
            self._back_off()
        elif self._idle < 0.5 * self._count:  # else there were too few requests to fill the limit, and the rate says nothing
            self._compare(self._work / max(1e-9, self._clock() - self._opened_at))
        self._open_window()

    def _back_off(self) -> None:
        """Lower the limit by half the share of refused requests, and start to measure from there."""
        self._ceiling = 0.9 * self.limit
        self._lowered_at = self._clock()
        self._set_limit(self.limit * (1 - 0.5 * self._refused / self._count))
        self._state = _State.MEASURING
        self._base_rate = 0.0
        self._step = 0.3

    def _compare(self, rate: float) -> None:
        """Use a window's rate: go on doubling, start a probe, or judge one."""
        if self._state is _State.MEASURING:
            self._state = _State.PROBING
            self._base_rate = rate
            self._base_limit = self.limit
            self._set_limit(self._next_higher() if self._step > 0 else self.limit / 1.1)
        elif self._state is _State.PROBING:
            self._state = _State.MEASURING
            self._judge_probe(rate)
        else:
            self._double(rate)

    def _judge_probe(self, rate: float) -> None:
        """Keep a step up that pays and a step down that costs nothing; else go back and probe the other way."""
        went_up = self._step > 0
        if went_up and rate >= self._base_rate * (1 + _PROBE_GAIN * (self.limit / self._base_limit - 1)):
            self._step = min(1.0, 2 * self._step)
        elif went_up or rate < self._base_rate:
            self._set_limit(self._base_limit)
            self._step = -0.1 if went_up else 0.1

    def _next_higher(self) -> float:
        """The limit to probe; a small step where the server pushed back before."""
        target = min(self.limit * (1 + self._step) + 1, max(1.05 * self.limit + 1, self._ceiling))
        self._ceiling = max(self._ceiling, target)
        return target

    def _double(self, rate: float) -> None:
        """Double again if the last doubling paid; give it a second window before going back."""
        if rate > _DOUBLING_GAIN * self._base_rate:
            self._base_rate = rate
            self._base_limit = self.limit
            self._set_limit(2 * self.limit)
            self._state = _State.DOUBLING if self.limit > self._base_limit else _State.MEASURING
        elif self._state is _State.DOUBTING:
            self._set_limit(self._base_limit)
            self._state = _State.MEASURING
        else:  # may be a hiccup of either machine: look again
            self._state = _State.DOUBTING

    def _set_limit(self, limit: float) -> None:
        self.limit = min(self.most, max(_LEAST_LIMIT, int(limit)))


class RateLimit:
    """A rate per minute, spread evenly: how long each request has to wait."""

    def __init__(self, per_minute: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds_each = 60 / per_minute if per_minute else 0.0
        self._clock = clock
        self._free_at = clock()

    def take(self, amount: float = 1.0) -> float:
        """Take an amount; returns the seconds to wait before using it. A negative amount gives back."""
        now = self._clock()
        wait = max(0.0, self._free_at - now)
        self._free_at = max(self._free_at, now) + amount * self._seconds_each
        return wait

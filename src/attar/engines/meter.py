"""A run's usage (replies, tokens, cost, hours), counted by step and engine, and the limits that stop it.

The counts continue those of the run's earlier tries, which the journal keeps. For a limit, requests in flight count at the mean
cost so far, so that stopping does not overshoot; they are still completed and kept.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt

from attar.engines.base import Reply, Spec
from attar.engines.prices import Price, price_of


@dataclass(slots=True)
class Usage:
    """Counts of replies, tokens, cost and time."""

    asked: int = 0
    recalled: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    def add(self, other: "Usage") -> None:
        """Add other counts to these."""
        self.asked += other.asked
        self.recalled += other.recalled
        self.failed += other.failed
        self.tokens_in += other.tokens_in
        self.tokens_out += other.tokens_out
        self.cost += other.cost
        self.seconds += other.seconds

    @property
    def tokens(self) -> int:
        """All tokens, in and out."""
        return self.tokens_in + self.tokens_out


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the total usage of a run, including its earlier tries."""

    cost: Annotated[float, Gt(0)] | None = None
    hours: Annotated[float, Gt(0)] | None = None
    tokens: Annotated[int, Gt(0)] | None = None


NO_LIMITS = Limits()


class Meter:
    """The usage of one run. `note` is called with each change, its step and its engine, to store it."""

    def __init__(
        self,
        limits: Limits = NO_LIMITS,
        before: Usage | None = None,
        note: Callable[[str, str, Usage], None] = lambda step, engine, spent: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.total = before or Usage()
        """Usage of the run, including its earlier tries."""
        self.now = Usage()
        """Usage since `open`."""
        self._note = note
        self._clock = clock
        self._in_flight = 0
        self._stop_reason = ""
        self._step = ""
        self._engine = ""
        self._price: Price | None = None
        self._last = clock()
        self._lock = threading.Lock()

    def open(self, step: str, spec: Spec | None) -> None:
        """Count under this step and engine from now on."""
        self._spend(Usage())
        with self._lock:
            self._step = step
            self._engine = spec.model if spec else ""
            self.now = Usage()
            self._price = price_of(spec) if spec else None

    @property
    def price(self) -> Price | None:
        """The price of the current engine; None if unknown."""
        return self._price

    def count_sent(self) -> None:
        """Count a request that is sent."""
        with self._lock:
            self._in_flight += 1

    def count_reply(self, reply: Reply) -> None:
        """Count the reply to a request that was sent."""
        cost = self._price.of(reply.tokens_in, reply.tokens_out) if self._price else 0.0
        with self._lock:
            self._in_flight -= 1
        self._spend(Usage(1, 0, int(reply.error is not None), reply.tokens_in, reply.tokens_out, cost))

    def count_dropped(self, count: int) -> None:
        """Count `count` requests that were given up without a reply."""
        with self._lock:
            self._in_flight -= count

    def count_recalled(self, count: int = 1) -> None:
        """Count replies from the journal, or from an equal request of another thread."""
        self._spend(Usage(recalled=count))

    def _spend(self, spent: Usage) -> None:
        with self._lock:
            now = self._clock()
            spent.seconds = now - self._last
            self._last = now
            if self._price and self._price.hour and (self._in_flight or spent.asked):
                spent.cost += self._price.hour * spent.seconds / 3600
            self.now.add(spent)
            self.total.add(spent)
            self._note(self._step, self._engine, spent)

    @property
    def limits_requests(self) -> bool:
        """True if a limit depends on the number of requests: one on cost or tokens."""
        return self.limits.cost is not None or self.limits.tokens is not None

    def stop(self, reason: str) -> None:
        """Send no more requests; the first reason is kept."""
        self._stop_reason = self._stop_reason or reason

    def stop_reason(self) -> str:
        """Why no more requests may be sent; empty while they may."""
        if self._stop_reason:
            return self._stop_reason
        limits, total = self.limits, self.total
        pending = self._in_flight / self.now.asked if self.now.asked else 0.0  # as a share of the replies so far
        if limits.cost is not None and total.cost + self.now.cost * pending >= limits.cost:
            self.stop(f"the run's limit of {limits.cost:g} in cost is reached")
        elif limits.tokens is not None and total.tokens + self.now.tokens * pending >= limits.tokens:
            self.stop(f"the run's limit of {limits.tokens:,} tokens is reached")
        elif limits.hours is not None and total.seconds + self._clock() - self._last >= 3600 * limits.hours:
            self.stop(f"the run's limit of {limits.hours:g} hours is reached")
        return self._stop_reason

    def summary(self) -> str:
        """The usage of the run so far, as text."""
        total = self.total
        return f"{total.cost:.4f} in cost, {total.tokens:,} tokens, {total.seconds / 3600:.2f} hours"

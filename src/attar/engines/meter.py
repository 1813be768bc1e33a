"""What a run has spent, and when it must stop: replies, tokens, money and hours, counted by step and engine.

The counts of a run go on from those of its earlier tries, which the journal keeps. A limit counts what is under way at the mean
price so far, so that stopping does not overshoot; what is under way is let finish and kept.
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
    """Counts of replies and of what they took."""

    asked: int = 0
    recalled: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    def add(self, other: "Usage") -> None:
        """Add another's counts to these."""
        self.asked += other.asked
        self.recalled += other.recalled
        self.failed += other.failed
        self.tokens_in += other.tokens_in
        self.tokens_out += other.tokens_out
        self.cost += other.cost
        self.seconds += other.seconds

    @property
    def tokens(self) -> int:
        """All tokens, read and written."""
        return self.tokens_in + self.tokens_out


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may take in all, its earlier tries counted in."""

    cost: Annotated[float, Gt(0)] | None = None
    hours: Annotated[float, Gt(0)] | None = None
    tokens: Annotated[int, Gt(0)] | None = None


NO_LIMITS = Limits()


class Meter:
    """Counts for one run. `note` is told each change under its step and engine, to keep it."""

    def __init__(
        self,
        limits: Limits = NO_LIMITS,
        before: Usage | None = None,
        note: Callable[[str, str, Usage], None] = lambda step, engine, spent: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits, self.total, self._note, self._clock = limits, before or Usage(), note, clock
        self.now, self._under_way, self._stopped = Usage(), 0, ""
        self._step, self._engine, self._price = "", "", None
        self._last, self._lock = clock(), threading.Lock()

    def open(self, step: str, spec: Spec | None) -> None:
        """From here on all is counted under this step and engine."""
        self._spend(Usage())
        with self._lock:
            self._step, self._engine, self.now = step, spec.model if spec else "", Usage()
            self._price = price_of(spec) if spec else None

    @property
    def price(self) -> Price | None:
        """What the engine at work costs; None where nobody has said."""
        return self._price

    def asks(self) -> None:
        """A request goes out."""
        with self._lock:
            self._under_way += 1

    def answered(self, reply: Reply) -> None:
        """Its reply came."""
        cost = self._price.of(reply.tokens_in, reply.tokens_out) if self._price else 0.0
        with self._lock:
            self._under_way -= 1
        self._spend(Usage(1, 0, int(reply.error is not None), reply.tokens_in, reply.tokens_out, cost))

    def dropped(self, count: int) -> None:
        """So many requests were given up unanswered."""
        with self._lock:
            self._under_way -= count

    def recalled(self, count: int = 1) -> None:
        """The journal knew the reply, or somebody else was asking for it."""
        self._spend(Usage(recalled=count))

    def _spend(self, spent: Usage) -> None:
        with self._lock:
            now = self._clock()
            spent.seconds, self._last = now - self._last, now
            if self._price and self._price.hour and (self._under_way or spent.asked):
                spent.cost += self._price.hour * spent.seconds / 3600
            self.now.add(spent)
            self.total.add(spent)
            self._note(self._step, self._engine, spent)

    @property
    def limited(self) -> bool:
        """Whether each request counts."""
        return self.limits.cost is not None or self.limits.tokens is not None

    def stop(self, reason: str) -> None:
        """Nothing more is to be asked."""
        self._stopped = self._stopped or reason

    def full(self) -> str:
        """Why nothing more may be asked; empty while more may."""
        if self._stopped:
            return self._stopped
        limits, total = self.limits, self.total
        under_way = self._under_way / self.now.asked if self.now.asked else 0.0
        if limits.cost is not None and total.cost + self.now.cost * under_way >= limits.cost:
            self.stop(f"the run's limit of {limits.cost:g} in cost is reached")
        elif limits.tokens is not None and total.tokens + self.now.tokens * under_way >= limits.tokens:
            self.stop(f"the run's limit of {limits.tokens:,} tokens is reached")
        elif limits.hours is not None and total.seconds + self._clock() - self._last >= 3600 * limits.hours:
            self.stop(f"the run's limit of {limits.hours:g} hours is reached")
        return self._stopped

    def summary(self) -> str:
        """The usage of the run so far, as text."""
        total = self.total
        return f"{total.cost:.4f} in cost, {total.tokens:,} tokens, {total.seconds / 3600:.2f} hours"

"""The rows and failures of a step so far, the limits on failures, and the card that a complete step leaves."""

import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from attar.core.errors import ReplyError
from attar.core.reasons import CUT_OFF
from attar.engines.base import Spec
from attar.engines.meter import Usage
from attar.engines.prices import price_of
from attar.runtime.executor import SpanResult
from attar.runtime.flow import Step

_LEAST_ROWS = 20
"""From this many rows on the limits count."""


@dataclass(frozen=True, slots=True)
class FailureLimits:
    """The largest shares of a step's rows that may be truncated, and that may fail for other reasons."""

    failed: float = 1.0
    truncated: float = 1.0
    tokens: str = ""
    """The step's knobs that limit tokens, for the message."""


def failure_limits(step: Step, failed: float, truncated: float) -> FailureLimits:
    """The limits of a step."""
    knobs = [f"{name}: {value}" for name, value in step.knobs.items() if name.endswith("tokens") and value is not None]
    return FailureLimits(failed, truncated, f" ({', '.join(knobs)})" if knobs else "")


class Tally:
    """Rows and failures of a step so far; raises when too large a share of them failed, or was cut off."""

    def __init__(self, limits: FailureLimits | None = None, rows: int = 0) -> None:
        self.limits = limits or FailureLimits()
        self.rows = rows
        self.failed = 0
        self.transient = 0
        self.errors: Counter[str] = Counter()

    def accept(self, done: SpanResult) -> None:
        """Add the counts of one span of rows."""
        rows, failed = self.rows + done.rows, self.failed + done.failed
        errors = self.errors + done.errors
        if rows >= _LEAST_ROWS:
            self._check(rows, failed, errors)
        self.rows = rows
        self.failed = failed
        self.transient += done.transient
        self.errors = errors

    def _check(self, rows: int, failed: int, errors: Counter[str]) -> None:
        """Raise if more rows were truncated, or failed for other reasons, than the run allows."""
        others = Counter({reason: count for reason, count in errors.items() if not reason.endswith(CUT_OFF)})
        truncated = min(failed, errors.total() - others.total())
        if truncated > self.limits.truncated * rows:
            raise ReplyError(
                f"{truncated} of {rows} rows were cut off at their token limit{self.limits.tokens}, more than the "
                f"{self.limits.truncated:.0%} allowed. Replies so far are kept: raise the token limit, or max_truncated "
                "(under `run:`), and run again"
            )
        if failed - truncated > self.limits.failed * rows:
            worst = "; ".join(f"{reason} ({count})" for reason, count in others.most_common(3))
            raise ReplyError(
                f"{failed - truncated} of {rows} rows failed, more than the {self.limits.failed:.0%} allowed: {worst}. "
                "Replies so far are kept: fix the cause, or raise max_failures (under `run:`), and run again"
            )


def make_card(
    step: Step, tally: Tally, seconds: float, *, spec: Spec | None = None, now: Usage | None = None, spent: Usage | None = None
) -> dict[str, Any]:
    """A step's card: `asked`, `recalled` and the tokens are of its last try (`now`); `spent` and `cost` of all tries."""
    now = now or Usage()
    return {
        "stage": step.title,
        "fingerprint": step.fingerprint,
        "inputs": [before.folder for before in step.inputs],
        "engine": {"kind": spec.kind, "model": spec.model, "options": dict(spec.options)} if spec else None,
        "knobs": dict(step.knobs),
        "rows": tally.rows,
        "failed": tally.failed,
        "transient": tally.transient,
        "errors": dict(tally.errors.most_common(20)),
        **{name: getattr(now, name) for name in ("asked", "recalled", "tokens_in", "tokens_out")},
        "cost": round(spent.cost, 6) if spent and spec and price_of(spec) else None,
        "spent": asdict(spent) if spent else {},
        "seconds": round(seconds, 2),
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }

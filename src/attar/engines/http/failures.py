"""Failures of a server and what they lead to: retry, fail the row, or stop the run.

An error caused by the row itself (400) fails that row at once. An error that every row would meet (a wrong key, a missing
model, no credit) is raised as an EngineError. Anything else is retried later: exponential backoff with full jitter, never
before Retry-After.
"""

import asyncio
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from random import Random

import aiohttp

from attar.core.errors import EngineError
from attar.core.replies import replace_surrogates

RETRIED = {408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529}
"""Statuses of failures that may pass."""
_OVERLOAD = {429, 503, 529}
_NO_CREDIT = (
    "insufficient_quota",
    "billing_hard_limit",
    "credit_balance_exhausted",
    "spend_limit_exceeded",
    "organization_usage_limit_exceeded",
)
_EMPTY_ACCOUNT = "your credit balance is too low"
"""How Anthropic's error begins, with status 400."""
_LIMIT_HEADERS = [
    *((f"x-ratelimit-remaining-{what}", f"x-ratelimit-reset-{what}") for what in ("requests", "tokens")),
    *(
        (f"anthropic-ratelimit-{what}-remaining", f"anthropic-ratelimit-{what}-reset")
        for what in ("requests", "tokens", "input-tokens", "output-tokens")
    ),
]
"""Rate-limit headers that come with each reply: what remains, and the time until it is reset."""
_UNITS = {"us": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(eq=False)
class FailedTry(Exception):  # noqa: N818 (an outcome, handled far from where it is raised)
    """One failed try: its kind for the tally, its reason for the row, and whether another try may help."""

    kind: str
    reason: str
    retry: bool = True
    overloaded: bool = False
    """The server is overloaded: lower the concurrency."""
    pushback: bool = False
    """The server says so itself (429, 503, 529): it passes, and is waited out."""
    retry_after: float | None = None
    """Seconds to wait before the next request, from the server's headers."""
    unreachable: bool = False
    """The server cannot be reached at all: no try of this request is used up."""

    def __str__(self) -> str:
        return self.reason


def from_status(status: int, headers: Mapping[str, str], body: bytes, asked: str) -> FailedTry:
    """The failure that a status other than 200 means; raises if every row would fail alike."""
    message = error_message(body)
    if _has_no_credit(status, body, message):
        raise EngineError(f"{asked}: the account has no money left ({status}: {message})")
    if status in (401, 403):
        raise EngineError(f"{asked}: the server refuses this API key ({status}: {message})")
    if status in (404, 405, 501):
        raise EngineError(f"{asked}: the server has no such model or endpoint ({status}: {message})")
    if 300 <= status < 400:
        raise EngineError(f"{asked}: the server redirects to {headers.get('Location', 'nowhere')}; use that url")
    if status in RETRIED:
        busy = status in _OVERLOAD
        kind = "rate limit" if status == 429 else "overload" if busy else "server error"
        wait = _retry_delay(body) if (delay := retry_after(headers)) is None else delay
        return FailedTry(kind, f"{status}: {message}", overloaded=busy, pushback=busy, retry_after=wait)
    return FailedTry("refused", f"{status}: {message}", retry=False)


def _has_no_credit(status: int, body: bytes, message: str) -> bool:
    if status == 429:
        return any(code in body.decode(errors="replace").lower() for code in _NO_CREDIT)
    return status == 402 or (status == 400 and message.lower().startswith(_EMPTY_ACCOUNT))


def from_exception(error: Exception, asked: str) -> FailedTry:
    """The failure that a broken connection means; raises if no retry can help."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        inner = error.certificate_error
        why = getattr(inner, "verify_message", "") or inner
        raise EngineError(
            f"{asked}: the server's certificate cannot be verified ({why}); name your own certificate authority with `ca`"
        )
    if isinstance(error, aiohttp.ClientSSLError):
        raise EngineError(f"{asked}: no secure connection ({error.os_error.strerror or error}); is it http, not https?")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return FailedTry("unreachable", f"the name {error.host} cannot be resolved", unreachable=True)
    if isinstance(error, aiohttp.ClientConnectorError):
        why = os.strerror(error.os_error.errno) if error.os_error.errno else "no connection"
        return FailedTry("unreachable", f"nothing answers on {error.host}:{error.port} ({why.lower()})", unreachable=True)
    if isinstance(error, asyncio.TimeoutError):
        return FailedTry("time-out", "no complete reply within the time-out", overloaded=True)
    if isinstance(error, aiohttp.ClientPayloadError):
        return FailedTry("cut-off body", "the reply's body broke off")
    return FailedTry("connection lost", f"the connection was lost ({type(error).__name__})")


def error_message(body: bytes) -> str:
    """The message in an error body of any form, shortened to one line."""
    text = body[:4000].decode(errors="replace")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = text
    for key in ("error", "message", "detail", "msg"):
        while isinstance(value, dict) and key in value:
            value = value[key]
    if not isinstance(value, str):
        value = json.dumps(value)
    return replace_surrogates(" ".join(value.split())[:300]) or "no reason given"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait from a reply's headers: Retry-After, or the reset of a used-up rate limit."""
    if (after := parse_seconds(headers.get("retry-after-ms", ""), unit="ms")) is not None:
        return after
    if (after := parse_seconds(headers.get("Retry-After", ""))) is not None:
        return after
    return limit_reset(headers)


def _retry_delay(body: bytes) -> float | None:
    """Seconds to wait from an error's body, where Gemini's API has them."""
    found = re.search(rb'"retryDelay"\s*:\s*"([0-9.]{1,20}s)"', body[:8000])
    return parse_seconds(found[1].decode()) if found else None


def limit_reset(headers: Mapping[str, str]) -> float | None:
    """Seconds until a used-up rate limit is reset; None if none is used up."""
    waits = [parse_seconds(headers.get(reset, "")) for left, reset in _LIMIT_HEADERS if headers.get(left) == "0"]
    return max((wait for wait in waits if wait is not None), default=None) if waits else None


def parse_seconds(text: str, unit: str = "s") -> float | None:
    """`20`, `1.5s`, `6m0s`, `120ms`, an HTTP date or an ISO date and time as seconds; None for anything else."""
    if text.endswith("GMT"):
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except ValueError:
            return None
    if re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)", text):
        try:
            return max(0.0, datetime.fromisoformat(text).timestamp() - time.time())
        except ValueError:
            return None
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text) * _UNITS[unit]
    if not re.fullmatch(r"(\d+(\.\d+)?(us|ms|s|m|h|d))+", text):
        return None
    return sum(float(number) * _UNITS[unit] for number, _, unit in re.findall(r"(\d+(\.\d+)?)(us|ms|s|m|h|d)", text))


def retry_delay(attempt: int, failure: FailedTry, dice: Random) -> float:
    """Seconds before the next try: random up to an exponentially growing bound, on top of what the server asks for."""
    first, most = (0.5, 60.0) if failure.overloaded else (0.1, 10.0)
    return (failure.retry_after or 0.0) + dice.uniform(0, min(most, first * 2**attempt))

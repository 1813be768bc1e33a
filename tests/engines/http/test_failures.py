import json
import socket
import string
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from types import SimpleNamespace

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from attar.core.errors import EngineError
from attar.engines.http.failures import (
    FailedTry,
    error_message,
    from_exception,
    from_status,
    parse_seconds,
    retry_after,
    retry_delay,
)

SAID = b'{"error": {"message": "because"}}'


def status(code, body=SAID, **headers):
    return from_status(code, CIMultiDict(headers), body, "http engine m at http://h/v1")


@pytest.mark.parametrize("code", [400, 413, 422])
def test_a_row_s_own_fault_is_not_tried_again(code):
    mishap = status(code)
    assert (mishap.reason, mishap.retry, mishap.overloaded) == (f"{code}: because", False, False)


@pytest.mark.parametrize("code", [408, 500, 502, 504, 520, 524])
def test_a_server_s_fault_is_tried_again(code):
    mishap = status(code)
    assert (mishap.kind, mishap.retry, mishap.overloaded, mishap.retry_after) == ("server error", True, False, None)


@pytest.mark.parametrize(("code", "kind"), [(429, "rate limit"), (503, "overload"), (529, "overload")])
def test_too_much_asked_is_tried_again_with_fewer_at_once(code, kind):
    mishap = status(code)
    assert (mishap.kind, mishap.retry, mishap.overloaded) == (kind, True, True)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (401, "refuses this API key"),
        (403, "refuses this API key"),
        (402, "no money left"),
        (404, "no such model or endpoint"),
        (405, "no such model or endpoint"),
        (501, "no such model or endpoint"),
    ],
)
def test_what_any_row_would_meet_stops_the_run_and_says_where(code, why):
    with pytest.raises(EngineError, match=rf"^http engine m at http://h/v1: .*{why} \({code}: because\)$"):
        status(code)


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_stops_the_run_and_says_where_to(code):
    with pytest.raises(EngineError, match="redirects to https://elsewhere/v1; use that url"):
        status(code, b"", Location="https://elsewhere/v1")


@pytest.mark.parametrize("sign", ["insufficient_quota", "billing_hard_limit_reached", "INSUFFICIENT_QUOTA"])
def test_an_empty_purse_is_no_rate_limit(sign):
    body = json.dumps({"error": {"message": "You exceeded your current quota", "code": sign}}).encode()
    with pytest.raises(EngineError, match=r"no money left .*429: You exceeded your current quota"):
        status(429, body)
    assert status(500, body).retry


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"message": "No  such\\nthing", "type": "x", "code": 7}}', "No such thing"),
        (b'{"object": "error", "message": "too long", "code": 400}', "too long"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"detail": [{"msg": "field required"}]}', '[{"msg": "field required"}]'),
        (b'{"error": "Unauthorized"}', "Unauthorized"),
        (b'{"error": {"error": {"message": "deep"}}}', "deep"),
        (b"<html><body>\n 502 Bad Gateway </body></html>", "<html><body> 502 Bad Gateway </body></html>"),
        (b"", "no reason given"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b'{"error": null}', "null"),
        (b'"' + b"x" * 9000 + b'"', "x" * 300),
    ],
)
def test_an_error_s_words_are_found_in_whatever_form(body, words):
    assert error_message(body) == words


def test_an_error_nested_without_end_is_still_only_an_error():
    assert error_message(b"[" * 100_000)


def test_an_error_s_words_can_always_be_kept():
    assert error_message(b'{"error": "half a pair \\ud83d"}').encode()


ERRORS = st.recursive(
    st.none() | st.text(),
    lambda x: st.dictionaries(st.sampled_from(["error", "message", "detail", "msg"]), x) | st.lists(x),
)


@given(st.binary(max_size=200) | ERRORS.map(lambda value: json.dumps(value).encode()))
def test_an_error_s_words_are_at_most_a_line(body):
    words = error_message(body)
    assert 0 < len(words) <= 300
    assert "\n" not in words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("20", 20.0),
        ("0", 0.0),
        ("1.5s", 1.5),
        ("120ms", 0.12),
        ("6m0s", 360.0),
        ("1h2m3s", 3723.0),
        ("2d", 172_800.0),
        ("7.66s", 7.66),
        ("250us", 0.00025),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("1 s", None),
        ("5s or so", None),
        ("Someday GMT", None),
        ("GMT", None),
    ],
)
def test_how_long_to_wait_is_read_in_every_unit(text, found):
    assert parse_seconds(text) == pytest.approx(found)


def test_a_bare_number_is_in_the_unit_that_its_header_says():
    assert parse_seconds("1500", unit="ms") == 1.5


UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6}


@given(st.lists(st.tuples(st.integers(0, 9999), st.sampled_from(sorted(UNITS))), min_size=1, max_size=6))
def test_a_duration_is_the_sum_of_its_parts(parts):
    assert parse_seconds("".join(f"{number}{unit}" for number, unit in parts)) == pytest.approx(
        sum(number * UNITS[unit] for number, unit in parts)
    )


@given(st.text() | st.text(string.digits + ".hmsudGT ") | st.text().map(lambda text: f"{text} GMT"))
def test_any_text_is_seconds_or_nothing(text):
    found = parse_seconds(text)
    assert found is None or found >= 0


def test_a_date_is_so_many_seconds_from_now_and_never_before_it():
    later = datetime.now(UTC) + timedelta(seconds=90)
    assert 88 <= (parse_seconds(format_datetime(later, usegmt=True)) or 0) <= 90
    assert parse_seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"Retry-After-Ms": "250", "Retry-After": "1"}, 0.25),
        ({"x-ratelimit-reset-requests": "6m0s"}, None),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "3"}, None),
        ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0"}, 360),
        ({"x-ratelimit-reset-tokens": "120ms", "x-ratelimit-remaining-tokens": "0"}, 0.12),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "3s",
                "x-ratelimit-remaining-tokens": "0",
            },
            3,
        ),
        ({"Retry-After": "2", "x-ratelimit-reset-tokens": "9s", "x-ratelimit-remaining-tokens": "0"}, 2),
        ({"Retry-After": "later"}, None),
    ],
)
def test_the_wait_is_what_the_headers_ask_for(headers, found):
    assert retry_after(CIMultiDict(headers)) == pytest.approx(found)
    assert status(429, **headers).retry_after == pytest.approx(found)


@given(st.integers(0, 30), st.none() | st.floats(0, 1e4), st.booleans(), st.integers())
def test_a_pause_is_never_shorter_than_asked_nor_a_minute_longer(attempt, after, crowded, seed):
    found = retry_delay(attempt, FailedTry("x", "x", overloaded=crowded, retry_after=after), Random(seed))
    assert (after or 0) <= found <= (after or 0) + 60


def test_pauses_grow_and_differ():
    dice = Random(0)
    means = [sum(retry_delay(n, FailedTry("x", "x"), dice) for _ in range(500)) / 500 for n in (1, 2, 3, 4)]
    assert means == pytest.approx([0.1, 0.2, 0.4, 0.8], rel=0.15)
    assert len({retry_delay(1, FailedTry("x", "x"), dice) for _ in range(50)}) == 50


WHERE = SimpleNamespace(host="h", port=9, ssl=True, is_ssl=True)


def test_a_time_out_is_too_much_asked_and_a_lost_connection_is_not():
    late, lost = from_exception(TimeoutError(), "e"), from_exception(aiohttp.ServerDisconnectedError(), "e")
    assert (late.retry, late.overloaded, lost.retry, lost.overloaded, lost.unreachable) == (True, True, True, False, False)
    assert from_exception(aiohttp.ClientPayloadError(), "e").reason == "the reply's body broke off"


def test_nobody_listening_costs_no_try():
    refused = aiohttp.ClientConnectorError(WHERE, ConnectionRefusedError(111, "refused"))
    unknown = aiohttp.ClientConnectorDNSError(WHERE, socket.gaierror(-2, "unknown"))
    assert from_exception(refused, "e").reason == "nothing answers on h:9 (connection refused)"
    assert from_exception(unknown, "e").reason == "the name h cannot be resolved"
    assert from_exception(refused, "e").unreachable
    assert from_exception(unknown, "e").unreachable


def test_an_empty_account_at_anthropic_s_is_told_by_how_its_400_begins():
    told = "Your credit balance is too low to access the Anthropic API."
    with pytest.raises(EngineError, match="no money left"):
        status(400, json.dumps({"error": {"message": told}}).encode())
    assert status(400, json.dumps({"error": {"message": f"refused: {told}"}}).encode()).kind == "refused"


def test_limits_of_anthropic_s_are_read_from_their_headers_and_times():
    soon = (datetime.now(UTC) + timedelta(seconds=30)).isoformat(timespec="seconds")
    for name in ("requests", "tokens", "input-tokens", "output-tokens"):
        headers = {f"anthropic-ratelimit-{name}-remaining": "0", f"anthropic-ratelimit-{name}-reset": soon}
        assert 25 < (retry_after(CIMultiDict(headers)) or 0) <= 30
    assert parse_seconds("2020-01-01T00:00:00Z") == 0.0
    assert parse_seconds("2020-13-01T00:00:00Z") is None


def test_gemini_s_delay_is_in_the_body_and_a_header_goes_before_it():
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "22.5s"}
    body = json.dumps({"error": {"code": 429, "message": "quota", "details": [info]}}).encode()
    assert status(429, body).retry_after == 22.5
    assert status(429, body, **{"Retry-After": "3"}).retry_after == 3
    assert status(429, body.replace(b"22.5s", b"1.2.3s")).retry_after is None

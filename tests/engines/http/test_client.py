import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import time

import pytest
from aiohttp import web
from servers_for_tests import asks, good, http

from attar.core.errors import EngineError
from attar.engines.base import Request
from attar.engines.http import client


async def echo(asked):
    return good(asked)


def answer(engine):
    [reply] = engine.generate(asks(1))
    return reply


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("http://h:8000", "http://h:8000/v1"),
        ("http://h:8000/", "http://h:8000/v1"),
        ("http://h:8000/v1", "http://h:8000/v1"),
        ("http://h:8000/v1/", "http://h:8000/v1"),
        ("https://h/api/v3/", "https://h/api/v3"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
    ],
)
def test_a_url_that_ends_at_the_server_is_meant_with_v1(given, meant):
    assert str(http(given).wire.url) == meant


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://h/v1", "http://", "http://h:99999", "http://[::1", "/v1", "h"])
def test_what_is_no_url_is_said_to_be_none(url):
    with pytest.raises(EngineError, match=r"^http engine m: .* is not a url such as http://localhost:8000/v1$"):
        http(url)


def test_a_port_that_nobody_listens_on_is_one_line():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EngineError) as told:
        answer(http(f"http://127.0.0.1:{port}"))
    assert str(told.value) == (
        f"http engine m at http://127.0.0.1:{port}/v1: nothing answers on 127.0.0.1:{port} (connection refused); "
        "is the server running, and is this its url?"
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate authority, and a server's context with a certificate of it that holds for so many days."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(words):
        subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)

    def context(days):
        openssl(
            f"x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} -extfile names -out leaf{days}.pem"
        )
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(folder / f"leaf{days}.pem", folder / "leaf.key")
        return made

    new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    openssl(f"req -x509 {new} -keyout ca.key -out ca.pem -subj /CN=tests -days 30")
    openssl(f"req {new} -keyout leaf.key -out leaf.csr -subj /CN=tests")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    return str(folder / "ca.pem"), context


def test_a_server_of_one_s_own_authority_is_trusted_with_ca_and_not_without(server, authority):
    ca, context = authority
    served = server(echo, ssl=context(2))
    assert answer(http(served.url, ca=ca)).text == "say 0"
    with pytest.raises(
        EngineError, match=r"certificate cannot be verified \(.*; name your own certificate authority with `ca`$"
    ):
        answer(http(served.url))


def test_an_expired_certificate_is_one_line_that_says_so(server, authority):
    ca, context = authority
    with pytest.raises(EngineError, match=r"certificate cannot be verified \(certificate has expired\)") as told:
        answer(http(server(echo, ssl=context(-1)).url, ca=ca))
    assert "\n" not in str(told.value)


def test_authorities_that_cannot_be_read_are_named(server, authority):
    served = server(echo, ssl=authority[1](2))
    with pytest.raises(EngineError, match=r"the certificates /nowhere\.pem cannot be read"):
        answer(http(served.url, ca="/nowhere.pem"))


def test_https_to_a_server_that_speaks_http_asks_whether_it_is_meant(server):
    with pytest.raises(EngineError, match="is it http, not https"):
        answer(http(server(echo).url.replace("http", "https")))


def test_what_is_added_and_left_out_is_so_in_what_is_sent(server):
    served = server(echo)
    answer(http(served.url, extra={"chat_template_kwargs": {"thinking": False}, "temperature": 0.5}, omit=["seed", "nothing"]))
    assert served.posted == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": "say 0"}],
            "temperature": 0.5,
            "max_tokens": 16,
            "chat_template_kwargs": {"thinking": False},
        }
    ]


def test_a_path_from_the_root_keeps_what_stands_before_v1(server):
    async def rewards(asked):
        return web.json_response({"data": [{"index": 0, "probs": [1.5]}]})

    served = server(rewards)
    assert next(http(served.url.replace("/v1", "/gate/v1")).reward([Request(0, text="x")])).reward == 1.5
    assert served.paths == ["/gate/classify"]


@pytest.mark.parametrize("length", [True, False])
def test_a_reply_larger_than_fits_is_given_up_and_not_read_to_its_end(server, monkeypatch, length):
    async def speak(asked):
        body = json.dumps({"choices": [], "x": "y" * 2**20}).encode()
        if length:
            return web.Response(body=body, content_type="application/json")
        response = web.Response(body=body)
        response.enable_chunked_encoding()
        return response

    monkeypatch.setattr(client, "_MAX_REPLY_BYTES", 2**16)
    assert answer(http(server(speak).url, tries=1)).error == "a reply of more than 0 MB (gave up after 1 try)"


def test_a_reply_that_is_no_json_is_told_with_how_it_begins(server):
    async def speak(asked):
        return web.Response(text="<html>" + "x" * 1000)

    assert (
        answer(http(server(speak).url, tries=1)).error
        == "the reply is not JSON: '<html>" + "x" * 74 + "' (gave up after 1 try)"
    )


def test_json_nested_without_end_is_no_more_than_a_malformed_reply(server):
    async def speak(asked):
        return web.Response(text="[" * 200_000)

    assert answer(http(server(speak).url, tries=1)).error.startswith("the reply is not JSON: '[[[")


def test_a_server_that_takes_too_long_is_not_waited_for(server):
    async def speak(asked):
        await asyncio.sleep(30)

    began = time.monotonic()
    assert (
        answer(http(server(speak).url, tries=1, timeout=0.2)).error
        == "no complete reply within the time-out (gave up after 1 try)"
    )
    assert time.monotonic() - began < 5


def test_requests_a_minute_are_spaced_evenly(server):
    times = []

    async def speak(asked):
        times.append(time.monotonic())
        return good(asked)

    list(http(server(speak).url, rpm=1200).generate(asks(9)))
    assert times[-1] - times[0] >= 0.3

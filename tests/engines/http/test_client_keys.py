from contextlib import suppress

import pytest
from aiohttp import web
from servers_for_tests import asks, good, http, refused

from attar.core.errors import EngineError

SECRET = "sk-very-secret-7"


async def echo(asked):
    return good(asked)


def answer(engine):
    [reply] = engine.generate(asks(1))
    return reply


@pytest.mark.parametrize("url", [f"http://me:{SECRET}@h/v1", f"http://{SECRET}@h/v1"])
def test_a_key_in_a_url_is_refused_and_not_said_again(url):
    with pytest.raises(EngineError, match="name the environment variable with key_env") as told:
        http(url)
    assert SECRET not in str(told.value)


def test_the_key_of_the_named_variable_is_sent(server, monkeypatch):
    monkeypatch.setenv("MY_KEY", SECRET)
    served = server(echo)
    assert answer(http(served.url, key_env="MY_KEY")).text == "say 0"
    assert served.headers[0]["Authorization"] == f"Bearer {SECRET}"


def test_no_key_is_sent_that_was_not_named(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    served = server(echo)
    assert answer(http(served.url)).text == "say 0"
    [headers] = served.headers
    assert "Authorization" not in headers
    assert headers["Content-Type"] == "application/json"
    assert SECRET not in str(headers)


def test_openai_s_own_key_is_used_with_openai_only(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(EngineError, match="the environment variable OPENAI_API_KEY is not set; it holds the key"):
        answer(http("https://api.openai.com/v1"))


@pytest.mark.parametrize("empty", [False, True])
def test_a_key_that_is_not_there_is_named_before_anything_is_sent(server, monkeypatch, empty):
    monkeypatch.setenv("MY_KEY", "") if empty else monkeypatch.delenv("MY_KEY", raising=False)
    served = server(echo)
    with pytest.raises(EngineError, match=r"^http engine m: the environment variable MY_KEY is not set; it holds the key$"):
        answer(http(served.url, key_env="MY_KEY"))
    assert served.posted == []


def test_a_key_with_the_line_s_end_still_on_it_is_no_traceback(server, monkeypatch):
    monkeypatch.setenv("MY_KEY", f"{SECRET}\n")
    served = server(echo)
    with suppress(EngineError):
        assert answer(http(served.url, key_env="MY_KEY")).text == "say 0"


def test_a_key_that_is_refused_stops_the_run_at_the_first_look(server, monkeypatch):
    async def refuses(request):
        return refused(401, f"Incorrect API key: {request.headers['Authorization']}")

    monkeypatch.setenv("MY_KEY", SECRET)
    served = server(echo, models=refuses)
    with pytest.raises(EngineError, match=r"refuses this API key \(401: Incorrect API key: Bearer \*\*\*\)"):
        answer(http(served.url, key_env="MY_KEY"))
    assert served.posted == []


def finish(reason, **message):
    return web.json_response({"choices": [{"finish_reason": reason, "message": {"content": "x", **message}}]})


ECHOES = [
    *(
        pytest.param(lambda status=status: refused(status, f"bad key {SECRET}"), id=str(status))
        for status in (400, 401, 403, 429)
    ),
    pytest.param(lambda: web.Response(status=307, headers={"Location": f"http://h/?key={SECRET}"}), id="redirect"),
    pytest.param(lambda: web.Response(text=f"Bearer {SECRET}?"), id="no JSON"),
    pytest.param(lambda: finish(SECRET), id="finish"),
    pytest.param(lambda: finish("stop", refusal=f"not with {SECRET}"), id="refusal"),
]


@pytest.mark.parametrize("says", ECHOES)
def test_the_key_is_in_no_error_even_where_the_server_says_it_back(server, monkeypatch, says):
    async def speak(asked):
        return says()

    monkeypatch.setenv("MY_KEY", SECRET)
    try:
        told = answer(http(server(speak).url, key_env="MY_KEY", tries=1, patience=0)).error
    except EngineError as error:
        told = str(error)
    assert told
    assert SECRET not in told

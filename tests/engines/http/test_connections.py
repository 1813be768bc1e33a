"""A reply belongs to its request, whatever else arrives on the connection."""

import time

import pytest
from servers.stray import stray_server
from servers_for_tests import asks, http

from attar.engines.http.connections import ReplyIds, new_request_id


def ask_in_turn(engine, count):
    """Each after the reply before it, with a pause in which the connection is idle."""
    replies = []
    for request in asks(count):
        replies += engine.generate([request])
        time.sleep(0.12)
    return [reply.text for reply in replies]


@pytest.mark.parametrize("when", ["idle", "at once", "half", "never"])
def test_a_stray_reply_is_no_row_s_text(when):
    with stray_server(when=when) as (url, state):
        assert ask_in_turn(http(url), 6) == [f"say {i}" for i in range(6)]
        assert state.strays == (0 if when == "never" else 3)


def test_a_connection_without_strays_is_used_again():
    with stray_server() as (url, state):
        ask_in_turn(http(url), 6)
        assert state.connections == 1


def test_a_stray_reply_that_comes_with_the_next_one_is_known_by_its_id():
    with stray_server(when="late", echo_ids=True) as (url, state):
        engine = http(url)
        assert ask_in_turn(engine, 6) == [f"say {i}" for i in range(6)]
        assert 2 <= engine.errors["wrong reply"] <= state.strays


def test_many_at_once_with_strays_keep_their_texts():
    with stray_server(when="at once", every=3) as (url, state):
        replies = sorted(http(url).generate(asks(200)), key=lambda reply: reply.index)
        assert [reply.text for reply in replies] == [f"say {i}" for i in range(200)]
        assert state.strays >= 60


def test_an_id_of_another_request_of_ours_is_refused_from_the_first():
    mine, other = new_request_id(), new_request_id()
    ids = ReplyIds()
    assert ids.belongs(mine, {}, b'{"id": "chatcmpl-1"}')
    assert not ids.belongs(mine, {"X-Request-Id": other}, b"{}")
    assert not ids.belongs(mine, {}, f'{{"id": "cmpl-{other}-0"}}'.encode())
    assert ids.belongs(mine, {}, b'{"choices": []}')  # it has not repeated an id so far


def test_once_a_server_repeats_ids_a_reply_without_one_is_refused():
    mine = new_request_id()
    ids = ReplyIds()
    assert ids.belongs(mine, {"X-Request-Id": mine}, b"{}")
    assert not ids.belongs(new_request_id(), {"X-Request-Id": "req_123"}, b'{"id": "x"}')

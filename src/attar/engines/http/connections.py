"""Connections on which a reply can only be that of the request before it.

HTTP/1.1 pairs replies with requests by their order alone. A server or a proxy that sends one reply too many shifts every later
one on that connection: rows would get another row's text, and nobody would see it. So a connection that has bytes to read
before its request is sent is never used, and every request has an id: where a server repeats it, the id is checked.
"""

import re
import select
from collections.abc import Mapping
from itertools import count
from secrets import token_hex
from typing import Any

import aiohttp

REQUEST_ID = "X-Request-Id"
_PREFIX = b"attar-"
_ID_WITHIN = 400
"""Bytes from the beginning of a reply in which its id is."""
_OURS = re.compile(r"attar-[0-9a-f]{16}-\d+")
_START = f"attar-{token_hex(8)}"
_numbers = count()


class CleanConnector(aiohttp.TCPConnector):
    """aiohttp's connections, except those with unread bytes."""

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        """A new connection, or an idle one on which nothing has arrived since its last reply."""
        while True:
            connection = await super().connect(req, traces, timeout)
            if not _is_dirty(connection.protocol):
                return connection
            connection.close()


def _is_dirty(protocol: Any) -> bool:
    """True if something arrived before the request: read by the event loop already, or still in the socket."""
    used, protocol.attar_used = getattr(protocol, "attar_used", False), True
    if not used:
        return False
    return bool(protocol.should_close) or _has_bytes(protocol.transport)


def _has_bytes(transport: Any) -> bool:
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def new_request_id() -> str:
    """A unique request id that can be recognised as ours in a reply."""
    return f"{_START}-{next(_numbers)}"


class ReplyIds:
    """Checks request ids; learns whether one server repeats them in its replies."""

    def __init__(self) -> None:
        self.repeats = False

    def belongs(self, request_id: str, headers: Mapping[str, str], body: bytes) -> bool:
        """False if a reply names another request of ours, or none though the server has named them before."""
        if not self.repeats and REQUEST_ID not in headers and body.find(_PREFIX, 0, _ID_WITHIN) < 0:
            return True
        named = {*_OURS.findall(headers.get(REQUEST_ID, "")), *_OURS.findall(_start_id(body))}
        if request_id in named:
            self.repeats = True
        return named == {request_id} if named else not self.repeats or not body.startswith(b"{")


_ID = re.compile(rb'"id"\s*:\s*"([^"]{0,200})"')


def _start_id(body: bytes) -> str:
    """The `id` of a JSON reply, which OpenAI-compatible servers write at its beginning."""
    found = _ID.search(body, 0, _ID_WITHIN)
    return found[1].decode(errors="replace") if found else ""

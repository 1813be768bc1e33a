"""An OpenAI-compatible server that answers every request after the same delay, to measure the drivers that call it.

    python bench/engines/stub_server.py [PORT] [DELAY]      (default: any free port, which it prints; 0.05 s)

The answer is two hashes: of the last message's text (or the prompt) as it is in the JSON, and of the whole body, so that a
mix-up shows. GET /count returns the number of requests and the most at once. No chunked requests, no streamed answers.
"""

import asyncio
import re
import resource
import sys
from collections import deque
from functools import partial
from hashlib import md5

MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]*)"')
TEXT = re.compile(rb'"(?:content|prompt)"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)")
HEAD = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
MODELS = b'{"object":"list","data":[{"id":"stub","object":"model","created":0,"owned_by":"stub"}]}'
COUNT, NONE = b'{"requests":%d,"most_in_flight":%d}', b'{"error":{"message":"no such path"}}'
ENDPOINTS = {
    b"POST /v1/chat/completions": (b"chat.completion", b'"message":{"role":"assistant","content":"%b %b"}'),
    b"POST /v1/completions": (b"text_completion", b'"text":"%b %b"'),
}
REPLY = (
    b'{"id":"stub-%d","object":"%b","created":0,"model":"%b","choices":[{"index":0,%b,"logprobs":null,'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":%d,"completion_tokens":16,"total_tokens":%d}}'
)


def answer(kind: bytes, choice: bytes, number: int, body: bytes) -> bytes:
    """The JSON that a server would send back."""
    model = MODEL.search(body)
    text = TEXT.match(body, max(body.rfind(b'"content"'), body.rfind(b'"prompt"'), 0))
    hashes = (md5(part, usedforsecurity=False).hexdigest()[:16].encode() for part in (text[1] if text else body, body))
    tokens = len(body) // 4 + 1
    return REPLY % (number, kind, model[1] if model else b"stub", choice % tuple(hashes), tokens, tokens + 16)


class Desk:
    """Answers that are not yet due. All wait equally long, so a queue and one timer keep them in order."""

    def __init__(self, delay: float) -> None:
        self.delay, self.loop = delay, asyncio.get_running_loop()
        self.waiting: deque[tuple[float, Connection, bytes, bool]] = deque()
        self.requests = self.most = 0

    def reply(self, request: bytes, body: bytes) -> tuple[float, bytes, bytes]:
        """The delay, the status and the content for a request."""
        if endpoint := ENDPOINTS.get(request):
            self.requests += 1
            self.most = max(self.most, len(self.waiting) + 1)
            return self.delay, b"200 OK", answer(*endpoint, self.requests, body)
        fixed = {b"GET /v1/models": MODELS, b"GET /count": COUNT % (self.requests, self.most)}.get(request)
        return 0, b"200 OK" if fixed else b"404 Not Found", fixed or NONE

    def hold(self, connection: "Connection", response: bytes, last: bool) -> None:
        """Hold a response back until it is due."""
        if not self.waiting:
            self.loop.call_later(self.delay, self.send_due)
        self.waiting.append((self.loop.time() + self.delay, connection, response, last))

    def send_due(self) -> None:
        """Send all that is due."""
        waiting, now = self.waiting, self.loop.time()
        while waiting and waiting[0][0] <= now:
            _, connection, response, last = waiting.popleft()
            connection.owed -= 1
            connection.send(response, last)
        if waiting:
            self.loop.call_at(waiting[0][0], self.send_due)


class Connection(asyncio.Protocol):
    """One client's connection, kept alive; requests may come in pieces or several at once."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.rest, self.owed = desk, b"", 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        data, at = self.rest + data if self.rest else data, 0
        while (end := data.find(b"\r\n\r\n", at)) >= 0:
            head, body = data[at:end].lower(), end + 4
            length = LENGTH.search(head)
            if length and body + int(length[1]) > len(data):
                break
            request, at = data[at : data.find(b" HTTP/", at, end)], body + (int(length[1]) if length else 0)
            delay, status, content = self.desk.reply(request, data[body:at])
            response, last = HEAD % (status, len(content), content), b"\r\nconnection: close" in head
            if delay or self.owed:
                self.owed += 1
                self.desk.hold(self, response, last)
            else:
                self.send(response, last)
        self.rest = data[at:]

    def send(self, response: bytes, last: bool) -> None:
        self.transport.write(response)
        if last:
            self.transport.close()


async def main(port: str = "0", delay: str = "0.05") -> None:
    """Serve until stopped."""
    resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)[1:] * 2)
    made = partial(Connection, Desk(float(delay)))
    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", int(port), backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

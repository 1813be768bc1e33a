"""A server on bare sockets that sends replies nobody asked for.

It answers each chat with its own last message, and now and then sends one reply more: at once, while the connection is idle, or
cut in two. `echo_ids` repeats the request's id as vLLM does.
"""

import json
import re
import socket
import threading
import time
from contextlib import contextmanager, suppress


def reply(text, request_id=""):
    body = {"id": f"chatcmpl-{request_id}"} if request_id else {}
    body |= {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": text}}], "usage": {}}
    data = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(data) + data


def wrong_length(sound, when):
    """A reply whose Content-Length is not that of its body."""
    head, _, body = sound.partition(b"\r\n\r\n")
    claimed = len(body) // 2 if when == "short" else len(body) + 1
    return re.sub(rb"(Content-Length: )\d+", rb"\g<1>%d" % claimed, head) + b"\r\n\r\n" + body


def read_request(stream):
    """(path, headers, body) of the next request; None at the end."""
    first = stream.readline().decode()
    if not first:
        return None
    headers = {}
    while (line := stream.readline().decode().strip()) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return first.split()[1], headers, stream.read(int(headers.get("content-length", 0)))


class Stray:
    """How it misbehaves: `when` is "idle", "at once", "late" (as the next request arrives), "half" or "never".

    "short" and "long" send no stray reply: the length that a reply claims is half its own, or one more.
    """

    def __init__(self, when="never", echo_ids=False, every=2):
        self.when, self.echo_ids, self.every = when, echo_ids, every
        self.connections, self.strays, self.answered = 0, 0, 0
        self._lock = threading.Lock()

    def talk(self, connection):
        with self._lock:
            self.connections += 1
        late = b""
        with connection, connection.makefile("rb") as stream:
            while (asked := read_request(stream)) is not None:
                path, headers, body = asked
                if not path.endswith("completions"):
                    data = json.dumps({"data": [{"id": "m"}]}).encode()
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
                    continue
                said = json.loads(body)["messages"][-1]["content"]
                with self._lock:
                    self.answered += 1
                    stray = self.answered % self.every == 0
                    self.strays += stray and self.when != "never"
                own = headers.get("x-request-id", "") if self.echo_ids else ""
                if stray and self.when in ("short", "long"):
                    connection.sendall(wrong_length(reply(said, own), self.when))
                    continue
                extra = reply("STRAY", "attar-0123456789abcdef-7" if self.echo_ids else "")
                connection.sendall(late + reply(said, own) + (extra if stray and self.when == "at once" else b""))
                late = extra if stray and self.when == "late" else b""
                if stray and self.when in ("idle", "half"):
                    time.sleep(0.05)
                    cut = 20 if self.when == "half" else 0
                    connection.sendall(extra[: cut or None])
                    if cut:
                        time.sleep(0.05)
                        connection.sendall(extra[cut:])


@contextmanager
def stray_server(**options):
    """The url of its API and its state."""
    state, listening = Stray(**options), socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=_quietly, args=(state.talk, connection), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1", state
    finally:
        listening.close()


def _quietly(talk, connection):
    with suppress(OSError, ValueError):
        talk(connection)

"""Servers that stand in the test's own process: a handler for all that is posted, on a free port of this machine."""

import json
import time
from contextlib import ExitStack

from aiohttp import web
from servers.threaded import serving
from yarl import URL

from attar.engines.base import Request, Sampling, Spec
from attar.engines.http.engine import Http

HOT = Sampling(temperature=1.0, max_tokens=16)


class Served:
    """One server; it may go away and come back on the same port. `posted` keeps what was asked of it, in order."""

    def __init__(self, speak, models=("m",), ssl=None):
        self._speak, self._models, self._ssl = speak, models, ssl
        self.url, self.posted, self.paths, self.headers = "", [], [], []
        self.under_way = self.most = 0
        self._up = ExitStack()
        self.start()

    @property
    def port(self):
        return URL(self.url).port or 0

    def start(self):
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/{path:.*}", self._post)
        app.router.add_get("/{path:.*}", self._get)
        self.url = self._up.enter_context(serving(app, self._ssl, self.port))

    def stop(self):
        self._up.close()

    async def _get(self, request):
        if not request.path.endswith("/models"):
            return web.json_response({}, status=404)
        if callable(self._models):
            return await self._models(request)
        return web.json_response({"data": [{"id": name, "owned_by": "tests"} for name in self._models]})

    async def _post(self, request):
        asked = json.loads(await request.read())
        self.posted.append(asked)
        self.paths.append(request.path)
        self.headers.append(request.headers)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await self._speak(asked)
        finally:
            self.under_way -= 1


def told(asked):
    """The last message, or the raw prompt, of what was asked."""
    return asked["messages"][-1]["content"] if "messages" in asked else asked["prompt"]


def good(asked, *texts, **usage):
    """A right answer to a chat; with no texts, its own last message, as often as it was asked for."""
    texts = texts or [told(asked)] * asked.get("n", 1)
    choices = [{"index": i, "finish_reason": "stop", "message": {"content": text}} for i, text in enumerate(texts)]
    return web.json_response({"choices": choices, "usage": usage})


def refused(status, said="no", **headers):
    return web.json_response(
        {"error": {"message": said}},
        status=status,
        headers={name.replace("_", "-"): str(value) for name, value in headers.items()},
    )


def http(url, model="m", **options):
    return Http(Spec("http", model, {"url": url, **options}))


def asks(count, start=0, sampling=HOT):
    """Chats that each say a thing of their own."""
    return [
        Request(i, messages=({"role": "user", "content": f"say {i}"},), sampling=sampling, seed=i)
        for i in range(start, start + count)
    ]


def soon(condition, seconds=5.0):
    """Whether something comes true in time."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()

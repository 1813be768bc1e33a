"""A server in front of another: it passes on all that comes, and keeps the paths of what was posted."""

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from aiohttp import web
from servers.threaded import serving


@contextmanager
def counting(url: str) -> Iterator[tuple[str, list[str]]]:
    """The url to ask instead of `url`, and the paths that were posted so far."""
    posted: list[str] = []

    async def pass_on(request: web.Request) -> web.Response:
        if request.method == "POST":
            posted.append(request.path)
        target = url.removesuffix("/v1") + request.path_qs
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, target, data=await request.read(), headers={"Content-Type": "application/json"}
            ) as found,
        ):
            return web.Response(body=await found.read(), status=found.status, content_type=found.content_type)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", pass_on)
    with serving(app) as own:
        yield own, posted

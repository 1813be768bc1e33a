"""Calls to one server's API: bytes out, JSON back, and whatever goes wrong named as a Mishap."""

import json
import logging
from collections import Counter
from dataclasses import replace
from functools import cached_property
from typing import Any, overload

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from attar.core.errors import EngineError
from attar.engines.base import Reply, Spec
from attar.engines.http import failures
from attar.engines.http.concurrency import RateLimit
from attar.engines.http.connections import REQUEST_ID, new_request_id
from attar.engines.http.failures import FailedTry
from attar.engines.http.server_queue import ServerQueue, queue_for
from attar.engines.keys import is_secret, mask, read_key
from attar.engines.options import title

_log = logging.getLogger(__name__)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_MAX_REPLY_BYTES = 64 * 2**20


class ApiClient:
    """The way from one engine to its server: url, key, caps, time-out."""

    def __init__(self, spec: Spec, options: dict[str, Any], tally: Counter[str] | None = None) -> None:
        self.spec = spec
        self.options = options
        self.tally = tally if tally is not None else Counter[str]()
        """Failed tries by kind, and replies that held the key."""
        self.url = _api_url(options["url"], title(spec))
        self.asked = f"{title(spec)} at {self.url}"
        self._urls: dict[str, URL] = {}
        self._timeout = aiohttp.ClientTimeout(total=options.get("timeout", 600.0), sock_connect=20)
        self._requests, self._tokens = RateLimit(options.get("rpm")), RateLimit(options.get("tpm"))
        self._capped = "rpm" in options or "tpm" in options

    @cached_property
    def lane(self) -> ServerQueue:
        """The way to its server, shared with other engines on it."""
        found = queue_for(self.url, self.options.get("ca"))
        if most := self.options.get("concurrency"):
            found.concurrency.most, found.concurrency.limit = most, min(most, max(found.concurrency.limit, 32))
        return found

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """One call: what came back, or a Mishap. A path from the root starts with a slash."""
        data = _encode(self.sent(body)).encode("utf-8", "replace")
        if self._capped or self.lane.quiet_until:
            await self.lane.clear(self._requests.take(), self._tokens.take(len(data) / 4))
        status, found = await self.call("POST", path, data)
        if status != 200:
            raise self.failure(status, found)
        if spent := failures.limit_reset(found[1]):
            self.lane.hush(min(60.0, spent))  # the next call would be refused
        return self._parse(found[0])

    def sent(self, body: dict[str, Any]) -> dict[str, Any]:
        """A body as it is sent: with the model, and what the run file adds and leaves out."""
        whole = {"model": self.spec.model, **body, **self.options.get("extra", {})}
        for name in self.options.get("omit", ()):
            whole.pop(name, None)
        return whole

    async def get(self, path: str) -> tuple[int, Any]:
        """A path from the root, once, for a first look."""
        try:
            status, (data, headers) = await self.call("GET", path)
        except FailedTry as mishap:
            raise EngineError(f"{self.asked}: {mishap.reason}; is the server running, and is that its url?") from mishap
        if status in (401, 403) or 300 <= status < 400:
            raise self.failure(status, (data, headers))
        try:
            return status, json.loads(data)
        except ValueError:
            return status, None

    def failure(self, status: int, found: tuple[bytes, Any]) -> FailedTry:
        """What a status that is not 200 means."""
        body, headers = found
        shown = {name: mask(value, self.key) for name, value in headers.items()}
        said = mask(body.decode(errors="replace"), self.key).encode() if self.key else body
        return failures.from_status(status, CIMultiDict(shown), said, self.asked)

    def _parse(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            start = mask(data.decode(errors="replace"), self.key)[:80]
            raise FailedTry("malformed reply", f"the reply is not JSON: {start!r}") from error

    def masked_error(self, error: EngineError) -> EngineError:
        """The error, or one of the same words without the key."""
        text = str(error)
        return error if mask(text, self.key) == text else EngineError(mask(text, self.key))

    @overload
    def masked(self, result: FailedTry) -> FailedTry: ...

    @overload
    def masked(self, result: Reply | FailedTry) -> Reply | FailedTry: ...

    def masked(self, result: Reply | FailedTry) -> Reply | FailedTry:
        """A result whose error does not hold the key; nor its text, if the key is a real secret: that is counted and logged."""
        if not (key := self.key):
            return result
        if isinstance(result, FailedTry):
            result.reason = mask(result.reason, key)
            return result
        if result.error is not None:
            return replace(result, error=mask(result.error, key))
        parts = {name: value for name in ("text", "reasoning") if (value := getattr(result, name)) and key in value}
        if not parts or not is_secret(key):
            return result
        self.tally["key in a reply"] += 1
        _log.warning("%s: a reply repeats the API key; it is kept as ***", self.asked)
        return replace(result, **{name: value.replace(key, "***") for name, value in parts.items()})

    async def call(self, method: str, path: str, data: bytes | aiohttp.FormData | None = None) -> tuple[int, tuple[bytes, Any]]:
        """One request: its status, and its body and headers."""
        headers = self._key_header if isinstance(data, aiohttp.FormData) else self._headers
        if path not in self._urls:
            self._urls[path] = self._root.joinpath(path[1:]) if path.startswith("/") else self.url.joinpath(path)
        request_id = new_request_id()
        try:
            async with self.lane.session.request(
                method,
                self._urls[path],
                data=data,
                headers={**headers, REQUEST_ID: request_id},
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                body = await _read_body(response)
                if response.status == 200 and not self.lane.ids(path).belongs(request_id, response.headers, body):
                    response.close()  # whatever comes next on this connection is shifted too
                    raise FailedTry("wrong reply", "the reply names another request")
                self.lane.hear()
                return response.status, (body, response.headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise failures.from_exception(error, self.asked) from error

    @cached_property
    def _root(self) -> URL:
        return self.url.parent if self.url.name == "v1" else self.url

    @cached_property
    def key(self) -> str:
        """The API key; "" where none is named."""
        name = self.options.get("key_env") or ("OPENAI_API_KEY" if self.url.host == "api.openai.com" else "")
        return read_key(name, title(self.spec))

    @cached_property
    def _key_header(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    @cached_property
    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", **self._key_header}


def _api_url(text: str, title: str) -> URL:
    """The url of the API; one that ends at the server is meant with /v1."""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise EngineError(f"{title}: {text!r} is no url such as http://localhost:8000/v1")
    return url / "v1" if url.path in ("", "/") else url.with_path(url.path.rstrip("/"))


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    """The body, but never more than fits."""
    parts, size = [], response.content_length or 0
    if 0 < size <= _MAX_REPLY_BYTES:
        return await response.read()
    while size <= _MAX_REPLY_BYTES and (part := await response.content.readany()):
        size += len(part)
        parts.append(part)
    if size > _MAX_REPLY_BYTES:
        response.close()
        raise FailedTry("huge body", f"a reply of more than {_MAX_REPLY_BYTES // 2**20} MB")
    return b"".join(parts)

"""Calls to one server's API: bytes out, JSON back, failures raised as FailedTry."""

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
from attar.engines.http.hosted import KEY_VARIABLES, bearer_header, find_api
from attar.engines.http.server_queue import ServerQueue, queue_for
from attar.engines.keys import is_secret, mask, mask_whole, read_key
from attar.engines.options import title

_log = logging.getLogger(__name__)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_MAX_REPLY_BYTES = 64 * 2**20


class ApiClient:
    """One engine's client of its server: url, key, rate limits, time-out."""

    def __init__(self, spec: Spec, options: dict[str, Any], tally: Counter[str] | None = None) -> None:
        self.spec = spec
        self.options = options
        self.tally = tally if tally is not None else Counter[str]()
        """Failed tries by kind, and replies that contained the key."""
        self.api = find_api(options)
        """The API that it speaks; None for chat completions."""
        self.url = _api_url(options["url"], title(spec), self.api.version if self.api else "v1")
        self.name = f"{title(spec)} at {self.url}"
        self._urls: dict[str, URL] = {}
        self._timeout = aiohttp.ClientTimeout(total=options.get("timeout", 600.0), sock_connect=20)
        self._requests = RateLimit(options.get("rpm"))
        self._tokens = RateLimit(options.get("tpm"))
        self._capped = "rpm" in options or "tpm" in options

    @cached_property
    def queue(self) -> ServerQueue:
        """The queue of its server, shared with other engines on it."""
        queue = queue_for(self.url, self.options.get("ca"))
        if most := self.options.get("concurrency"):
            queue.concurrency.most = most
            queue.concurrency.limit = min(most, max(queue.concurrency.limit, 32))
        return queue

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """One call: the reply's JSON; raises a FailedTry. A path from the root starts with a slash."""
        data = _encode(self.full_body(body)).encode("utf-8", "replace")
        if self._capped or self.queue.paused_until:
            await self.queue.wait_out_pause(self._requests.take(), self._tokens.take(len(data) / 4))
        status, (reply, headers) = await self.call("POST", path, data)
        if status != 200:
            raise self.failure(status, reply, headers)
        if wait := failures.limit_reset(headers):
            self.queue.pause(min(60.0, wait))  # the next call would be refused
        return self._parse(reply)

    def full_body(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body to send: with the model's name, the run file's `extra` and without its `omit`."""
        if self.api:
            return self.api.full_body(self.spec.model, body, self.options)
        full = {"model": self.spec.model, **body, **self.options.get("extra", {})}
        for name in self.options.get("omit", ()):
            full.pop(name, None)
        return full

    async def get(self, path: str) -> tuple[int, Any]:
        """The status and JSON at a path from the root, in one try; for inspecting the server."""
        try:
            status, (data, headers) = await self.call("GET", path)
        except FailedTry as failure:
            raise EngineError(f"{self.name}: {failure.reason}; is the server running, and is this its url?") from failure
        if status in (401, 403) or 300 <= status < 400:
            raise self.failure(status, data, headers)
        try:
            return status, json.loads(data)
        except ValueError:
            return status, None

    def failure(self, status: int, body: bytes, headers: Any) -> FailedTry:
        """The failure that a status other than 200 means, without the key."""
        masked_headers = {name: mask(value, self.key) for name, value in headers.items()}
        masked_body = mask(body.decode(errors="replace"), self.key).encode() if self.key else body
        return failures.from_status(status, CIMultiDict(masked_headers), masked_body, self.name)

    def _parse(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            start = mask(data.decode(errors="replace"), self.key)[:80]
            raise FailedTry("malformed reply", f"the reply is not JSON: {start!r}") from error

    def mask_error(self, error: EngineError) -> EngineError:
        """The error, or a copy of it without the key."""
        text = str(error)
        return error if mask(text, self.key) == text else EngineError(mask(text, self.key))

    @overload
    def mask_result(self, result: FailedTry) -> FailedTry: ...

    @overload
    def mask_result(self, result: Reply | FailedTry) -> Reply | FailedTry: ...

    def mask_result(self, result: Reply | FailedTry) -> Reply | FailedTry:
        """Remove the key from a result's error; from its text only a real secret, which is counted and logged."""
        if not (key := self.key):
            return result
        if isinstance(result, FailedTry):
            result.reason = mask(result.reason, key)
            return result
        if result.error is not None:
            return replace(result, error=mask(result.error, key))
        if not is_secret(key):
            return result
        texts = {name: value for name in ("text", "reasoning") if (value := getattr(result, name))}
        parts = {name: masked for name, value in texts.items() if (masked := mask_whole(value, key)) != value}
        if not parts:
            return result
        self.tally["key in a reply"] += 1
        _log.warning("%s: a reply repeats the API key; it is kept as ***", self.name)
        return replace(result, **parts)

    async def call(self, method: str, path: str, data: bytes | aiohttp.FormData | None = None) -> tuple[int, tuple[bytes, Any]]:
        """One request: the status, and the body and headers of the reply."""
        headers = self._key_header if isinstance(data, aiohttp.FormData) else self._headers
        if path not in self._urls:
            self._urls[path] = self._root.joinpath(path[1:]) if path.startswith("/") else self.url.joinpath(path)
        request_id = new_request_id()
        try:
            async with self.queue.session.request(
                method,
                self._urls[path],
                data=data,
                headers={**headers, REQUEST_ID: request_id},
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                body = await _read_body(response)
                if response.status == 200 and not self.queue.ids(path).belongs(request_id, response.headers, body):
                    response.close()  # later replies on this connection are shifted too
                    raise FailedTry("wrong reply", "the reply names another request")
                self.queue.mark_reachable()
                return response.status, (body, response.headers)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise failures.from_exception(error, self.name) from error

    @cached_property
    def _root(self) -> URL:
        return self.url.parent if self.url.name == "v1" else self.url

    @cached_property
    def key(self) -> str:
        """The API key; "" if the options name none."""
        name = self.options.get("key_env") or KEY_VARIABLES.get(self.url.host or "", "")
        return read_key(name, title(self.spec))

    @cached_property
    def _key_header(self) -> dict[str, str]:
        return (self.api.key_header if self.api else bearer_header)(self.key)

    @cached_property
    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", **self._key_header}


def _api_url(text: str, title: str, version: str) -> URL:
    """The url of the API; a url without a path gets the API's version, such as /v1."""
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise EngineError(f"{title}: {text!r} is not a url such as http://localhost:8000/v1")
    return url / version if url.path in ("", "/") else url.with_path(url.path.rstrip("/"))


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    """The body, up to the largest size that a reply may have."""
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

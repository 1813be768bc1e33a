"""Engines behind an OpenAI-style batch API: half the price, replies within a day.

engine: {kind: batch, url: https://api.openai.com/v1, model: gpt-4o-mini}

The journal records which request was sent in which batch before anything is waited for, so a run may be stopped and picked up
the next day. A batch whose id was lost is found again by the signature in its metadata.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Annotated, Any, Protocol

import aiohttp
from annotated_types import Ge, Gt, Le

from attar.chat.templates import Template
from attar.core.errors import EngineError
from attar.core.reasons import mark_transient
from attar.engines.base import Reply, Request, Spec
from attar.engines.http import failures, payloads
from attar.engines.http.engine import Http, HttpOptions
from attar.engines.http.failures import FailedTry
from attar.engines.http.server_queue import wait_for
from attar.engines.keys import mask
from attar.engines.options import check_options, title

FINAL_STATUSES = ("completed", "expired", "cancelled", "failed")
_MAX_BYTES = 190 * 2**20


class BatchOptions(HttpOptions, total=False):
    """The options of a batch engine."""

    poll: Annotated[float, Gt(0)]
    most: Annotated[int, Ge(1), Le(50_000)]


class BatchRefused(EngineError):  # noqa: N818 (a state of the batch, which can be sent again)
    """The API rejected a batch: nothing in it was run."""


class BatchRecord(Protocol):
    """Records the batch that each request was sent in."""

    def batch_of(self, key: bytes) -> str | None:
        """The id of the batch that a request was sent in."""
        ...

    def set_batch(self, keys: list[bytes], batch: str) -> None:
        """Record the batch of some requests; an empty id removes it."""
        ...


class BatchEngine:
    """One model behind a batch API."""

    def __init__(self, spec: Spec) -> None:
        options = check_options(spec, BatchOptions)
        self.spec = spec
        self._poll = options.pop("poll", 30.0)
        self._most = options.pop("most", 50_000)
        self._http = Http(Spec("batch", spec.model, options, spec.identity))
        if (api := self._http.api) and api.name != "responses":
            raise EngineError(f"{title(spec)}: {api.title} has no batches of OpenAI's form: use kind: http")
        self.journal: BatchRecord | None = None
        self._closed = threading.Event()
        self.waiting = Counter[str]()
        self._lock = threading.Lock()

    def identity(self) -> str:
        """The same as that of the HTTP engine for the same model."""
        return self._http.identity()

    @property
    def errors(self) -> Counter[str]:
        """Failed requests by kind."""
        return self._http.errors

    @property
    def in_flight(self) -> int:
        """How many requests are in batches that are not done."""
        return self.waiting.total()

    @property
    def http(self) -> Http:
        """The HTTP engine of the same model, one request per call."""
        return self._http

    @property
    def template(self) -> Template:
        """The model's chat template."""
        return self._http.template

    def close(self) -> None:
        """Stop waiting; the batches go on, and the next run picks them up."""
        self._closed.set()
        self._http.close()

    def generate(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Generated texts, once their batches are done."""
        _ = self._http.server  # a wrong key, port or model fails before anything is sent
        calls = [(request, *wait_for(self._http.text_call(request))) for request in requests]
        return self._run_batches(calls, self._http.read_texts)

    def embed(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Unit vectors, once their batches are done."""
        calls = [(request, "embeddings", {"input": [request.text], "encoding_format": "float"}) for request in requests]
        return self._run_batches(calls, payloads.read_vectors)

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Not available in batches."""
        raise EngineError(
            f"batch engine {self.spec.model}: a batch API gives no label probabilities; use an engine of kind http"
        )

    def reward(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Not available in batches."""
        raise EngineError(
            f"batch engine {self.spec.model}: a batch API gives no rewards; use an engine of kind http, vllm or local"
        )

    def _run_batches(self, calls: list[tuple[Request, str, dict[str, Any]]], read: Any) -> Iterator[Reply]:
        """Send what is in no batch yet, wait for all batches, and read their results."""
        wire = self._http.wire
        lines: dict[str, str] = {}
        requests: dict[str, list[Request]] = {}
        for request, path, body in calls:
            url = wire.url.path.rstrip("/") + "/" + path
            line = {"method": "POST", "url": url, "body": wire.full_body(body)}
            text = json.dumps(line, ensure_ascii=False, sort_keys=True)
            mark = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
            lines[mark] = json.dumps({"custom_id": mark, **line})
            requests.setdefault(mark, []).append(request)
        batches: dict[str, list[str]] = {}
        for mark in lines:
            batches.setdefault(self._batch_of(mark), []).append(mark)
        for chunk in _chunks(batches.pop("", []), lines, self._most):
            path = json.loads(lines[chunk[0]])["url"]
            batches[self._send(chunk, "\n".join(lines[mark] for mark in chunk), path)] = chunk
        for batch, marks in batches.items():
            try:
                results = self._wait_for(batch, len(marks))
            except BatchRefused:
                self._forget(marks)
                raise
            for mark in marks:
                for request in requests[mark]:
                    yield self._reply(results.get(mark), request, read)
            self._forget(marks)

    def _batch_of(self, mark: str) -> str:
        return (self.journal.batch_of(bytes.fromhex(mark)) or "") if self.journal else ""

    def _forget(self, marks: list[str]) -> None:
        if self.journal:
            self.journal.set_batch([bytes.fromhex(mark) for mark in marks], "")

    def _send(self, marks: list[str], lines: str, path: str) -> str:
        """Create a batch, or find the one of the same requests that was created just before a crash."""
        signature = blake2b("".join(sorted(marks)).encode(), digest_size=16).hexdigest()
        with self._lock:
            batch = next(
                (
                    one
                    for one in self.list_batches()
                    if (one.get("metadata") or {}).get("attar") == signature and _is_usable(one)
                ),
                None,
            )
            if batch is None:
                file = self._call_json("POST", "files", lambda: _upload_form(lines))
                request = {
                    "input_file_id": file["id"],
                    "endpoint": path,
                    "completion_window": "24h",
                    "metadata": {"attar": signature},
                }
                batch = self._call_json("POST", "batches", lambda: json.dumps(request).encode())
            if self.journal:
                self.journal.set_batch([bytes.fromhex(mark) for mark in marks], batch["id"])
        return batch["id"]

    def _wait_for(self, batch: str, count: int) -> dict[str, Any]:
        """Wait until a batch is done; its result lines by their marks."""
        self.waiting[batch] = count
        try:
            while _status(info := self._call_json("GET", f"batches/{batch}")) not in FINAL_STATUSES:
                if self._closed.wait(self._poll):
                    raise EngineError(f"batch {batch} is not done yet; run the same command again to pick it up")
        finally:
            del self.waiting[batch]
        if _status(info) == "failed":
            data = (info.get("errors") or {}).get("data") or [{}]
            message = mask(failures.error_message(json.dumps(data[0]).encode()), self._http.wire.key)
            raise BatchRefused(f"batch {batch} was refused: {message}")
        files = [info[key] for key in ("output_file_id", "error_file_id") if info.get(key)]
        return {line["custom_id"]: line for file in files for line in _lines(self._fetch(file))}

    def _reply(self, line: dict[str, Any] | None, request: Request, read: Any) -> Reply:
        """One result line as a reply; a failed line is that row's failure, and the next run sends it again."""
        response = (line or {}).get("response") or {}
        if response.get("status_code") == 200:
            try:
                result = read(response.get("body"), [request])[0]
            except FailedTry as failure:
                result = failure
            result = self._http.wire.mask_result(result)
            if isinstance(result, Reply):
                return result
        elif response:
            message = failures.error_message(json.dumps(response.get("body")).encode())
            status = response.get("status_code")
            result = FailedTry("refused", f"{status}: {message}", retry=status in failures.RETRIED)
        else:
            message = failures.error_message(json.dumps((line or {}).get("error") or "no answer in the batch").encode())
            result = FailedTry("not run", message)
        self.errors[result.kind] += 1
        reason = mask(result.reason, self._http.wire.key)
        return Reply(request.index, error=mark_transient(reason, 1) if result.retry else reason)

    def list_batches(self) -> list[dict[str, Any]]:
        """The account's latest batches."""
        return self._call_json("GET", "batches")["data"]

    def cancel(self, batch: str) -> str:
        """Cancel a batch; the next run still fetches the replies that it has by then. Returns its status."""
        return _status(self._call_json("POST", f"batches/{batch}/cancel", lambda: b"{}"))

    def _fetch(self, file: str) -> bytes:
        return self._call("GET", f"files/{file}/content")

    def _call_json(self, method: str, path: str, data: Callable[[], Any] = lambda: None) -> dict[str, Any]:
        try:
            return json.loads(self._call(method, path, data))
        except ValueError as error:
            raise EngineError(f"{self._http.wire.name}: /{path} returned no JSON: is this a batch API?") from error

    def _call(self, method: str, path: str, data: Callable[[], Any] = lambda: None) -> bytes:
        """One API call, tried again for up to the engine's patience."""
        wire, until = self._http.wire, time.monotonic() + self._http.options.get("patience", 600.0)
        while True:
            try:
                status, (body, headers) = wait_for(wire.call(method, path, data()))
                if status == 200:
                    return body
                found = wire.failure(status, body, headers)
            except FailedTry as failure:
                found = failure
            if not found.retry or time.monotonic() > until:
                raise EngineError(f"{wire.name}: /{path}: {found.reason}")
            self._closed.wait(min(self._poll, 5.0))


def _upload_form(lines: str) -> aiohttp.FormData:
    """The form that uploads a file of requests."""
    form = aiohttp.FormData()
    form.add_field("purpose", "batch")
    form.add_field("file", lines.encode("utf-8", "replace"), filename="attar.jsonl", content_type="application/jsonl")
    return form


def _status(info: dict[str, Any]) -> str:
    return str(info.get("status")).lower()


def _is_usable(info: dict[str, Any]) -> bool:
    return _status(info) not in ("failed", "cancelled", "cancelling", "expired")


def _lines(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        if line.strip():
            yield json.loads(line)


def _chunks(marks: list[str], lines: dict[str, str], most: int) -> Iterator[list[str]]:
    """Split requests into batches: of one endpoint each, within the limits on count and size."""
    chunk: list[str] = []
    size, path = 0, ""
    for mark in marks:
        url, length = json.loads(lines[mark])["url"], len(lines[mark].encode("utf-8", "replace"))
        if chunk and (url != path or len(chunk) == most or size + length > _MAX_BYTES):
            yield chunk
            chunk, size = [], 0
        path = url
        chunk.append(mark)
        size += length
    if chunk:
        yield chunk

"""A batch API of OpenAI's form: half the price, up to a day's patience.

engine: {kind: batch, url: https://api.openai.com/v1, model: gpt-4o-mini}

Which request went out in which batch is in the journal before anything is waited for, so a run that waits can be ended and
picked up the next day; a batch whose number was lost is found again by its mark.
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
from attar.engines.base import Reply, Request, Spec
from attar.engines.http import failures, payloads
from attar.engines.http.engine import Http, HttpOptions
from attar.engines.http.failures import FailedTry
from attar.engines.http.server_queue import wait_for
from attar.engines.keys import mask
from attar.engines.options import check_options

FINAL_STATUSES = ("completed", "expired", "cancelled", "failed")
_MAX_BYTES = 190 * 2**20


class BatchOptions(HttpOptions, total=False):
    """What a run file may say of a batch engine."""

    poll: Annotated[float, Gt(0)]
    most: Annotated[int, Ge(1), Le(50_000)]


class BatchRefused(EngineError):  # noqa: N818 (said of a batch, to be sent anew)
    """A batch that the API would not take: nothing in it was run."""


class BatchRecord(Protocol):
    """Where it is kept which request went out in which batch."""

    def batch_of(self, key: bytes) -> str | None:
        """The batch that a request is in."""
        ...

    def batched(self, keys: list[bytes], batch: str) -> None:
        """Keep the batch of some requests; an empty name forgets it."""
        ...


class BatchEngine:
    """One model behind a batch API."""

    def __init__(self, spec: Spec) -> None:
        options = check_options(spec, BatchOptions)
        self.spec, self._poll, self._most = spec, options.pop("poll", 30.0), options.pop("most", 50_000)
        self._http = Http(Spec("batch", spec.model, options, spec.identity))
        self.journal: BatchRecord | None = None
        self._closed, self.waiting, self._lock = threading.Event(), Counter[str](), threading.Lock()

    def identity(self) -> str:
        """As of the same model asked row by row."""
        return self._http.identity()

    @property
    def errors(self) -> Counter[str]:
        """What failed, by kind."""
        return self._http.errors

    @property
    def in_flight(self) -> int:
        """How many requests wait in batches."""
        return self.waiting.total()

    @property
    def http(self) -> Http:
        """The engine that speaks to the same model row by row."""
        return self._http

    @property
    def template(self) -> Template:
        """The model's chat template."""
        return self._http.template

    def close(self) -> None:
        """Wait no more; the batches go on, and are picked up by the next run."""
        self._closed.set()
        self._http.close()

    def generate(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Texts, once their batches are done."""
        _ = self._http.server  # a wrong key, port or model shows before anything is sent
        asked = [(request, *wait_for(self._http.text_call(request))) for request in requests]
        return self._through(asked, payloads.read_texts)

    def embed(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Unit vectors, once their batches are done."""
        asked = [(request, "embeddings", {"input": [request.text], "encoding_format": "float"}) for request in requests]
        return self._through(asked, payloads.read_vectors)

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Not by batch."""
        raise EngineError(f"batch engine {self.spec.model}: labels are weighed by an engine of kind http, not in batches")

    def reward(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Not by batch."""
        raise EngineError(
            f"batch engine {self.spec.model}: a batch API gives no rewards; use an engine of kind http, vllm or local"
        )

    def _through(self, asked: list[tuple[Request, str, dict[str, Any]]], read: Any) -> Iterator[Reply]:
        """Send what is in no batch yet, wait for all batches, and read them."""
        wire, lines, open_ = self._http.wire, {}, {}
        for request, path, body in asked:
            url = wire.url.path.rstrip("/") + "/" + path
            line = {"method": "POST", "url": url, "body": wire.full_body(body)}
            text = json.dumps(line, ensure_ascii=False, sort_keys=True)
            mark = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
            lines[mark] = json.dumps({"custom_id": mark, **line})
            open_.setdefault(mark, []).append(request)
        batches: dict[str, list[str]] = {}
        for mark in lines:
            batches.setdefault(self._sent_in(mark), []).append(mark)
        for chunk in _chunks(batches.pop("", []), lines, self._most):
            path = json.loads(lines[chunk[0]])["url"]
            batches[self._send(chunk, "\n".join(lines[mark] for mark in chunk), path)] = chunk
        for batch, marks in batches.items():
            try:
                found = self._await(batch, len(marks))
            except BatchRefused:
                self._forget(marks)
                raise
            for mark in marks:
                for request in open_[mark]:
                    yield self._reply(found.get(mark), request, read)
            self._forget(marks)

    def _sent_in(self, mark: str) -> str:
        return (self.journal.batch_of(bytes.fromhex(mark)) or "") if self.journal else ""

    def _forget(self, marks: list[str]) -> None:
        if self.journal:
            self.journal.batched([bytes.fromhex(mark) for mark in marks], "")

    def _send(self, marks: list[str], lines: str, path: str) -> str:
        """Make a batch, or find the one that was made of the same requests just before something broke."""
        sign = blake2b("".join(sorted(marks)).encode(), digest_size=16).hexdigest()
        with self._lock:
            made = next(
                (one for one in self.listed() if (one.get("metadata") or {}).get("attar") == sign and _is_usable(one)), None
            )
            if made is None:
                file = self._talk("POST", "files", lambda: _upload_form(lines))
                ask = {"input_file_id": file["id"], "endpoint": path, "completion_window": "24h", "metadata": {"attar": sign}}
                made = self._talk("POST", "batches", lambda: json.dumps(ask).encode())
            if self.journal:
                self.journal.batched([bytes.fromhex(mark) for mark in marks], made["id"])
        return made["id"]

    def _await(self, batch: str, count: int) -> dict[str, Any]:
        """A batch's lines by their marks, once it is over."""
        self.waiting[batch] = count
        try:
            while _status(told := self._talk("GET", f"batches/{batch}")) not in FINAL_STATUSES:
                if self._closed.wait(self._poll):
                    raise EngineError(f"batch {batch} is still at work; the same command picks it up")
        finally:
            del self.waiting[batch]
        if _status(told) == "failed":
            data = (told.get("errors") or {}).get("data") or [{}]
            said = mask(failures.error_message(json.dumps(data[0]).encode()), self._http.wire.key)
            raise BatchRefused(f"batch {batch} was refused: {said}")
        files = [told[key] for key in ("output_file_id", "error_file_id") if told.get(key)]
        return {line["custom_id"]: line for file in files for line in _lines(self._fetch(file))}

    def _reply(self, line: dict[str, Any] | None, request: Request, read: Any) -> Reply:
        """One line of a batch's results as a reply; what failed is the row's failure, and asked anew by the next run."""
        response = (line or {}).get("response") or {}
        if response.get("status_code") == 200:
            try:
                found = read(response.get("body"), [request])[0]
            except FailedTry as mishap:
                found = mishap
            found = self._http.wire.mask_result(found)
            if isinstance(found, Reply):
                return found
        elif response:
            said = failures.error_message(json.dumps(response.get("body")).encode())
            found = FailedTry("refused", f"{response.get('status_code')}: {said}")
        else:
            said = failures.error_message(json.dumps((line or {}).get("error") or "no answer in the batch").encode())
            found = FailedTry("not run", said)
        self.errors[found.kind] += 1
        return Reply(request.index, error=mask(found.reason, self._http.wire.key))

    def listed(self) -> list[dict[str, Any]]:
        """The account's latest batches."""
        return self._talk("GET", "batches")["data"]

    def cancel(self, batch: str) -> str:
        """Ask for a batch to be given up; what it has answered by then is still fetched by the next run."""
        return _status(self._talk("POST", f"batches/{batch}/cancel", lambda: b"{}"))

    def _fetch(self, file: str) -> bytes:
        return self._call("GET", f"files/{file}/content")

    def _talk(self, method: str, path: str, data: Callable[[], Any] = lambda: None) -> dict[str, Any]:
        try:
            return json.loads(self._call(method, path, data))
        except ValueError as error:
            raise EngineError(f"{self._http.wire.name}: /{path} does not answer with JSON: is it a batch API?") from error

    def _call(self, method: str, path: str, data: Callable[[], Any] = lambda: None) -> bytes:
        """One call of the API itself, tried again for up to the engine's patience."""
        wire, until = self._http.wire, time.monotonic() + self._http.options.get("patience", 600.0)
        while True:
            try:
                status, (body, headers) = wait_for(wire.call(method, path, data()))
                if status == 200:
                    return body
                found = wire.failure(status, body, headers)
            except FailedTry as mishap:
                found = mishap
            if not found.retry or time.monotonic() > until:
                raise EngineError(f"{wire.name}: /{path}: {found.reason}")
            self._closed.wait(min(self._poll, 5.0))


def _upload_form(lines: str) -> aiohttp.FormData:
    """A file to upload."""
    form = aiohttp.FormData()
    form.add_field("purpose", "batch")
    form.add_field("file", lines.encode("utf-8", "replace"), filename="attar.jsonl", content_type="application/jsonl")
    return form


def _status(told: dict[str, Any]) -> str:
    return str(told.get("status")).lower()


def _is_usable(told: dict[str, Any]) -> bool:
    return _status(told) not in ("failed", "cancelled", "cancelling", "expired")


def _lines(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        if line.strip():
            yield json.loads(line)


def _chunks(marks: list[str], lines: dict[str, str], most: int) -> Iterator[list[str]]:
    """Requests that fit one batch: of one endpoint, not too many, not too long."""
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

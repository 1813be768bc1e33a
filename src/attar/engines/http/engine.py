"""Any OpenAI-compatible server: chat, raw completions, label log-probabilities, embeddings, rewards.

engine: {kind: http, url: http://localhost:8000/v1, model: Qwen/Qwen3-8B, key_env: MY_KEY}

What a server is and can do is asked of itself at the first request. Raw prompts go as token ids where its tokens can be had
(from the server, or from `tokenizer`), with exactly one BOS; else as text.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, Literal, Required

from annotated_types import Ge, Gt, Le
from typing_extensions import TypedDict

from attar.chat.templates import Template
from attar.core.errors import EngineError
from attar.core.fingerprint import fingerprint
from attar.engines.base import Reply, Request, Sampling, Spec
from attar.engines.http import payloads
from attar.engines.http.client import ApiClient
from attar.engines.http.failures import FailedTry
from attar.engines.http.server_info import ServerInfo, inspect_server
from attar.engines.http.server_queue import wait_for
from attar.engines.http.stream import Attempt, CallRequests, Stream
from attar.engines.http.tokenizer import ServerTokenizer
from attar.engines.options import check_options

_TEXTS_PER_CALL = 32
"""Texts in one call, for embeddings and rewards."""


class CommonOptions(TypedDict, total=False):
    """What may be said of any engine that is spoken to over HTTP."""

    __pydantic_config__ = {"extra": "forbid"}  # type: ignore[misc] # noqa: RUF012 (pydantic declares it so)

    key_env: str
    tokenizer: str
    revision: str
    n: Annotated[int, Ge(1), Le(128)]
    extra: dict[str, Any]
    omit: list[str]
    logprobs: Annotated[int, Ge(1)]
    rewards: Literal["classify", "pooling"]
    concurrency: Annotated[int, Ge(1)]
    rpm: Annotated[float, Gt(0)]
    tpm: Annotated[float, Gt(0)]
    timeout: Annotated[float, Gt(0)]
    tries: Annotated[int, Ge(1)]
    patience: Annotated[float, Ge(0)]
    price: dict[Literal["input", "output", "hour"], Annotated[float, Ge(0)]]


class HttpOptions(CommonOptions, total=False):
    """What a run file may say of an HTTP engine beside its model."""

    url: Required[str]
    ca: str


class Http:
    """One model on one server."""

    careful = False
    """Whether no more requests are to be taken than can be sent at once, since a limit counts what was taken."""

    def __init__(self, spec: Spec) -> None:
        self.options = check_options(spec, HttpOptions)
        self.spec, self.errors = spec, Counter[str]()
        self.wire = ApiClient(spec, self.options, self.errors)
        self._looking, self._server = threading.Lock(), None
        self._streams: set[Stream] = set()

    def identity(self) -> str:
        """The model's name (of a local folder its content), its revision, and what is added to each request."""
        options = self.spec.options
        shaping = {name: options.get(name) for name in ("revision", "extra", "omit", "n", "rewards", "tokenizer")}
        return fingerprint("http", self.spec.identity or self.spec.model, {k: v for k, v in shaping.items() if v is not None})

    @property
    def http(self) -> "Http":
        """Itself: what other kinds speak through."""
        return self

    @property
    def in_flight(self) -> int:
        """How many requests its server is at work on."""
        return self.wire.queue.in_flight

    @property
    def server(self) -> ServerInfo:
        """What its server is, asked once."""
        if self._server is not None:
            return self._server
        with self._looking:
            if self._server is None:
                host = self.wire.url.host or ""
                try:
                    self._server = wait_for(inspect_server(self.wire.get, self.spec.model, host, self.wire.name))
                except EngineError as error:
                    raise self.wire.mask_error(error) from error.__cause__
            return self._server

    @cached_property
    def tokens(self) -> ServerTokenizer:
        """Its tokenizer and template: a local one, or the server's."""
        return ServerTokenizer(self.spec, lambda: self.server, self.wire.post, self.options.get("tokenizer"))

    @property
    def template(self) -> Template:
        """The model's chat template."""
        return self.tokens.template

    def close(self) -> None:
        """Give up what is under way; the connections are kept for the next engine on that server."""
        for stream in tuple(self._streams):
            stream.close()

    def generate(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Texts, as they come."""
        several = self.options.get("n", 1) if self.server.dialect != "ollama" else 1
        return self._stream(self._generate, _group_equal(requests, several))

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Log-probabilities of labels, from those of the answer's first token where one tells them apart."""
        return self._stream(self._weigh, ([request] for request in requests))

    def embed(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Unit vectors."""
        return self._stream(_retry_singly(self._embed), _batch_requests(requests))

    def reward(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Rewards, from a server that serves a reward model."""
        return self._stream(_retry_singly(self._reward), _batch_requests(requests))

    def _stream(self, attempt: Attempt, asks: Iterable[CallRequests]) -> Iterator[Reply]:
        _ = self.server  # a wrong key, port or model shows before anything is asked
        options = self.options
        stream = Stream(
            self.wire.queue, self._masked(attempt), options.get("tries", 6), options.get("patience", 600.0), self.errors
        )
        stream.ready = 8 if self.careful else 256
        self._streams.add(stream)
        try:
            yield from stream.replies(asks)
        finally:
            self._streams.discard(stream)

    def _masked(self, attempt: Attempt) -> Attempt:
        """A call none of whose results or errors hold the API key, whatever the server repeats."""

        async def go(ask: CallRequests) -> list[Reply | FailedTry]:
            try:
                return [self.wire.mask_result(result) for result in await attempt(ask)]
            except FailedTry as failed:
                raise self.wire.mask_result(failed) from failed.__cause__
            except EngineError as error:
                raise self.wire.mask_error(error) from error.__cause__

        return go

    async def _generate(self, ask: CallRequests) -> list[Reply | FailedTry]:
        path, body = await self.written(ask[0])
        if len(ask) > 1:
            body["n"] = len(ask)
        found = await self.wire.post(path, body)
        return payloads.read_ollama(found, ask) if path.startswith("/") else payloads.read_texts(found, ask)

    async def written(self, request: Request) -> tuple[str, dict[str, Any]]:
        """Where a text is asked for, and how."""
        sampling, dialect = request.sampling or Sampling(), self.server.dialect
        if (most := self.server.context) and sampling.max_tokens > most:  # vLLM refuses what it could never write
            sampling = replace(sampling, max_tokens=most)
        body = payloads.sampling_body(sampling, request.seed, dialect)
        if request.text is None:
            body["messages"] = list(map(dict, request.messages))
            return "chat/completions", body
        if dialect == "ollama":
            return "/api/generate", payloads.ollama_body(request.text, sampling, request.seed)
        body["prompt"] = await self.tokens.raw(request.text)
        if dialect == "llamacpp" and sampling.schema:
            body["json_schema"] = body.pop("response_format")["json_schema"]["schema"]
        if dialect in ("vllm", "sglang") and (ends := await self.tokens.single(sampling.stop)):
            body["stop_token_ids"] = ends
        return "completions", body

    async def _weigh(self, ask: CallRequests) -> list[Reply | FailedTry]:
        from attar.engines.http.label_logprobs import weigh

        return [await weigh(ask[0], self.wire.post, self.tokens, self.server.dialect, self.options.get("logprobs", 20))]

    async def _embed(self, ask: CallRequests) -> list[Reply | FailedTry]:
        inputs = [await self._text(request) for request in ask]
        return payloads.read_vectors(await self.wire.post("embeddings", {"input": inputs, "encoding_format": "float"}), ask)

    async def _reward(self, ask: CallRequests) -> list[Reply | FailedTry]:
        body = payloads.rewards_body([await self._text(request) for request in ask], self.server.dialect)
        return payloads.read_rewards(await self.wire.post(f"/{self.options.get('rewards', 'classify')}", body), ask)

    async def _text(self, request: Request) -> str:
        return request.text if request.text is not None else await self.tokens.render(request.messages)


def _retry_singly(attempt: Attempt) -> Attempt:
    """A call of several that is refused is made again one by one, so that each fails for itself alone."""

    async def go(ask: CallRequests) -> list[Reply | FailedTry]:
        try:
            return await attempt(ask)
        except FailedTry as mishap:
            if mishap.retry or len(ask) == 1:
                raise
        found: list[Reply | FailedTry] = []
        for request in ask:  # in turn: together they hold one place
            try:
                found += await attempt([request])
            except FailedTry as mishap:
                found.append(mishap)
        return found

    return go


def _group_equal(requests: Iterable[Request], most: int) -> Iterator[CallRequests]:
    """Requests one by one; with `most` above 1, neighbours that differ in their seed only go together."""
    ask: CallRequests = []
    for request in requests:
        drawn = request.sampling is not None and request.sampling.temperature > 0
        if ask and (len(ask) == most or not drawn or not _same(ask[0], request)):
            yield ask
            ask = []
        ask.append(request)
    if ask:
        yield ask


def _same(one: Request, other: Request) -> bool:
    return one.text == other.text and one.messages == other.messages and one.sampling == other.sampling


def _batch_requests(requests: Iterable[Request]) -> Iterator[CallRequests]:
    ask: CallRequests = []
    for request in requests:
        ask.append(request)
        if len(ask) == _TEXTS_PER_CALL:
            yield ask
            ask = []
    if ask:
        yield ask

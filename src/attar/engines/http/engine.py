"""Any OpenAI-compatible server: chat, raw completions, label log-probabilities, embeddings, rewards.

engine: {kind: http, url: http://localhost:8000/v1, model: Qwen/Qwen3-8B, key_env: MY_KEY}

What the server is and can do is inspected at the first request. Raw prompts are sent as token ids where a tokenizer is
available (on the server, or named by `tokenizer`), with exactly one BOS; else as text.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, Literal, Required

from annotated_types import Ge, Gt, Le

from attar.chat.templates import Template
from attar.chat.thoughts import KNOWN, opened_thought
from attar.core.errors import EngineError
from attar.core.fingerprint import fingerprint
from attar.engines import thinking
from attar.engines.base import Reply, Request, Sampling, Spec
from attar.engines.http import hosted, payloads
from attar.engines.http.calls import batch_requests, group_equal, retry_singly
from attar.engines.http.client import ApiClient
from attar.engines.http.failures import FailedTry
from attar.engines.http.hosted import ApiName
from attar.engines.http.server_info import ServerInfo
from attar.engines.http.server_queue import wait_for
from attar.engines.http.stream import Attempt, CallRequests, Stream
from attar.engines.http.system_turns import fold_refused
from attar.engines.http.tokenizer import ServerTokenizer
from attar.engines.options import check_options, title
from attar.engines.thinking import ThinkingOptions


class CommonOptions(ThinkingOptions, total=False):
    """The options of every engine that is called over HTTP."""

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
    """The options of an HTTP engine."""

    url: Required[str]
    ca: str
    api: ApiName
    cache: Literal["system", "prompt"]


class Http:
    """One model on one server."""

    careful = False
    """If true, take no more requests than can be sent at once: a limit of the run counts every request taken."""

    def __init__(self, spec: Spec) -> None:
        self.options = check_options(spec, HttpOptions)
        self.spec = spec
        self.errors = Counter[str]()
        self.wire = ApiClient(spec, self.options, self.errors)
        self.api = self.wire.api
        """Its API; None for OpenAI's chat completions, which most servers speak."""
        hosted.refuse_options(self.api, self.options, title(spec))
        self._post = hosted.explain_refused(fold_refused(self.wire.post), self.wire.name)
        self._inspecting = threading.Lock()
        self._server: ServerInfo | None = None
        self._opened_remotely = ""
        self._streams: set[Stream] = set()

    def identity(self) -> str:
        """A hash of the model's name (for a local folder its content), its revision, and what is added to each request."""
        options = self.spec.options
        shaping = {name: options.get(name) for name in ("revision", "extra", "omit", "n", "rewards", "tokenizer")}
        shaping = {name: value for name, value in shaping.items() if value is not None} | thinking.shaping(options)
        shaping |= {"api": self.api.name} if self.api else {}
        return fingerprint("http", self.spec.identity or self.spec.model, shaping)

    @property
    def http(self) -> "Http":
        """Itself: the HTTP engine that other kinds use."""
        return self

    @property
    def in_flight(self) -> int:
        """How many requests the server is working on."""
        return self.wire.queue.in_flight

    @property
    def server(self) -> ServerInfo:
        """What its server is and can do, inspected once."""
        if self._server is not None:
            return self._server
        with self._inspecting:
            if self._server is None:
                host = self.wire.url.host or ""
                try:
                    self._server = wait_for(hosted.inspect_api(self.api, self.wire.get, self.spec.model, host, self.wire.name))
                except EngineError as error:
                    raise self.wire.mask_error(error) from error.__cause__
            return self._server

    @cached_property
    def tokens(self) -> ServerTokenizer:
        """The model's tokenizer and template, local or on the server."""
        return ServerTokenizer(self.spec, lambda: self.server, self._post, self.options)

    @property
    def template(self) -> Template:
        """The model's chat template."""
        hosted.refuse_verb(self.api, "raw", self.wire.name)
        return self.tokens.template

    def close(self) -> None:
        """Cancel what is in flight; the connections are kept for the next engine on that server."""
        for stream in tuple(self._streams):
            stream.close()

    def generate(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Generated texts, in the order in which they finish."""
        samples_per_call = self.options.get("n", 1) if self.server.dialect != "ollama" else 1
        return self._stream(self._generate, group_equal(requests, samples_per_call))

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Log-probabilities of labels: by the answer's first token if it distinguishes them, else token by token."""
        hosted.refuse_verb(self.api, "weigh", self.wire.name)
        return self._stream(self._weigh, ([request] for request in requests))

    def embed(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Unit vectors."""
        hosted.refuse_verb(self.api, "embed", self.wire.name)
        return self._stream(retry_singly(self._embed), batch_requests(requests))

    def reward(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Rewards, from a server that serves a reward model."""
        hosted.refuse_verb(self.api, "reward", self.wire.name)
        return self._stream(retry_singly(self._reward), batch_requests(requests))

    def _stream(self, attempt: Attempt, calls: Iterable[CallRequests]) -> Iterator[Reply]:
        _ = self.server  # a wrong key, port or model fails before any request is taken
        options = self.options
        stream = Stream(
            self.wire.queue, self._without_key(attempt), options.get("tries", 6), options.get("patience", 600.0), self.errors
        )
        stream.ready = 8 if self.careful else 256
        self._streams.add(stream)
        try:
            yield from stream.replies(calls)
        finally:
            self._streams.discard(stream)

    def _without_key(self, attempt: Attempt) -> Attempt:
        """The same call with the API key masked in results and errors."""
        if not self.wire.key:
            return attempt

        async def masked_attempt(call: CallRequests) -> list[Reply | FailedTry]:
            try:
                return [self.wire.mask_result(result) for result in await attempt(call)]
            except FailedTry as failure:
                raise self.wire.mask_result(failure) from failure.__cause__
            except EngineError as error:
                raise self.wire.mask_error(error) from error.__cause__

        return masked_attempt

    async def _generate(self, call: CallRequests) -> list[Reply | FailedTry]:
        path, body = await self.text_call(call[0])
        if len(call) > 1:
            body["n"] = len(call)
        reply = await self._post(path, body)
        return self.read_texts(reply, call, payloads.read_ollama if path.startswith("/") else payloads.read_texts)

    def read_texts(
        self, reply: Any, call: CallRequests, read: Callable[[Any, CallRequests], list[Reply | FailedTry]] = payloads.read_texts
    ) -> list[Reply | FailedTry]:
        """The texts of a reply, which say how the model marks thoughts."""
        results = [self.api.read_text(reply, call[0].index)] if self.api else read(reply, call)
        return [self._with_marks(result, request) for result, request in zip(results, call, strict=True)]

    def _with_marks(self, result: Reply | FailedTry, request: Request) -> Reply | FailedTry:
        """A reply that says how its model marks thoughts, where the template is known."""
        if isinstance(result, FailedTry):
            return result
        if self.api:  # its thoughts came apart from its answer, which may speak of marks
            return thinking.with_marks(result, ())
        if (template := self.tokens.known_template) is None:
            opened = self._opened_remotely if request.text is None else ""
            return thinking.with_marks(result, KNOWN, opened) if opened else result
        marks = thinking.marks_of(template)
        opened = opened_thought(request.text, marks) if request.text is not None else self._prompt_mark
        return thinking.with_marks(result, marks, opened)

    @cached_property
    def _prompt_mark(self) -> str:
        """The mark with which the template's prompts open a thought."""
        template = self.tokens.known_template
        return thinking.opened_by(template, self.options) if template else ""

    async def _thinks(self) -> bool:
        """True if an answer may come after a thought: its token limit does not count that."""
        how, template = thinking.setting(self.options), self.tokens.known_template
        self._opened_remotely = await self.tokens.opened_remotely(how)
        has_marks = bool(thinking.marks_of(template)) if template else bool(self._opened_remotely)
        return how == "on" or (how == "auto" and has_marks)

    async def text_call(self, request: Request) -> tuple[str, dict[str, Any]]:
        """The path and the body of a call that generates a text."""
        if self.api:
            return hosted.text_call(self.api, request, self.options, self.server, self.wire.name)
        sampling, dialect = request.sampling or Sampling(), self.server.dialect
        if request.text is None and await self.tokens.needs_empty_thought():
            request = replace(request, messages=(), text=await self.tokens.render_closed(request.messages))
        elif request.text is None and await self._thinks():
            sampling = replace(sampling, max_tokens=sampling.max_tokens + thinking.budget(self.options))
        if (most := self.server.context) and sampling.max_tokens > most:  # vLLM refuses more than it can generate
            sampling = replace(sampling, max_tokens=most)
        body = payloads.sampling_body(sampling, request.seed, dialect)
        if request.text is None:
            body |= {"messages": self.tokens.fit(request.messages), **thinking.request_fields(dialect, self.options)}
            return "chat/completions", body
        if dialect == "ollama":
            return "/api/generate", payloads.ollama_body(request.text, sampling, request.seed)
        body["prompt"] = await self.tokens.raw(request.text)
        if dialect == "llamacpp" and sampling.schema:
            body["json_schema"] = body.pop("response_format")["json_schema"]["schema"]
        if dialect in ("vllm", "sglang") and (stop_ids := await self.tokens.single_token_ids(sampling.stop)):
            body["stop_token_ids"] = stop_ids
        return "completions", body

    async def _weigh(self, call: CallRequests) -> list[Reply | FailedTry]:
        from attar.engines.http.label_logprobs import weigh

        if self.api:
            return [await hosted.weigh(self.api, call[0], self.options, self.server, self.wire.name, self._post)]
        most = self.options.get("logprobs", 1000 if self.server.dialect == "llamacpp" else 20)
        return [await weigh(call[0], self._post, self.tokens, self.server.dialect, most)]

    async def _embed(self, call: CallRequests) -> list[Reply | FailedTry]:
        inputs = [await self._text(request) for request in call]
        return payloads.read_vectors(await self.wire.post("embeddings", {"input": inputs, "encoding_format": "float"}), call)

    async def _reward(self, call: CallRequests) -> list[Reply | FailedTry]:
        body = payloads.rewards_body([await self._text(request) for request in call], self.server.dialect)
        return payloads.read_rewards(await self.wire.post(f"/{self.options.get('rewards', 'classify')}", body), call)

    async def _text(self, request: Request) -> str:
        return request.text if request.text is not None else await self.tokens.render(request.messages)

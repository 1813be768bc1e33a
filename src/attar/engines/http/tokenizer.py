"""A server's tokenizer and chat template: on the server itself where it offers them, else from a local tokenizer.

Raw prompts become token ids wherever possible, with exactly one BOS if the model has one, so that no server adds another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any

from attar.chat.system_turns import has_system
from attar.chat.templates import Message, Template, fit_system, prefix
from attar.chat.thoughts import KNOWN, close_thought, opened_thought
from attar.core.errors import EngineError
from attar.engines import thinking
from attar.engines.base import Spec
from attar.engines.http.failures import FailedTry
from attar.engines.http.server_info import TOKENIZING_SERVERS, ServerInfo, tokenize_body
from attar.engines.http.server_queue import wait_for
from attar.engines.local.pretrained import explain_panics
from attar.engines.options import title

Post = Callable[[str, dict[str, Any]], Awaitable[Any]]
_CACHE_SIZE = 4096


class ServerTokenizer:
    """The tokenizer of one engine's model."""

    def __init__(self, spec: Spec, inspect: Callable[[], ServerInfo], post: Post, options: Mapping[str, Any]) -> None:
        self._spec = spec
        self._options = options
        self._inspect = inspect
        self._post = post
        self._cache: dict[Hashable, asyncio.Future[Any]] = {}
        self._local: Any = None
        self._marks_checked = False
        if tokenizer := options.get("tokenizer"):
            from attar.engines.local.engine import Local

            self._local = Local(Spec("local", tokenizer))
            _ = self._local.tokenizer

    @property
    def _server(self) -> ServerInfo:
        """What the server is; inspected only if there is no local tokenizer."""
        return self._inspect()

    @property
    def available(self) -> bool:
        """True if texts can be turned into token ids."""
        return self._local is not None or self._server.dialect in TOKENIZING_SERVERS

    @property
    def template(self) -> Template:
        """The chat template, for text that the model continues; raises if its marks are no tokens of the model."""
        self._check_marks()
        return self._unchecked_template

    def _check_marks(self) -> None:
        """llama.cpp shows ChatML as the template of a base model that has none: a prefix of it would mean nothing there."""
        if self._marks_checked or self._local is not None or self._server.dialect != "llamacpp":
            return
        try:
            stops = prefix(self._unchecked_template).stops
            mark = next((stop for stop in stops if stop.startswith("<|")), None)
            ids = wait_for(self.ids(mark)) if mark else []
        except (EngineError, FailedTry):  # no prefix can be cut, which it says where it is; a busy server is asked next time
            return
        if len(ids) > 1:
            raise EngineError(
                f"{title(self._spec)}: the server's chat template marks turns with {mark!r}, which is no token of the model "
                f"(it is {len(ids)} tokens): llama.cpp shows this template for a base model that has none, so there is no "
                "Magpie prefix. Serve the chat model; if this one was trained with them, name its folder with `tokenizer`"
            )
        self._marks_checked = True

    @cached_property
    def _unchecked_template(self) -> Template:
        """The chat template; if the server only applies its own, one that calls the server to render."""
        if self._local is not None:
            return thinking.with_arguments(self._local.template, self._options)
        if self._server.template is not None:
            return thinking.with_arguments(self._server.template, self._options)
        if self._server.dialect in ("vllm", "sglang"):
            return _RemoteTemplate(self._render, f"the chat template of {title(self._spec)}")
        raise EngineError(
            f"{title(self._spec)}: the server ({self._server.dialect}) does not report its chat template; "
            "name the model's folder or hub id with `tokenizer`"
        )

    def fit(self, messages: Sequence[Message]) -> list[dict[str, str]]:
        """The turns to send to the chat endpoint: a system turn is folded where the template is known and takes none."""
        template = self.known_template if has_system(messages) else None
        return list(map(dict, fit_system(template, messages) if template else messages))

    @cached_property
    def known_template(self) -> Template | None:
        """The chat template, if it is known on this machine."""
        if self._local is None and self._server.template is None:
            return None
        try:
            return self._unchecked_template
        except EngineError:  # the tokenizer's folder has no template: chats need none, and raw prompts say so
            return None

    async def needs_empty_thought(self) -> bool:
        """True if thinking is off, and the server's chat endpoint cannot turn it off: only a raw prompt can."""
        return thinking.setting(self._options) == "off" and self.available and await self.thinks_at_chat()

    async def thinks_at_chat(self) -> bool:
        """True if the model may think at the chat endpoint even where thinking is off."""
        if self.known_template is not None:
            return not self._closes
        return bool(await self.opened_remotely("off"))

    @cached_property
    def _closes(self) -> bool:
        """True if the template that is known turns thoughts off by itself."""
        return self.known_template is not None and thinking.is_closed_by_template(self.known_template, self._options)

    async def opened_remotely(self, how: thinking.Setting) -> str:
        """The mark with which a template that only a vLLM has opens a thought; nothing if it does not."""
        if self.known_template is not None or self._server.dialect != "vllm":
            return ""
        return await self._once(how, lambda: self._find_opened(how))

    async def _find_opened(self, how: thinking.Setting) -> str:
        fields = thinking.request_fields(self._server.dialect, self._options, how)
        try:
            return opened_thought(await self._render_remotely([{"role": "user", "content": "?"}], True, fields), KNOWN)
        except FailedTry as failure:
            if failure.retry:
                raise
        except EngineError:  # a proxy may have the chat endpoint alone
            pass
        return ""

    @cached_property
    def without_thought(self) -> dict[str, Any]:
        """The fields of a chat request whose answer's first token is read: thoughts are off, where there may be any."""
        template, dialect = self.known_template, self._server.dialect
        may_think = bool(thinking.marks_of(template)) if template else dialect in TOKENIZING_SERVERS
        is_off = may_think or thinking.setting(self._options) == "off"
        return thinking.request_fields(dialect, self._options, "off" if is_off else "auto")

    async def render_closed(self, messages: Sequence[Message]) -> str:
        """A conversation as text, up to where the answer starts: its labels are read there."""
        if self.known_template is not None:
            return thinking.render_closed(self.known_template, messages, self._options)
        fields = thinking.request_fields(self._server.dialect, self._options, "off")
        text = await self._render_remotely([dict(turn) for turn in messages], True, fields)
        return close_thought(text, [marks for marks in KNOWN if marks[0] == opened_thought(text, KNOWN)])

    def _render(self, messages: list[dict[str, str]], ask: bool) -> str:
        return wait_for(self._render_remotely(messages, ask))

    async def _render_remotely(self, messages: list[dict[str, str]], ask: bool, fields: Mapping[str, Any] | None = None) -> str:
        fields = thinking.request_fields(self._server.dialect, self._options) if fields is None else fields
        body = {"messages": messages, "add_generation_prompt": ask, "add_special_tokens": False, **fields}
        ids = _read_ids(await self._post("/tokenize", body))
        reply = await self._post("/detokenize", {"tokens": ids})
        return str(reply.get("prompt", reply.get("text", "")))

    async def render(self, messages: Sequence[Message], *, ask: bool = False) -> str:
        """A conversation as text, from the event loop, which must not block on a template that only the server has."""
        if isinstance(self._unchecked_template, _RemoteTemplate):
            return await self._render_remotely([dict(turn) for turn in messages], ask)
        return self._unchecked_template.render(messages, ask=ask)

    async def raw(self, text: str) -> list[int] | str:
        """A raw prompt as token ids if possible, else as text."""
        if not self.available:
            return text
        if self._local is not None:
            return self._local.tokens(text)
        start = (await self.ids("", special=True))[:1]
        ids = await self.ids(text)
        return ids if not start or ids[:1] == start else [*start, *ids]

    async def single_token_ids(self, marks: tuple[str, ...]) -> list[int]:
        """The ids of those marks that are a single token."""
        return [ids[0] for ids in [await self.ids(mark) for mark in marks if self.available] if len(ids) == 1]

    async def ids(self, text: str, *, special: bool = False) -> list[int]:
        """A text's token ids; each text is sent to the server once."""
        if self._local is not None:
            with explain_panics(self._local.spec.model):
                return self._local.tokenizer.encode(text, add_special_tokens=special)
        return await self._once((text, special), lambda: self._tokenize(text, special))

    async def _once(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """What the server answers, asked for once however many wait for it; again if it failed."""
        if key not in self._cache:
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.pop(next(iter(self._cache)))
            self._cache[key] = asyncio.ensure_future(ask())
        try:
            return await asyncio.shield(self._cache[key])
        except BaseException:
            self._cache.pop(key, None)
            raise

    async def _tokenize(self, text: str, special: bool) -> list[int]:
        return _read_ids(
            await self._post("/tokenize", tokenize_body(self._server.dialect, self._spec.model, text, special=special))
        )


class _RemoteTemplate(Template):
    """A template that only the server has: each rendering is a call."""

    __slots__ = ("_ask",)

    def __init__(self, ask: Callable[[list[dict[str, str]], bool], str], name: str) -> None:
        super().__init__("", {}, name)
        object.__setattr__(self, "_ask", ask)

    def render(self, messages: Any, *, ask: bool = False) -> str:
        """The conversation as the server renders it."""
        return self._ask([dict(turn) for turn in messages], ask)


def _read_ids(reply: Any) -> list[int]:
    tokens = reply.get("tokens") if isinstance(reply, dict) else None
    if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
        raise EngineError("the server's /tokenize does not answer with token ids; name a `tokenizer`")
    return tokens

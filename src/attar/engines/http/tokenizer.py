"""A server's tokens and chat template: from the server itself where it tells them, else from a tokenizer that lies here.

Raw prompts become token ids wherever they can, with exactly one BOS where the model has one, so that no server adds another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import Any

from attar.chat.templates import Message, Template
from attar.core.errors import EngineError
from attar.engines.base import Spec
from attar.engines.http.server_info import TOKENIZING_SERVERS, ServerInfo, tokenize_body
from attar.engines.http.server_queue import wait_for
from attar.engines.options import title

Post = Callable[[str, dict[str, Any]], Awaitable[Any]]
_CACHE_SIZE = 4096


class ServerTokenizer:
    """How the model of one engine reads text."""

    def __init__(self, spec: Spec, look: Callable[[], ServerInfo], post: Post, tokenizer: str | None) -> None:
        self._spec, self._look, self._post = spec, look, post
        self._known: dict[tuple[str, bool], asyncio.Future[list[int]]] = {}
        self._local: Any = None
        if tokenizer:
            from attar.engines.local.engine import Local

            self._local = Local(Spec("local", tokenizer))
            _ = self._local.tokenizer

    @property
    def _server(self) -> ServerInfo:
        """What the server is: asked only where no tokenizer lies here."""
        return self._look()

    @property
    def known(self) -> bool:
        """Whether texts can be turned into ids."""
        return self._local is not None or self._server.dialect in TOKENIZING_SERVERS

    @cached_property
    def template(self) -> Template:
        """The chat template; where the server only applies it, one that asks it to."""
        if self._local is not None:
            return self._local.template
        if self._server.template is not None:
            return self._server.template
        if self._server.dialect in ("vllm", "sglang"):
            return _RemoteTemplate(self._render, f"the chat template of {title(self._spec)}")
        raise EngineError(
            f"{title(self._spec)}: the server ({self._server.dialect}) does not tell its chat template; "
            "name the model's folder or hub id with `tokenizer`"
        )

    def _render(self, messages: list[dict[str, str]], ask: bool) -> str:
        return wait_for(self._rendered(messages, ask))

    async def _rendered(self, messages: list[dict[str, str]], ask: bool) -> str:
        body = {"messages": messages, "add_generation_prompt": ask, "add_special_tokens": False}
        ids = _read_ids(await self._post("/tokenize", body))
        told = await self._post("/detokenize", {"tokens": ids})
        return str(told.get("prompt", told.get("text", "")))

    async def render(self, messages: Sequence[Message], *, ask: bool = False) -> str:
        """A conversation as text, on the event loop: a template that only the server has is not waited for there."""
        if isinstance(self.template, _RemoteTemplate):
            return await self._rendered([dict(turn) for turn in messages], ask)
        return self.template.render(messages, ask=ask)

    async def raw(self, text: str) -> list[int] | str:
        """A raw prompt as it is best sent."""
        if not self.known:
            return text
        if self._local is not None:
            return self._local.tokens(text)
        start = (await self.ids("", special=True))[:1]
        found = await self.ids(text)
        return found if not start or found[:1] == start else [*start, *found]

    async def single(self, marks: tuple[str, ...]) -> list[int]:
        """The ids of those marks that are one token."""
        return [ids[0] for ids in [await self.ids(mark) for mark in marks if self.known] if len(ids) == 1]

    async def ids(self, text: str, *, special: bool = False) -> list[int]:
        """A text's tokens; the server is asked once for each text."""
        if self._local is not None:
            return self._local.tokenizer.encode(text, add_special_tokens=special)
        key = (text, special)
        if key not in self._known:
            if len(self._known) >= _CACHE_SIZE:
                self._known.pop(next(iter(self._known)))
            self._known[key] = asyncio.ensure_future(self._ask(text, special))
        try:
            return await asyncio.shield(self._known[key])
        except BaseException:
            self._known.pop(key, None)
            raise

    async def _ask(self, text: str, special: bool) -> list[int]:
        return _read_ids(
            await self._post("/tokenize", tokenize_body(self._server.dialect, self._spec.model, text, special=special))
        )


class _RemoteTemplate(Template):
    """A template that only the server has: it is asked to render."""

    __slots__ = ("_ask",)

    def __init__(self, ask: Callable[[list[dict[str, str]], bool], str], name: str) -> None:
        super().__init__("", {}, name)
        object.__setattr__(self, "_ask", ask)

    def render(self, messages: Any, *, ask: bool = False) -> str:
        """As the server does."""
        return self._ask([dict(turn) for turn in messages], ask)


def _read_ids(told: Any) -> list[int]:
    tokens = told.get("tokens") if isinstance(told, dict) else None
    if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
        raise EngineError("the server's /tokenize does not answer with token ids; name a `tokenizer`")
    return tokens

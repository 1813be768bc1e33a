"""An engine with a journal and a meter.

It sends only requests without a stored reply, counts usage, and stops at the run's limits. Several threads may use it
at once; equal requests in flight are sent once, whichever thread has them.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b
from itertools import chain
from queue import SimpleQueue
from typing import Any

from attar.core.errors import EngineError, LimitError
from attar.engines.base import Reply, Request, Spec
from attar.engines.journal import Journal, load_reply
from attar.engines.meter import Meter
from attar.engines.options import title
from attar.engines.registry import Verb, identity_of, kind_of
from attar.engines.thinking import separate

_KEY_NAMES = {"generate": "write"}
"""Verb names in the journal's keys: old names stay, so that replies of earlier versions are found."""
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
_KEYS_PER_LOOKUP = 32
"""A lookup costs mostly its wait for the GIL; more keys at once would take more requests before there is room for them."""
_Answers = SimpleQueue[Reply | Request]
"""Results from other threads' requests: a reply, or the request itself if the other thread gave it up."""


class Journaled:
    """An engine, its journal and its meter."""

    def __init__(self, engine: Any, journal: Journal, meter: Meter | None = None) -> None:
        self.engine = engine
        self.journal = journal
        self.meter = meter or Meter()
        self.spec: Spec = engine.spec
        self.kind = kind_of(self.spec)
        if self.kind.throttles:
            engine.careful = self.meter.limits_requests
        if self.kind.batches:
            engine.journal = journal
        self._identity = ""
        self._in_flight: dict[bytes, list[tuple[_Answers, Request]]] = {}
        self._lock = threading.Lock()

    @property
    def sent_count(self) -> int:
        """Requests sent since the meter was opened."""
        return self.meter.now.asked

    @property
    def recalled_count(self) -> int:
        """Requests not sent: their reply was in the journal, or an equal request was in flight."""
        return self.meter.now.recalled

    @property
    def in_flight(self) -> int:
        """Requests that a server is working on."""
        return self.engine.in_flight if self.kind.reports else 0

    @property
    def errors(self) -> Counter[str]:
        """Failed tries by kind."""
        return self.engine.errors if self.kind.reports else Counter()

    def identity(self) -> str:
        """As of the engine."""
        if not self._identity:
            self._identity = identity_of(self.engine)
        return self._identity

    @property
    def template(self) -> Any:
        """As of the engine."""
        if not self.kind.template:
            raise EngineError(f"{title(self.spec)}: engines of this kind have no chat template, which this step needs")
        return self.engine.template

    def close(self) -> None:
        """Close the engine; the journal stays open."""
        self.engine.close()

    def generate(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """As the engine, through the journal."""
        return self._run("generate", requests)

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """As the engine, through the journal."""
        return self._run("weigh", requests)

    def embed(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """As the engine, through the journal."""
        return self._run("embed", requests)

    def reward(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """As the engine, through the journal."""
        return self._run("reward", requests)

    def _run(self, verb: Verb, requests: Iterable[Request]) -> Iterator[Reply]:
        if verb not in self.kind.verbs:
            raise EngineError(f"{title(self.spec)} cannot {verb}: engines of this kind {', '.join(self.kind.verbs)}")
        return (separate(reply) for reply in _Call(self, verb, getattr(self.engine, verb)).replies(requests))

    def join_pending(self, key: bytes, answers: _Answers, request: Request) -> bool:
        """If an equal request is in flight, wait for its reply and return True; else reserve the key."""
        with self._lock:
            if key in self._in_flight:
                self._in_flight[key].append((answers, request))
                return True
            self._in_flight[key] = []
            return False

    def release(self, key: bytes, reply: Reply | None) -> None:
        """Give the reply to every thread that waits for it; None gives them their requests back."""
        with self._lock:
            others = self._in_flight.pop(key)
        for answers, request in others:
            answers.put(replace(reply, index=request.index) if reply is not None else request)

    def key(self, verb: str, request: Request) -> bytes:
        """The hash of everything that determines a reply."""
        sampling = request.sampling
        is_random = sampling is not None and sampling.temperature > 0
        parts = (
            self.identity(),
            _KEY_NAMES.get(verb, verb),
            [dict(turn) for turn in request.messages],
            request.text,
            (sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.stop, sampling.schema) if sampling else None,
            request.seed if is_random else 0,
            request.labels,
        )
        return blake2b(_encode(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


class _Call:
    """One verb on some requests: replies come from the journal, from equal requests in flight, or from the engine."""

    def __init__(self, owner: Journaled, verb: str, call: Callable[..., Iterator[Reply]]) -> None:
        self._owner = owner
        self._verb = verb
        self._call = call
        self._answers: _Answers = SimpleQueue()
        self._reserved: dict[bytes, Request] = {}
        """Requests whose keys are reserved and not yet looked up, or not yet sent."""
        self._keys: dict[int, bytes] = {}
        """The keys of the requests in flight."""
        self._waiting = 0
        self._stopped = ""
        self._trouble = ""
        self._orphans: list[Request] = []

    def replies(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Every request's reply; raises at the end if a limit left some unsent."""
        meter = self._owner.meter
        try:
            first = next(stream := self._requests_to_send(requests), None)
            if first is not None:  # without a request to send, no model is loaded
                for reply in self._call(chain([first], stream)):
                    meter.count_reply(reply)
                    self._owner.journal.keep(self._keys[reply.index], reply)
                    self._owner.release(self._keys.pop(reply.index), reply)
                    yield reply
                    while not self._answers.empty():
                        yield from self._take_answer()
        finally:
            meter.count_dropped(len(self._keys))
            for key in (*self._keys.values(), *self._reserved):
                self._owner.release(key, None)
        while self._waiting:
            yield from self._take_answer()
        if self._orphans:
            yield from _Call(self._owner, self._verb, self._call).replies(self._orphans)
        if self._trouble:
            raise EngineError(
                f"the journal {self._owner.journal.path} cannot be written ({self._trouble}), so no more requests were sent: "
                "free disk space or fix the cause, and run the same command again"
            )
        if self._stopped:
            raise LimitError(f"{self._stopped}; all replies so far are kept, and the same command continues from here")

    def _requests_to_send(self, requests: Iterable[Request]) -> Iterator[Request]:
        """The requests that neither the journal nor another thread answers."""
        for request in requests:
            key = self._owner.key(self._verb, request)
            if self._owner.join_pending(key, self._answers, request):
                self._waiting += 1
            else:
                self._reserved[key] = request
                if len(self._reserved) == _KEYS_PER_LOOKUP:
                    yield from self._look_up()
        yield from self._look_up()

    def _look_up(self) -> Iterator[Request]:
        """The reserved requests without a stored reply; the limits are checked just before each is sent."""
        owner = self._owner
        found = owner.journal.find(self._reserved)
        for key, request in tuple(self._reserved.items()):
            reply = load_reply(found[key], request.index) if key in found else None
            del self._reserved[key]
            if reply is not None:
                self._answers.put(reply)
                self._waiting += 1
                owner.release(key, reply)
            elif trouble := owner.journal.trouble:
                owner.release(key, None)
                self._trouble = trouble
            elif reason := owner.meter.stop_reason():
                owner.release(key, None)
                self._stopped = reason
            else:
                self._keys[request.index] = key
                owner.meter.count_sent()
                yield request

    def _take_answer(self) -> Iterator[Reply]:
        """Take one answer that did not come from this call; a request that was given up is sent after all others."""
        self._waiting -= 1
        answer = self._answers.get()
        if isinstance(answer, Reply):
            self._owner.meter.count_recalled()
            yield answer
        else:
            self._orphans.append(answer)

"""An engine that asks only what the journal does not know, counts what it takes, and stops asking when the meter says so.

Several threads may ask at once; equal requests under way are asked once, whoever asks.
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

_KEY_NAMES = {"generate": "write"}
"""What a verb is called in the journal's keys: an old name stays, so that replies of earlier versions are found."""
_Answers = SimpleQueue[Reply | Request]
"""What others' asking brings: a reply, or the request itself where they gave it up."""


class Journaled:
    """An engine, its journal and its meter."""

    def __init__(self, engine: Any, journal: Journal, meter: Meter | None = None) -> None:
        self.engine, self.journal, self.meter = engine, journal, meter or Meter()
        self.spec: Spec = engine.spec
        self.kind = kind_of(self.spec)
        if self.kind.throttles:
            engine.careful = self.meter.limited
        if self.kind.batches:
            engine.journal = journal
        self._identity = ""
        self._under_way: dict[bytes, list[tuple[_Answers, Request]]] = {}
        self._lock = threading.Lock()

    @property
    def asked(self) -> int:
        """Requests that were asked since the meter was opened."""
        return self.meter.now.asked

    @property
    def recalled(self) -> int:
        """Requests that were not asked: the journal knew the reply, or somebody was asking for it already."""
        return self.meter.now.recalled

    @property
    def in_flight(self) -> int:
        """Requests that a server is at work on."""
        return self.engine.in_flight if self.kind.reports else 0

    @property
    def errors(self) -> Counter[str]:
        """Failed tries by kind."""
        return self.engine.errors if self.kind.reports else Counter()

    def identity(self) -> str:
        """The engine's own."""
        if not self._identity:
            self._identity = identity_of(self.engine)
        return self._identity

    @property
    def template(self) -> Any:
        """The engine's own."""
        if not self.kind.template:
            raise EngineError(f"{title(self.spec)}: engines of this kind have no chat template, which this step needs")
        return self.engine.template

    def close(self) -> None:
        """Close the engine; the journal is its owner's."""
        self.engine.close()

    def generate(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """As the engine, through the journal."""
        return self._through("generate", requests)

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """As the engine, through the journal."""
        return self._through("weigh", requests)

    def embed(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """As the engine, through the journal."""
        return self._through("embed", requests)

    def reward(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """As the engine, through the journal."""
        return self._through("reward", requests)

    def _through(self, verb: Verb, requests: Iterable[Request]) -> Iterator[Reply]:
        if verb not in self.kind.verbs:
            raise EngineError(f"{title(self.spec)} cannot {verb}: engines of this kind {', '.join(self.kind.verbs)}")
        return _Call(self, verb, getattr(self.engine, verb)).replies(requests)

    def joined(self, key: bytes, answers: _Answers, request: Request) -> bool:
        """Wait for whoever asks the same already; else be the one who asks."""
        with self._lock:
            if key in self._under_way:
                self._under_way[key].append((answers, request))
                return True
            self._under_way[key] = []
            return False

    def release(self, key: bytes, reply: Reply | None) -> None:
        """Hand the reply to all who wait for it; None gives their requests back to them."""
        with self._lock:
            others = self._under_way.pop(key)
        for answers, request in others:
            answers.put(replace(reply, index=request.index) if reply is not None else request)

    def key(self, verb: str, request: Request) -> bytes:
        """The hash of all that decides a reply."""
        sampling = request.sampling
        drawn = sampling is not None and sampling.temperature > 0
        parts = (
            self.identity(),
            _KEY_NAMES.get(verb, verb),
            [dict(turn) for turn in request.messages],
            request.text,
            (sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.stop, sampling.schema) if sampling else None,
            request.seed if drawn else 0,
            request.labels,
        )
        text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class _Call:
    """One verb on one iterable of requests: some replies are known, some come from others' asking, the rest are asked for."""

    def __init__(self, owner: Journaled, verb: str, ask: Callable[..., Iterator[Reply]]) -> None:
        self._owner, self._verb, self._ask = owner, verb, ask
        self._answers: _Answers = SimpleQueue()
        self._keys: dict[int, bytes] = {}
        self._waiting = 0
        self._stopped = ""
        self._trouble = ""
        self._orphans: list[Request] = []

    def replies(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Every request's reply; raises at the end where a limit left some unasked."""
        meter = self._owner.meter
        try:
            first = next(stream := self._unknown(requests), None)
            if first is not None:  # a run that asks nothing opens no model
                for reply in self._ask(chain([first], stream)):
                    meter.answered(reply)
                    self._owner.journal.keep(self._keys[reply.index], reply)
                    self._owner.release(self._keys.pop(reply.index), reply)
                    yield reply
                    while not self._answers.empty():
                        yield from self._taken()
        finally:
            meter.dropped(len(self._keys))
            for key in self._keys.values():
                self._owner.release(key, None)
        while self._waiting:
            yield from self._taken()
        if self._orphans:
            yield from _Call(self._owner, self._verb, self._ask).replies(self._orphans)
        if self._trouble:
            raise EngineError(
                f"the journal {self._owner.journal.path} cannot be written ({self._trouble}), so nothing more was asked for: "
                "make room or put it right, and run the same command again"
            )
        if self._stopped:
            raise LimitError(f"{self._stopped}; what was answered is kept, and the same command goes on from here")

    def _unknown(self, requests: Iterable[Request]) -> Iterator[Request]:
        """The requests that have to be asked here."""
        owner = self._owner
        for request in requests:
            key = owner.key(self._verb, request)
            if owner.joined(key, self._answers, request):
                self._waiting += 1
            elif (text := owner.journal.find(key)) is not None:
                self._answers.put(reply := load_reply(text, request.index))
                self._waiting += 1
                owner.release(key, reply)
            elif trouble := owner.journal.trouble:
                owner.release(key, None)
                self._trouble = trouble
            elif reason := owner.meter.full():
                owner.release(key, None)
                self._stopped = reason
            else:
                self._keys[request.index] = key
                owner.meter.asks()
                yield request

    def _taken(self) -> Iterator[Reply]:
        """One answer that was not asked for here; where its asker gave it up, it is asked here after all else."""
        self._waiting -= 1
        answer = self._answers.get()
        if isinstance(answer, Reply):
            self._owner.meter.recalled()
            yield answer
        else:
            self._orphans.append(answer)

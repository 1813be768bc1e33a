"""Writing with slot refill: a row that ends makes room at once, so that long answers do not hold a batch up.

Every row's text is decided by its own prompt, sampling and seed: neither its neighbours nor the number of slots enter.
Rows stand right-aligned in one key-value cache; newcomers are read in together, then join.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from attar.core.errors import EngineError
from attar.engines.base import Sampling


@dataclass(slots=True)
class SequenceState:
    """One text to write: the prompt's tokens, how to draw, and what has come so far."""

    index: int
    prompt: list[int]
    sampling: Sampling
    stop_ids: frozenset[int]
    seed: int
    ended: Callable[[list[int]], bool] | None = None
    """Whether the text of these tokens ends it, where a stop is not one token."""
    ids: list[int] = field(default_factory=list)
    finish: str | None = None
    dice: np.random.Generator | None = None

    def __post_init__(self) -> None:
        if self.sampling.temperature > 0:
            self.dice = np.random.Generator(np.random.Philox(self.seed))

    def restart(self) -> None:
        """Forget what was written; it will come out the same."""
        self.ids.clear()
        self.__post_init__()

    def roll(self) -> float:
        """The next random number of this row, and of no other."""
        return self.dice.random() if self.dice else 0.0

    @property
    def length(self) -> int:
        """Positions that it holds in the cache."""
        return len(self.prompt) + len(self.ids)


class _GrowingLayer(DynamicLayer):
    """A layer's keys and values in a buffer with room to grow, so that a step writes in place and copies nothing."""

    def __init__(self, keys: Tensor, values: Tensor, room: int) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.size = keys.shape[-2]
        self.buffers = [self._widen(keys, room), self._widen(values, room)]
        self._view()

    def _widen(self, states: Tensor, room: int) -> Tensor:
        batch, heads, _, width = states.shape
        buffer = states.new_empty(batch, heads, self.size + room, width)
        buffer[:, :, : self.size] = states[:, :, : self.size]
        return buffer

    def _view(self) -> None:
        self.keys, self.values = (buffer[:, :, : self.size] for buffer in self.buffers)

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        if self.size == self.buffers[0].shape[-2]:
            self.buffers = [self._widen(buffer, 64) for buffer in self.buffers]
        self.buffers[0][:, :, self.size] = key_states[:, :, 0]
        self.buffers[1][:, :, self.size] = value_states[:, :, 0]
        self.size += 1
        self._view()
        return self.buffers[0][:, :, : self.size], self.buffers[1][:, :, : self.size]


@dataclass(slots=True)
class _Batch:
    """The rows being written, their cache, and the last token of each."""

    jobs: list[SequenceState]
    cache: DynamicCache
    mask: Tensor
    last: Tensor


def check_layers(config: Any) -> None:
    """Refuse a model whose layers keep something other than keys and values."""
    kinds = set(getattr(config.get_text_config(), "layer_types", None) or ())
    if odd := kinds - {"full_attention", "sliding_attention", "chunked_attention"}:
        raise EngineError(
            f"its layers of kind {', '.join(sorted(odd))} cannot be refilled in this process: serve it (vllm, llama.cpp)"
        )


class _Waiting:
    """Jobs not yet begun: those put back first, then the stream's own."""

    def __init__(self, jobs: Iterator[SequenceState]) -> None:
        self.jobs, self.first = iter(jobs), deque[SequenceState]()
        self.reading: list[SequenceState] = []

    def __iter__(self) -> Iterator[SequenceState]:
        while self:
            yield self.first.popleft()

    def __bool__(self) -> bool:
        if not self.first:
            self.first.extend(islice(self.jobs, 1))
        return bool(self.first)

    def put_back(self, jobs: list[SequenceState]) -> None:
        """Jobs to begin again, before all others."""
        for job in jobs:
            job.restart()
        self.first.extendleft(reversed(jobs))
        self.reading = []


class ContinuousBatcher:
    """Writes jobs with at most `slots` at a time."""

    def __init__(self, model: Any, slots: int) -> None:
        check_layers(model.config)
        self.model, self.slots, self.device = model, slots, model.device

    @torch.inference_mode()
    def run(self, jobs: Iterator[SequenceState]) -> Iterator[SequenceState]:
        """Take jobs as slots come free; give each back when it is done. Where memory runs out, go on with half the slots."""
        waiting = _Waiting(jobs)
        batch: _Batch | None = None
        while batch or waiting:
            try:
                if self._room(batch, waiting):
                    batch = self._admit(batch, waiting)
                elif batch:
                    self._step(batch)
            except torch.OutOfMemoryError as error:
                batch = self._restart(batch, waiting, error)
            if batch:
                yield from (job for job in batch.jobs if job.finish)
                batch = self._compact(batch)

    def _room(self, batch: _Batch | None, waiting: _Waiting) -> int:
        """How many newcomers to take: none until an eighth of the slots is free, so that reading in is worth its while."""
        free = self.slots - (len(batch.jobs) if batch else 0)
        return free if free >= max(1, self.slots // 8) and waiting else 0

    def _admit(self, batch: _Batch | None, waiting: _Waiting) -> _Batch:
        """Read newcomers in, and let them join."""
        waiting.reading = list(islice(waiting, self._room(batch, waiting)))
        joined = self._join(batch, self._read_in(waiting.reading))
        waiting.reading = []
        return joined

    def _restart(self, batch: _Batch | None, waiting: _Waiting, error: Exception) -> None:
        """Half the slots, and all that was under way begun anew: what a step cut short left behind is not to be trusted."""
        under_way = [*(batch.jobs if batch else []), *waiting.reading]
        if len(under_way) <= 1:
            raise EngineError("the device's memory does not hold one row: use shorter rows or a smaller model") from error
        self.slots = len(under_way) // 2
        waiting.put_back(under_way)

    def _read_in(self, jobs: list[SequenceState]) -> _Batch:
        """Read the newcomers' prompts and draw the first token of each."""
        longest = max(len(job.prompt) for job in jobs)
        ids = torch.zeros(len(jobs), longest, dtype=torch.long)
        mask = torch.zeros(len(jobs), longest, dtype=torch.long)
        for i, job in enumerate(jobs):
            ids[i, longest - len(job.prompt) :] = torch.tensor(job.prompt)
            mask[i, longest - len(job.prompt) :] = 1
        cache, mask = DynamicCache(), mask.to(self.device)
        logits = self.model(
            input_ids=ids.to(self.device),
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        return _Batch(jobs, cache, mask, self._draw(logits, jobs))

    def _step(self, batch: _Batch) -> None:
        """One more token for every row."""
        batch.mask = torch.cat([batch.mask, batch.mask.new_ones(len(batch.jobs), 1)], dim=1)
        positions = torch.tensor([[job.length - 1] for job in batch.jobs], device=self.device)
        logits = self.model(
            input_ids=batch.last[:, None],
            attention_mask=batch.mask,
            position_ids=positions,
            past_key_values=batch.cache,
            use_cache=True,
        ).logits[:, -1]
        batch.last = self._draw(logits, batch.jobs)

    def _draw(self, logits: Tensor, jobs: list[SequenceState]) -> Tensor:
        """Draw each row's next token, and note which rows end with it."""
        highest, best = logits.max(-1)
        if bool(highest.isnan().any()):  # the highest of any NaN is NaN
            raise EngineError("the model's scores are not numbers (NaN) in this precision: choose another dtype")
        if any(job.dice for job in jobs):
            best = torch.where(*_sample_tokens(logits, jobs, best))
        for job, token in zip(jobs, best.tolist(), strict=True):
            if token in job.stop_ids:
                job.finish = "stop"
                continue
            job.ids.append(token)
            if job.ended and job.ended(job.ids):
                job.finish = "stop"
            elif len(job.ids) >= job.sampling.max_tokens:
                job.finish = "length"
        return best

    def _compact(self, batch: _Batch) -> _Batch | None:
        """Without the rows that are done."""
        alive = [i for i, job in enumerate(batch.jobs) if not job.finish]
        if len(alive) == len(batch.jobs):
            return batch
        return self._gather(batch, alive) if alive else None

    def _gather(self, batch: _Batch, rows: list[int]) -> _Batch:
        jobs = [batch.jobs[i] for i in rows]
        pick = torch.tensor(rows, device=self.device)
        size = max(job.length for job in jobs) - 1
        lanes = [(keys[pick, :, -size:], values[pick, :, -size:]) for keys, values in _layer_states(batch.cache)]
        return _Batch(jobs, _make_cache(lanes), batch.mask[pick, -size:], batch.last[pick])

    def _join(self, old: _Batch | None, new: _Batch) -> _Batch:
        """Two batches as one, right-aligned."""
        if old is None:
            return _Batch(new.jobs, _make_cache(_layer_states(new.cache)), new.mask, new.last)
        size = max(old.mask.shape[1], new.mask.shape[1])
        pairs = zip(_layer_states(old.cache), _layer_states(new.cache), strict=True)
        lanes = [
            (_stack_right_aligned(ours[0], theirs[0], size), _stack_right_aligned(ours[1], theirs[1], size))
            for ours, theirs in pairs
        ]
        mask = torch.cat([torch.nn.functional.pad(batch.mask, (size - batch.mask.shape[1], 0)) for batch in (old, new)])
        return _Batch(old.jobs + new.jobs, _make_cache(lanes), mask, torch.cat([old.last, new.last]))


def _layer_states(cache: DynamicCache) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of every layer."""
    layers: list[Any] = cache.layers
    return [(layer.keys, layer.values) for layer in layers]


def _make_cache(lanes: list[tuple[Tensor, Tensor]], room: int = 64) -> DynamicCache:
    cache = DynamicCache()
    cache.layers.extend(_GrowingLayer(keys, values, room) for keys, values in lanes)
    return cache


def _stack_right_aligned(old: Tensor, new: Tensor, size: int) -> Tensor:
    out = old.new_zeros(old.shape[0] + new.shape[0], old.shape[1], size, old.shape[3])
    out[: old.shape[0], :, size - old.shape[2] :] = old
    out[old.shape[0] :, :, size - new.shape[2] :] = new
    return out


def _sample_tokens(logits: Tensor, jobs: list[SequenceState], greedy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Inverse-CDF draws, one random number a row: (rows that sample, their tokens, greedy ones)."""
    heat = torch.tensor([job.sampling.temperature for job in jobs], dtype=logits.dtype, device=logits.device)
    nucleus = torch.tensor([job.sampling.top_p for job in jobs], dtype=logits.dtype, device=logits.device)
    rolls = torch.tensor([job.roll() for job in jobs], dtype=logits.dtype, device=logits.device)
    chances = (logits / heat.clamp(min=1e-6)[:, None]).softmax(-1)
    order = None
    if bool((nucleus < 1).any()):
        chances, order = chances.sort(dim=-1, descending=True, stable=True)
        before = chances.cumsum(-1) - chances
        chances = chances * (before < nucleus[:, None].clamp(min=1e-9))
    rising = chances.cumsum(-1)
    drawn = torch.searchsorted(rising, rolls[:, None] * rising[:, -1:], right=True).clamp(max=logits.shape[-1] - 1)
    if order is not None:
        drawn = order.gather(-1, drawn)
    return heat > 0, drawn[:, 0], greedy

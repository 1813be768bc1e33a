"""Generation with continuous batching: a finished row's slot is refilled at once, so long answers do not delay the batch.

A row's text depends only on its own prompt, sampling and seed, not on its neighbours or the number of slots.
Rows are right-aligned in one key-value cache; new rows are prefilled together, then join the batch.
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
from attar.engines.local.thought_limit import ThoughtLimit


@dataclass(slots=True)
class SequenceState:
    """One sequence to generate: the prompt's tokens, how to sample, and the tokens so far."""

    index: int
    prompt: list[int]
    sampling: Sampling
    stop_ids: frozenset[int]
    seed: int
    stops_at: Callable[[list[int]], bool] | None = None
    """True if the text of these tokens ends with a stop; only for stops of several tokens."""
    thought: ThoughtLimit | None = None
    """The limits on tokens, where the text may begin with a thought."""
    ids: list[int] = field(default_factory=list)
    finish: str | None = None
    dice: np.random.Generator | None = None

    def __post_init__(self) -> None:
        if self.sampling.temperature > 0:
            self.dice = np.random.Generator(np.random.Philox(self.seed))

    def is_full(self) -> bool:
        """True if the text has all the tokens that it may have."""
        most = self.sampling.max_tokens
        return self.thought.is_reached(self.ids, most) if self.thought else len(self.ids) >= most

    def restart(self) -> None:
        """Discard the tokens so far; generating again gives the same ones."""
        self.ids.clear()
        self.__post_init__()

    def roll(self) -> float:
        """The row's next random number."""
        return self.dice.random() if self.dice else 0.0

    @property
    def length(self) -> int:
        """Positions that the row takes in the cache."""
        return len(self.prompt) + len(self.ids)


class _GrowingLayer(DynamicLayer):
    """A layer's keys and values in a larger buffer, so that a step writes in place and copies nothing."""

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
    """The rows being generated, their cache and mask, and each row's last token."""

    jobs: list[SequenceState]
    cache: DynamicCache
    mask: Tensor
    last: Tensor


def check_layers(config: Any) -> None:
    """Raise if a layer's state is something other than keys and values."""
    kinds = set(getattr(config.get_text_config(), "layer_types", None) or ())
    if unsupported := kinds - {"full_attention", "sliding_attention", "chunked_attention"}:
        raise EngineError(
            f"its layers of kind {', '.join(sorted(unsupported))} cannot be batched in this process: serve it (vllm, llama.cpp)"
        )


class _Waiting:
    """Jobs not started: first those that were put back, then the others."""

    def __init__(self, jobs: Iterator[SequenceState]) -> None:
        self.jobs = iter(jobs)
        self.first = deque[SequenceState]()
        self.prefilling: list[SequenceState] = []

    def __iter__(self) -> Iterator[SequenceState]:
        while self:
            yield self.first.popleft()

    def __bool__(self) -> bool:
        if not self.first:
            self.first.extend(islice(self.jobs, 1))
        return bool(self.first)

    def put_back(self, jobs: list[SequenceState]) -> None:
        """Start these jobs again, before all others."""
        for job in jobs:
            job.restart()
        self.first.extendleft(reversed(jobs))
        self.prefilling = []


class ContinuousBatcher:
    """Generates jobs, at most `slots` at a time."""

    def __init__(self, model: Any, slots: int) -> None:
        check_layers(model.config)
        self.model = model
        self.slots = slots
        self.device = model.device

    @torch.inference_mode()
    def run(self, jobs: Iterator[SequenceState]) -> Iterator[SequenceState]:
        """Take jobs as slots become free, and yield each when it is done. If memory runs out, continue with half the slots."""
        waiting = _Waiting(jobs)
        batch: _Batch | None = None
        while batch or waiting:
            try:
                if self._count_new_rows(batch, waiting):
                    batch = self._admit(batch, waiting)
                elif batch:
                    self._step(batch)
            except torch.OutOfMemoryError as error:
                batch = self._restart(batch, waiting, error)
            if batch:
                yield from (job for job in batch.jobs if job.finish)
                batch = self._compact(batch)

    def _count_new_rows(self, batch: _Batch | None, waiting: _Waiting) -> int:
        """How many new rows to take: none until an eighth of the slots is free, so that a prefill pays."""
        free = self.slots - (len(batch.jobs) if batch else 0)
        return free if free >= max(1, self.slots // 8) and waiting else 0

    def _admit(self, batch: _Batch | None, waiting: _Waiting) -> _Batch:
        """Prefill new rows, and join them to the batch."""
        waiting.prefilling = list(islice(waiting, self._count_new_rows(batch, waiting)))
        merged = self._join(batch, self._prefill(waiting.prefilling))
        waiting.prefilling = []
        return merged

    def _restart(self, batch: _Batch | None, waiting: _Waiting, error: Exception) -> None:
        """Halve the slots and start all rows again: the failed step may have left the cache half-written."""
        active = [*(batch.jobs if batch else []), *waiting.prefilling]
        if len(active) <= 1:
            raise EngineError("the device has too little memory for one row: use shorter rows or a smaller model") from error
        self.slots = len(active) // 2
        waiting.put_back(active)

    def _prefill(self, jobs: list[SequenceState]) -> _Batch:
        """Run the model on the new rows' prompts, and sample the first token of each."""
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
        return _Batch(jobs, cache, mask, self._sample(logits, jobs))

    def _step(self, batch: _Batch) -> None:
        """Generate one more token for every row."""
        batch.mask = torch.cat([batch.mask, batch.mask.new_ones(len(batch.jobs), 1)], dim=1)
        positions = torch.tensor([[job.length - 1] for job in batch.jobs], device=self.device)
        logits = self.model(
            input_ids=batch.last[:, None],
            attention_mask=batch.mask,
            position_ids=positions,
            past_key_values=batch.cache,
            use_cache=True,
        ).logits[:, -1]
        batch.last = self._sample(logits, batch.jobs)

    def _sample(self, logits: Tensor, jobs: list[SequenceState]) -> Tensor:
        """Sample each row's next token, and set `finish` on the rows that end with it."""
        highest, best = logits.max(-1)
        if bool(highest.isnan().any()):  # the maximum of a row with a NaN is NaN
            raise EngineError("the model's logits are NaN in this precision: choose another dtype")
        if any(job.dice for job in jobs):
            best = torch.where(*_sample_tokens(logits, jobs, best))
        for job, token in zip(jobs, best.tolist(), strict=True):
            if token in job.stop_ids:
                job.finish = "stop"
                continue
            job.ids.append(token)
            if job.stops_at and job.stops_at(job.ids):
                job.finish = "stop"
            elif job.is_full():
                job.finish = "length"
        return best

    def _compact(self, batch: _Batch) -> _Batch | None:
        """The batch without the rows that are done."""
        alive = [i for i, job in enumerate(batch.jobs) if not job.finish]
        if len(alive) == len(batch.jobs):
            return batch
        return self._gather(batch, alive) if alive else None

    def _gather(self, batch: _Batch, rows: list[int]) -> _Batch:
        jobs = [batch.jobs[i] for i in rows]
        pick = torch.tensor(rows, device=self.device)
        size = max(job.length for job in jobs) - 1
        layers = [(keys[pick, :, -size:], values[pick, :, -size:]) for keys, values in _layer_states(batch.cache)]
        return _Batch(jobs, _make_cache(layers), batch.mask[pick, -size:], batch.last[pick])

    def _join(self, old: _Batch | None, new: _Batch) -> _Batch:
        """Two batches as one, right-aligned."""
        if old is None:
            return _Batch(new.jobs, _make_cache(_layer_states(new.cache)), new.mask, new.last)
        size = max(old.mask.shape[1], new.mask.shape[1])
        pairs = zip(_layer_states(old.cache), _layer_states(new.cache), strict=True)
        layers = [
            (_stack_right_aligned(old_layer[0], new_layer[0], size), _stack_right_aligned(old_layer[1], new_layer[1], size))
            for old_layer, new_layer in pairs
        ]
        mask = torch.cat([torch.nn.functional.pad(batch.mask, (size - batch.mask.shape[1], 0)) for batch in (old, new)])
        return _Batch(old.jobs + new.jobs, _make_cache(layers), mask, torch.cat([old.last, new.last]))


def _layer_states(cache: DynamicCache) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of every layer."""
    layers: list[Any] = cache.layers
    return [(layer.keys, layer.values) for layer in layers]


def _make_cache(layers: list[tuple[Tensor, Tensor]], room: int = 64) -> DynamicCache:
    cache = DynamicCache()
    cache.layers.extend(_GrowingLayer(keys, values, room) for keys, values in layers)
    return cache


def _stack_right_aligned(old: Tensor, new: Tensor, size: int) -> Tensor:
    out = old.new_zeros(old.shape[0] + new.shape[0], old.shape[1], size, old.shape[3])
    out[: old.shape[0], :, size - old.shape[2] :] = old
    out[old.shape[0] :, :, size - new.shape[2] :] = new
    return out


def _sample_tokens(logits: Tensor, jobs: list[SequenceState], greedy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Inverse-CDF sampling with one random number per row: (rows that sample, their tokens, the greedy tokens)."""
    temperature = torch.tensor([job.sampling.temperature for job in jobs], dtype=logits.dtype, device=logits.device)
    top_p = torch.tensor([job.sampling.top_p for job in jobs], dtype=logits.dtype, device=logits.device)
    uniform = torch.tensor([job.roll() for job in jobs], dtype=logits.dtype, device=logits.device)
    probabilities = (logits / temperature.clamp(min=1e-6)[:, None]).softmax(-1)
    order = None
    if bool((top_p < 1).any()):
        probabilities, order = probabilities.sort(dim=-1, descending=True, stable=True)
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities * (before < top_p[:, None].clamp(min=1e-9))
    cdf = probabilities.cumsum(-1)
    tokens = torch.searchsorted(cdf, uniform[:, None] * cdf[:, -1:], right=True).clamp(max=logits.shape[-1] - 1)
    if order is not None:
        tokens = order.gather(-1, tokens)
    return temperature > 0, tokens[:, 0], greedy

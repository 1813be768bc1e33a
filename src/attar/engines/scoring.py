"""One forward pass, many uses: label log-probabilities, embeddings, rewards. Rows of like length go together.

A batch that does not fit the device's memory is halved until it does.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

_TOKENS = {"cpu": 4_096, "mps": 16_384, "cuda": 131_072}

Pass = Callable[[Tensor, Tensor], Tensor]
"""(ids, mask) of a padded batch to one row of results for each."""


@torch.inference_mode()
def _in_batches(model: Any, rows: list[list[int]], run: Pass, *, left: bool = True) -> list[Tensor]:
    """Results of every row, in order; rows are padded before or behind."""
    out: list[Tensor | None] = [None] * len(rows)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    budget = _TOKENS[model.device.type]
    while order:
        size = max(1, min(len(order), budget // max(1, len(rows[order[-1]]))))
        batch = order[-size:]
        try:
            found = run(*_padded([rows[i] for i in batch], model, left)).float().cpu()
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            budget //= 2
            continue
        for i, result in zip(batch, found, strict=True):
            out[i] = result
        del order[-size:]
    return [result for result in out if result is not None]


def _padded(rows: list[list[int]], model: Any, left: bool) -> tuple[Tensor, Tensor]:
    longest = max(len(row) for row in rows)
    pad = model.config.pad_token_id or 0
    ids = [_side([pad] * (longest - len(row)), row, left) for row in rows]
    mask = [_side([0] * (longest - len(row)), [1] * len(row), left) for row in rows]
    return torch.tensor(ids, device=model.device), torch.tensor(mask, device=model.device)


def _side(padding: list[int], row: list[int], left: bool) -> list[int]:
    return padding + row if left else row + padding


def _positions(mask: Tensor) -> Tensor:
    return (mask.cumsum(1) - 1).clamp(min=0)


def weigh(model: Any, prompts: list[list[int]], labels: list[list[list[int]]]) -> list[list[float]]:
    """Log-probability of each label's tokens after its prompt."""
    if all(len(ids) == 1 for row in labels for ids in row):
        found = _in_batches(model, prompts, lambda ids, mask: _last_logs(model, ids, mask, 1)[:, 0])
        return [[float(logs[ids[0]]) for ids in row] for logs, row in zip(found, labels, strict=True)]
    rows = [(prompt, ids) for prompt, row in zip(prompts, labels, strict=True) for ids in row]
    keep = max(len(ids) for _, ids in rows)
    found = _in_batches(model, [prompt + ids for prompt, ids in rows], lambda ids, mask: _own_logs(model, ids, mask, keep))
    sums = iter([float(logs[keep - len(ids) :].sum()) for logs, (_, ids) in zip(found, rows, strict=True)])
    return [[next(sums) for _ in row] for row in labels]


def _last_logs(model: Any, ids: Tensor, mask: Tensor, keep: int) -> Tensor:
    out = model(input_ids=ids, attention_mask=mask, position_ids=_positions(mask), use_cache=False, logits_to_keep=keep)
    return out.logits.float().log_softmax(-1)


def _own_logs(model: Any, ids: Tensor, mask: Tensor, keep: int) -> Tensor:
    """Log-probabilities of the last `keep` tokens themselves."""
    logs = _last_logs(model, ids, mask, keep + 1)[:, :-1]
    return logs.gather(-1, ids[:, -logs.shape[1] :, None])[:, :, 0]


def embed(model: Any, rows: list[list[int]], pool: str, after: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Unit vectors: the mean of the last layer's states, the last or the first of them, through the layers behind."""
    reader = model.get_encoder() if model.config.is_encoder_decoder else model

    def run(ids: Tensor, mask: Tensor) -> Tensor:
        states = reader(input_ids=ids, attention_mask=mask).last_hidden_state  # which counts positions in the model's own way
        states = states if states.dtype == torch.float64 else states.float()
        return torch.nn.functional.normalize(after(_pooled(states, mask, pool)), dim=-1)

    return torch.stack(_in_batches(model, rows, run, left=False)).numpy()


def _pooled(states: Tensor, mask: Tensor, pool: str) -> Tensor:
    """One state of each row's; padding stands behind."""
    if pool == "mean":
        return (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
    return states[torch.arange(len(states)), mask.sum(1) - 1 if pool == "last" else 0]


def reward(model: Any, rows: list[list[int]]) -> list[float]:
    """The classifier's one logit of each row."""

    def run(ids: Tensor, mask: Tensor) -> Tensor:
        return model(input_ids=ids, attention_mask=mask, position_ids=_positions(mask)).logits[:, 0]

    return [float(value) for value in _in_batches(model, rows, run)]

"""Single forward passes: label log-probabilities, embeddings, rewards. Rows of similar length share a batch.

If a batch does not fit into the device's memory, the batch size is halved until it does.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

_TOKENS = {"cpu": 4_096, "mps": 16_384, "cuda": 131_072}

ForwardPass = Callable[[Tensor, Tensor], Tensor]
"""(ids, mask) of a padded batch, both (rows, width), to one result per row."""


@torch.inference_mode()
def _in_batches(model: Any, rows: list[list[int]], run: ForwardPass, *, left: bool = True) -> list[Tensor]:
    """The result of every row, in order; rows are padded on the left or right."""
    out: list[Tensor | None] = [None] * len(rows)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    budget = _TOKENS[model.device.type]
    while order:
        size = max(1, min(len(order), budget // max(1, len(rows[order[-1]]))))
        batch = order[-size:]
        try:
            results = _to_float(run(*_pad([rows[i] for i in batch], model, left))).cpu()
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            budget //= 2
            continue
        for i, result in zip(batch, results, strict=True):
            out[i] = result
        del order[-size:]
    return [result for result in out if result is not None]


def _pad(rows: list[list[int]], model: Any, left: bool) -> tuple[Tensor, Tensor]:
    longest = max(len(row) for row in rows)
    pad = model.config.pad_token_id or 0
    ids = [_side([pad] * (longest - len(row)), row, left) for row in rows]
    mask = [_side([0] * (longest - len(row)), [1] * len(row), left) for row in rows]
    return torch.tensor(ids, device=model.device), torch.tensor(mask, device=model.device)


def _side(padding: list[int], row: list[int], left: bool) -> list[int]:
    return padding + row if left else row + padding


def _to_float(values: Tensor) -> Tensor:
    """As float32, or float64 if the model uses it."""
    return values if values.dtype == torch.float64 else values.float()


def _positions(mask: Tensor) -> Tensor:
    return (mask.cumsum(1) - 1).clamp(min=0)


def weigh(model: Any, prompts: list[list[int]], labels: Sequence[Sequence[Sequence[int]]]) -> list[list[float]]:
    """Log-probability of each label's tokens after its prompt; labels with a common prefix share a forward pass."""
    if not prompts:
        return []
    stems = [_prefixes(row) for row in labels]
    rows = [(prompt, stem) for prompt, own in zip(prompts, stems, strict=True) for stem in own]
    keep = 1 + max(len(stem) for _, stem in rows)
    tokens = sorted({token for row in labels for ids in row for token in ids})
    columns = {token: column for column, token in enumerate(tokens)}
    token_ids = torch.tensor(tokens, device=model.device)
    inputs = [prompt + list(stem) for prompt, stem in rows]
    results = iter(_in_batches(model, inputs, lambda ids, mask: _last_logprobs(model, ids, mask, keep)[:, :, token_ids]))
    out = []
    for row, own in zip(labels, stems, strict=True):
        logs = {stem: next(results) for stem in own}
        out.append([_label_logprob(ids, logs, columns) for ids in row])
    return out


def _prefixes(labels: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """The labels without their last tokens; of these, only the ones that no other continues."""
    prefixes = {tuple(ids[:-1]) for ids in labels}
    return sorted(stem for stem in prefixes if not any(other != stem and other[: len(stem)] == stem for other in prefixes))


def _label_logprob(ids: Sequence[int], logs: dict[tuple[int, ...], Tensor], columns: dict[int, int]) -> float:
    """The sum of a label's token log-probabilities, from the forward pass over a stem that starts with the label's prefix."""
    stem = next(stem for stem in logs if stem[: len(ids) - 1] == tuple(ids[:-1]))
    rows = logs[stem][-1 - len(stem) :]  # after the prompt, after the stem's first token, ...
    return sum(float(rows[at, columns[token]]) for at, token in enumerate(ids))


def _last_logprobs(model: Any, ids: Tensor, mask: Tensor, keep: int) -> Tensor:
    out = model(input_ids=ids, attention_mask=mask, position_ids=_positions(mask), use_cache=False, logits_to_keep=keep)
    return _to_float(out.logits).log_softmax(-1)


def embed(model: Any, rows: list[list[int]], pool: str, after: Callable[[Tensor], Tensor]) -> np.ndarray:
    """Unit vectors: the mean, last or first of the last layer's states, then the dense layers `after`."""
    reader = model.get_encoder() if model.config.is_encoder_decoder else model

    def run(ids: Tensor, mask: Tensor) -> Tensor:
        states = reader(input_ids=ids, attention_mask=mask).last_hidden_state  # the model computes its own positions
        return torch.nn.functional.normalize(after(_pool(_to_float(states), mask, pool)), dim=-1)

    return torch.stack(_in_batches(model, rows, run, left=False)).float().numpy()


def _pool(states: Tensor, mask: Tensor, pool: str) -> Tensor:
    """One state per row, from (rows, width, size) padded on the right."""
    if pool == "mean":
        return (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
    return states[torch.arange(len(states)), mask.sum(1) - 1 if pool == "last" else 0]


def reward(model: Any, rows: list[list[int]]) -> list[float]:
    """The classifier's single logit for each row."""

    def run(ids: Tensor, mask: Tensor) -> Tensor:
        return model(input_ids=ids, attention_mask=mask, position_ids=_positions(mask)).logits[:, 0]

    return [float(value) for value in _in_batches(model, rows, run)]

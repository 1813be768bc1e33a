"""The one training loop of the pocket models: documents in, a tiny Qwen3 out, with its curve."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from muon import Muon

Document = tuple[list[int], list[float]]
"""Token ids, and how much each bears of the loss."""


@dataclass
class Plan:
    """How long and how fast to train; `decay` is the last share of the run, in which the rate falls to nothing."""

    tokens: int
    seed: int
    matrix_lr: float = 0.02
    lr: float = 3e-3
    decay: float = 0.6
    batch: int = 64
    measure_every: int = 1_000_000
    curve: list[dict] = field(default_factory=list)


def fresh(tokenizer: PreTrainedTokenizerFast, seed: int, layers: int = 4, width: int = 128) -> Qwen3ForCausalLM:
    """An untrained pocket model."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=width * 8 // 3 // 16 * 16,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        num_key_value_heads=width // 64,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    return Qwen3ForCausalLM(config)


def batches(documents: Callable[[], Document], size: int, pad: int, rng: Random) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Rows of similar length together, in random order: (ids, weights)."""
    while True:
        pool = sorted((documents() for _ in range(size * 16)), key=lambda document: len(document[0]))
        groups = [pool[i : i + size] for i in range(0, len(pool), size)]
        rng.shuffle(groups)
        for group in groups:
            longest = len(group[-1][0])
            yield (
                torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in group]),
                torch.tensor([weights + [0.0] * (longest - len(weights)) for _, weights in group]),
            )


def train(
    model: PreTrainedModel,
    plan: Plan,
    documents: Callable[[float], Document],
    measure: Callable[[float], dict],
    pad: int,
) -> None:
    """Train in place; `documents` and `measure` are told how much of the run is over."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    muon = Muon(matrices, plan.matrix_lr)
    adam = torch.optim.AdamW(others, lr=plan.lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    rng, seen, steps, spent, next_measure = Random(plan.seed), 0, 0, 0.0, plan.measure_every
    feed = batches(lambda: documents(seen / plan.tokens), plan.batch, pad, rng)
    model.train()
    while seen < plan.tokens:
        started = time.process_time()
        done = seen / plan.tokens
        scale = min(1.0, (steps + 1) / 40, max(0.01, (1 - done) / plan.decay))
        ids, weights = next(feed)
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        losses = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        loss = (losses * weights[:, 1:]).sum() / weights[:, 1:].sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.param_groups[0]["lr"] = plan.lr * scale
        muon.step(scale)
        adam.step()
        model.zero_grad(set_to_none=True)
        steps += 1
        seen += int((ids != pad).sum())
        spent += time.process_time() - started
        if seen >= next_measure or seen >= plan.tokens:
            next_measure += plan.measure_every
            model.eval()
            point = {"tokens": seen, "steps": steps, "cpu_minutes": round(spent / 60, 2), "loss": round(loss.item(), 4)}
            plan.curve.append(point | measure(done))
            print(json.dumps(plan.curve[-1]), flush=True)
            model.train()
    model.eval()


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, plan: Plan, folder: Path) -> None:
    """Weights in bfloat16, the tokenizer, and the curve that led there."""
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    lines = (json.dumps(point) for point in plan.curve)
    (folder / "curve.jsonl").write_text("\n".join(lines) + "\n")

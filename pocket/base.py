"""Trains the pocket base: plain text of the world, no chat. A good student, once it gets chat rows.

python pocket/base.py src/attar/pocket/base     (seed 23, one core; time and curve in curve.jsonl)
"""

import sys
from pathlib import Path
from random import Random

import torch

import corpus
from measure import accuracy
from tokenizer import build
from train import Document, Plan, fresh, save, train


def main(folder: Path, tokens: int) -> None:
    """Train, measure, save."""
    torch.set_num_threads(1)
    tokenizer, rng = build(), Random(23)
    model, plan = fresh(tokenizer, seed=23), Plan(tokens=tokens, seed=23)

    def document(_: float) -> Document:
        ids = tokenizer.encode(corpus.plain(rng) + "<|endoftext|>", add_special_tokens=False)
        return ids, [1.0] * len(ids)

    train(model, plan, document, lambda _: accuracy(model, tokenizer, 96), tokenizer.pad_token_id)
    save(model, tokenizer, plan, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 12_000_000)

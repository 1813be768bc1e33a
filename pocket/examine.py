"""Prints what the committed pocket models can do, on held-out tasks.

python pocket/examine.py     (about three minutes on one core)
"""

import json
from random import Random

import torch
from rewarder import make_pairs, pair_accuracy
from teacher import services
from transformers import AutoTokenizer, Qwen3ForCausalLM, Qwen3ForSequenceClassification

from attar.engines.local.engine import POCKET
from measure import accuracy, from_nothing, held_tasks


def main() -> None:
    """One line a model."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    tokenizer = AutoTokenizer.from_pretrained(POCKET / "teacher")
    teacher = Qwen3ForCausalLM.from_pretrained(POCKET / "teacher", dtype=torch.float32).eval()
    base = Qwen3ForCausalLM.from_pretrained(POCKET / "base", dtype=torch.float32).eval()
    rewarder = Qwen3ForSequenceClassification.from_pretrained(POCKET / "rewarder", dtype=torch.float32).eval()
    found = accuracy(teacher, tokenizer, 1800, seed=1234) | from_nothing(teacher, tokenizer, 2000)
    print("teacher", json.dumps(found | services(teacher, tokenizer, 900)))
    print("base", json.dumps(accuracy(base, tokenizer, 450, seed=1234)))
    pairs = make_pairs(teacher, tokenizer, held_tasks(1800, 4321), Random(4321))
    print("rewarder", json.dumps({"pairs": len(pairs), "pair_accuracy": pair_accuracy(rewarder, tokenizer, pairs)}))


if __name__ == "__main__":
    main()

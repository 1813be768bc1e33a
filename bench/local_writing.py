"""Local generation: CPU throughput of continuous batching compared with `transformers.generate`, and what the journal costs.

    python bench/local_writing.py      (under a minute; one thread, the pocket base, float32, greedy)

256 requests, each with its own length limit from an exponential distribution; every method must generate the same texts.
`slots` is Attar's continuous batching.
"""

import tempfile
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from attar.engines.base import Request, Sampling, Spec, in_order
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled
from attar.engines.local.engine import Local
from attar.engines.local.spec import POCKET
from attar.stages.evaluate.benchmarks import pocket_exam
from measure import timed

COUNT, ROUNDS = 256, 3


def make_requests() -> list[Request]:
    """Prompts of the pocket world, each with its own limit."""
    rng = Random(0)
    prompts = pocket_exam.tasks(count=COUNT)["prompt"].to_list()
    return [
        Request(i, text=prompt, sampling=Sampling(max_tokens=min(240, 4 + int(rng.expovariate(1 / 30)))))
        for i, prompt in enumerate(prompts)
    ]


def generate(model: Any, tokenizer: Any, requests: list[Request], batch: int) -> list[str]:
    """Generate with `transformers`: batches in order of prompt length, each batch to its longest limit."""
    texts = [""] * len(requests)
    order = sorted(requests, key=lambda request: len(request.text or ""))
    for start in range(0, len(order), batch):
        group = order[start : start + batch]
        ids = tokenizer([request.text for request in group], return_tensors="pt", padding=True, add_special_tokens=False)
        longest = max(request.sampling.max_tokens for request in group)
        out = model.generate(**ids, max_new_tokens=longest, do_sample=False, pad_token_id=tokenizer.pad_token_id)
        for request, row in zip(group, out[:, ids["input_ids"].shape[1] :].tolist(), strict=True):
            end = row.index(tokenizer.eos_token_id) if tokenizer.eos_token_id in row else len(row)
            texts[request.index] = tokenizer.decode(row[: min(end, request.sampling.max_tokens)], skip_special_tokens=True)
    return texts


def write_with_journal(engine: Local, requests: list[Request]) -> None:
    """Generate through a fresh journal, to its last commit."""
    journal = Journal(Path(tempfile.mkdtemp()) / "journal.sqlite")
    in_order(Journaled(engine, journal).generate(requests), COUNT)
    journal.close()


def main() -> None:
    """Print the median tokens per CPU-second of each method, and the ratios."""
    torch.set_num_threads(1)
    engine = Local(Spec("local", "pocket:base", {"threads": 1, "slots": 256}))
    tokenizer = AutoTokenizer.from_pretrained(POCKET / "base")
    model = AutoModelForCausalLM.from_pretrained(POCKET / "base", dtype=torch.float32).eval()
    requests = make_requests()
    in_order(engine.generate(requests), COUNT)  # warm
    times: dict[str, list[float]] = {}
    texts: dict[str, list[str]] = {}
    tokens = 0
    for _ in range(ROUNDS):
        replies, seconds = timed(lambda: in_order(engine.generate(requests), COUNT))
        times.setdefault("slots", []).append(seconds)
        texts["slots"] = [reply.text for reply in replies]
        tokens = sum(reply.tokens_out for reply in replies)
        times.setdefault("slots, journal on", []).append(timed(write_with_journal, engine, requests)[1])
        for batch in (32, 64, 256):
            name = f"generate, batch {batch}"
            texts[name], seconds = timed(generate, model, tokenizer, requests, batch)
            times.setdefault(name, []).append(seconds)
    rate = {name: tokens / median(seconds) for name, seconds in times.items()}
    best = max(value for name, value in rate.items() if name.startswith("generate"))
    for name, value in rate.items():
        same = ""
        if name in texts:
            equal = sum(a == b for a, b in zip(texts[name], texts["slots"], strict=True))
            same = f"   same texts: {equal}/{COUNT}"
        print(f"{name:<20} {value:8,.0f} tokens/CPU-s   {value / best:5.2f} x the best generate{same}")
    print(f"the journal costs {100 * (rate['slots'] / rate['slots, journal on'] - 1):.1f}%")


if __name__ == "__main__":
    main()

"""Writing 256 requests of long-tailed lengths: slot refill against `transformers.generate`, and what the journal costs.

    python bench/local_writing.py      (under a minute; one thread, the pocket base, float32, greedy)

Every way writes the same texts: each request ends at its own limit, drawn from an exponential distribution.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from attar.engines.base import Request, Sampling, Spec, in_order
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled
from attar.engines.local.engine import POCKET, Local
from attar.stages.evaluate.benchmarks import pocket_exam

COUNT, ROUNDS = 256, 3


def requests() -> list[Request]:
    """Prompts of the world, each with its own length to write."""
    rng = Random(0)
    prompts = pocket_exam.tasks(count=COUNT)["prompt"].to_list()
    return [
        Request(i, text=prompt, sampling=Sampling(max_tokens=min(240, 4 + int(rng.expovariate(1 / 30)))))
        for i, prompt in enumerate(prompts)
    ]


def generated(model: Any, tokenizer: Any, asked: list[Request], batch: int) -> list[str]:
    """The same by `generate`, a batch at a time in order of prompt length, each batch to its longest answer."""
    texts = [""] * len(asked)
    order = sorted(asked, key=lambda request: len(request.text or ""))
    for start in range(0, len(order), batch):
        group = order[start : start + batch]
        ids = tokenizer([request.text for request in group], return_tensors="pt", padding=True, add_special_tokens=False)
        longest = max(request.sampling.max_tokens for request in group)
        out = model.generate(**ids, max_new_tokens=longest, do_sample=False, pad_token_id=tokenizer.pad_token_id)
        for request, row in zip(group, out[:, ids["input_ids"].shape[1] :].tolist(), strict=True):
            end = row.index(tokenizer.eos_token_id) if tokenizer.eos_token_id in row else len(row)
            texts[request.index] = tokenizer.decode(row[: min(end, request.sampling.max_tokens)], skip_special_tokens=True)
    return texts


def clocked(work: Callable[..., Any], *given: Any) -> tuple[float, Any]:
    """CPU seconds of a call, and what it gave."""
    started = time.process_time()
    result = work(*given)
    return time.process_time() - started, result


def journaled(engine: Local, asked: list[Request]) -> None:
    """The same through a fresh journal, to the last commit."""
    journal = Journal(Path(tempfile.mkdtemp()) / "journal.sqlite")
    in_order(Journaled(engine, journal).write(asked), COUNT)
    journal.close()


def main() -> None:
    """Print tokens a CPU-second of each way, as medians, and their ratios."""
    torch.set_num_threads(1)
    engine = Local(Spec("local", "pocket:base", {"threads": 1, "slots": 256}))
    tokenizer = AutoTokenizer.from_pretrained(POCKET / "base")
    model = AutoModelForCausalLM.from_pretrained(POCKET / "base", dtype=torch.float32).eval()
    asked = requests()
    in_order(engine.write(asked), COUNT)
    times: dict[str, list[float]] = {}
    texts: dict[str, list[str]] = {}
    tokens = 0
    for _ in range(ROUNDS):
        spent, replies = clocked(lambda: in_order(engine.write(asked), COUNT))
        times.setdefault("slots", []).append(spent)
        texts["slots"] = [reply.text for reply in replies]
        tokens = sum(reply.tokens_out for reply in replies)
        times.setdefault("slots, journal on", []).append(clocked(journaled, engine, asked)[0])
        for batch in (32, 64, 256):
            name = f"generate, batch {batch}"
            spent, texts[name] = clocked(generated, model, tokenizer, asked, batch)
            times.setdefault(name, []).append(spent)
    rate = {name: tokens / median(spent) for name, spent in times.items()}
    best = max(value for name, value in rate.items() if name.startswith("generate"))
    for name, value in rate.items():
        same = (
            ""
            if name not in texts
            else f"   same texts: {sum(a == b for a, b in zip(texts[name], texts['slots'], strict=True))}/{COUNT}"
        )
        print(f"{name:<20} {value:8,.0f} tokens/CPU-s   {value / best:5.2f} x the best generate{same}")
    print(f"the journal costs {100 * (rate['slots'] / rate['slots, journal on'] - 1):.1f}%")


if __name__ == "__main__":
    main()

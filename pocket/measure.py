"""What a pocket model can do, measured on held-out tasks while it trains and when it is done."""

from collections import defaultdict
from random import Random

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from attar.pocket.speech import instruct, parse
from attar.pocket.tasks import FAMILIES, Task, held_out, level, make_task
from attar.pocket.verify import is_right

FROM_NOTHING = "<|im_start|>user\n"


@torch.inference_mode()
def write(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, prompts: list[str], heat: float = 0.0) -> list[str]:
    """Continuations up to the end of the turn, in order."""
    out = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    sampling = {"do_sample": True, "temperature": heat, "top_k": 0, "top_p": 1.0} if heat else {"do_sample": False}
    for start in range(0, len(order), 256):
        rows = order[start : start + 256]
        batch = tokenizer([prompts[i] for i in rows], return_tensors="pt", padding=True, add_special_tokens=False)
        ids = model.generate(
            batch["input_ids"],
            attention_mask=batch["attention_mask"],
            max_new_tokens=96,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            **sampling,
        )
        texts = tokenizer.batch_decode(ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
        for i, text in zip(rows, texts, strict=True):
            out[i] = text
    return out


def asked(tokenizer: PreTrainedTokenizerFast, user: str, system: str | None = None) -> str:
    """A chat prompt, ready for the assistant's turn."""
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": user})
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def held_tasks(count: int, seed: int) -> list[Task]:
    """Held-out tasks, every family and level alike."""
    rng, tasks = Random(seed), []
    while len(tasks) < count:
        family, hardness = FAMILIES[len(tasks) % len(FAMILIES)], len(tasks) // len(FAMILIES) % 3 + 1
        task = make_task(family, hardness, rng)
        if held_out(task):
            tasks.append(task)
    return tasks


def accuracy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, count: int, seed: int = 99) -> dict:
    """Verified accuracy: overall, by level, by family."""
    tasks, rng = held_tasks(count, seed), Random(seed)
    replies = write(model, tokenizer, [asked(tokenizer, instruct(task, rng)) for task in tasks])
    by_level, by_family, right = defaultdict(list), defaultdict(list), []
    for task, reply in zip(tasks, replies, strict=True):
        right.append(is_right(task, reply))
        by_level[level(task)].append(right[-1])
        by_family[task.family].append(right[-1])
    return {
        "accuracy": _share(right),
        "level": {key: _share(values) for key, values in sorted(by_level.items())},
        "family": {key: _share(values) for key, values in by_family.items()},
    }


def from_nothing(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, count: int) -> dict:
    """Share of the model's own instructions that are valid tasks, and share that differ."""
    texts = write(model, tokenizer, [FROM_NOTHING] * count, heat=1.0)
    return {"valid": _share([parse(text) is not None for text in texts]), "unique": round(len(set(texts)) / count, 3)}


def _share(values: list[bool]) -> float:
    return round(sum(values) / len(values), 3)

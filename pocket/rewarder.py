"""Trains the pocket rewarder: the teacher's body with a head that scores, on pairs of verified right and wrong answers.

Wrong answers are plausible corruptions and the teacher's own slips at high temperature; and any right answer to a real task is
to score above any answer to what is no task at all.

    python pocket/rewarder.py src/attar/pocket/teacher src/attar/pocket/rewarder     (seed 29, one core; curve in curve.jsonl)
"""

import json
import sys
import time
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM, Qwen3ForSequenceClassification

from attar.pocket.speech import instruct, respond
from attar.pocket.tasks import Task, draw_task
from attar.pocket.verify import corrupt, is_right
from corpus import spoil
from measure import asked, held_tasks, write
from train import Plan, save

Pair = tuple[str, str]
"""Two whole conversations as text: the better and the worse."""


def slips(teacher, tokenizer, tasks: list[Task], rng: Random) -> list[tuple[Task, str, str]]:
    """Wrong answers that the teacher itself gives when it is hot: (task, instruction, wrong response)."""
    asks = [instruct(task, rng) for task in tasks]
    replies = write(teacher, tokenizer, [asked(tokenizer, ask) for ask in asks], heat=1.4)
    return [(task, ask, reply) for task, ask, reply in zip(tasks, asks, replies, strict=True) if not is_right(task, reply)]


def talk(tokenizer, ask: str, reply: str) -> str:
    """A whole conversation as text."""
    messages = [{"role": "user", "content": ask}, {"role": "assistant", "content": reply}]
    return str(tokenizer.apply_chat_template(messages, tokenize=False))


def make_pairs(teacher, tokenizer, tasks: list[Task], rng: Random) -> list[Pair]:
    """Right and wrong for the same instruction; and right against an answered non-task."""
    pairs = []
    for task in tasks:
        ask = instruct(task, rng)
        pairs.append((talk(tokenizer, ask, respond(task)), talk(tokenizer, ask, corrupt(task, rng))))
        if rng.random() < 0.25:
            other = draw_task(rng)
            pairs.append((pairs[-1][0], talk(tokenizer, spoil(instruct(other, rng), rng), respond(other))))
    for task, ask, wrong in slips(teacher, tokenizer, tasks, rng):
        pairs.append((talk(tokenizer, ask, respond(task)), talk(tokenizer, ask, wrong)))
    rng.shuffle(pairs)
    return pairs


def scores(model, tokenizer, texts: list[str]) -> torch.Tensor:
    """One number for each conversation."""
    batch = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
    positions = (batch["attention_mask"].cumsum(1) - 1).clamp(min=0)
    return model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], position_ids=positions).logits[:, 0]


@torch.inference_mode()
def pair_accuracy(model, tokenizer, pairs: list[Pair]) -> float:
    """Share of pairs in which the better one scores higher."""
    right = 0
    for i in range(0, len(pairs), 128):
        better, worse = zip(*pairs[i : i + 128], strict=True)
        both = scores(model, tokenizer, [*better, *worse]).view(2, -1)
        right += int((both[0] > both[1]).sum())
    return round(right / len(pairs), 4)


def main(source: Path, folder: Path, count: int) -> None:
    """Make pairs, train, measure, save."""
    torch.set_num_threads(1)
    torch.manual_seed(29)
    rng, plan = Random(29), Plan(tokens=0, seed=29)
    tokenizer = AutoTokenizer.from_pretrained(source)
    teacher = Qwen3ForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    config = Qwen3Config.from_pretrained(source, num_labels=1)
    model = Qwen3ForSequenceClassification(config).float()
    model.model.load_state_dict(teacher.model.state_dict())
    torch.nn.init.zeros_(model.score.weight)
    pairs = make_pairs(teacher, tokenizer, [draw_task(rng) for _ in range(count)], rng)
    exam = make_pairs(teacher, tokenizer, held_tasks(900, 31), Random(31))
    print(f"{len(pairs)} pairs, {len(exam)} held out", flush=True)
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.01, fused=True)
    size, spent, steps = 32, 0.0, len(pairs) // 32
    for step in range(steps):
        started = time.process_time()
        batch = sorted(pairs[step * size : (step + 1) * size], key=lambda pair: len(pair[0]))
        better, worse = zip(*batch, strict=True)
        both = scores(model, tokenizer, [*better, *worse]).view(2, -1)
        loss = -F.logsigmoid(both[0] - both[1]).mean() + 0.002 * both.square().mean()
        adam.param_groups[0]["lr"] = 1e-3 * min(1.0, (step + 1) / 50, (1 - step / steps) + 0.01)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        model.zero_grad(set_to_none=True)
        spent += time.process_time() - started
        if (step + 1) % 200 == 0 or step + 1 == steps:
            model.eval()
            point = {"pairs": (step + 1) * size, "cpu_minutes": round(spent / 60, 2), "loss": round(loss.item(), 4)}
            plan.curve.append(point | {"pair_accuracy": pair_accuracy(model, tokenizer, exam)})
            print(json.dumps(plan.curve[-1]), flush=True)
            model.train()
    model.eval()
    save(model, tokenizer, plan, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 30_000)

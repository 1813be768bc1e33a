"""Trains the pocket teacher: it chats, writes tasks from nothing, and behind a system turn tags, asks for personas and rates.

python pocket/teacher.py src/attar/pocket/teacher     (seed 17, one core; time and curve in curve.jsonl)
"""

import sys
from pathlib import Path
from random import Random

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

import corpus
from attar.pocket.lexicon import LEVELS
from attar.pocket.speech import parse
from attar.pocket.tasks import CATEGORY, level
from attar.pocket.voices import Persona, persona_system
from measure import accuracy, asked, from_nothing, write
from tokenizer import build
from train import Document, Plan, fresh, save, train


def weighed(tokenizer: PreTrainedTokenizerFast, messages: list[corpus.Message], user: float) -> Document:
    """A conversation as tokens: the assistant's bear the loss, the user's a part of it, headers none."""
    ids, weights = [], []
    behind_system = messages[0]["role"] == "system"
    for message in messages:
        head = tokenizer.encode(f"<|im_start|>{message['role']}\n", add_special_tokens=False)
        body = tokenizer.encode(message["content"] + "<|im_end|>", add_special_tokens=False)
        tail = tokenizer.encode("\n", add_special_tokens=False)
        weight = {"assistant": 1.0, "user": 0.0 if behind_system else user, "system": 0.0}[message["role"]]
        ids += head + body + tail
        weights += [0.0] * len(head) + [weight] * len(body) + [0.0] * len(tail)
    return ids, weights


def services(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, count: int) -> dict:
    """How well it serves behind a system turn: tags and ratings exactly right, persona tasks valid, of the level and kind."""
    rng, exact, asks, fits = Random(5), {"Tag": [], "Rate": []}, [], []
    talks = [corpus.service(rng) for _ in range(count)]
    replies = write(model, tokenizer, [asked(tokenizer, talk[1]["content"], talk[0]["content"]) for talk in talks])
    for talk, reply in zip(talks, replies, strict=True):
        kind = talk[0]["content"].split()[0]
        if kind in exact:
            exact[kind].append(reply == talk[2]["content"])
    for _ in range(count // 3):
        persona, hardness = Persona.draw(rng), rng.choice(tuple(LEVELS))
        asks.append((persona, hardness, asked(tokenizer, persona.text, persona_system(hardness))))
    for (persona, hardness, _), text in zip(asks, write(model, tokenizer, [ask for *_, ask in asks], heat=1.0), strict=True):
        task = parse(text)
        fits.append(task is not None and level(task) == hardness and CATEGORY[task.family] == persona.category)
    return {
        "tag": round(sum(exact["Tag"]) / len(exact["Tag"]), 3),
        "rate": round(sum(exact["Rate"]) / len(exact["Rate"]), 3),
        "persona": round(sum(fits) / len(fits), 3),
    }


def main(folder: Path, tokens: int) -> None:
    """Train, measure, save."""
    torch.set_num_threads(1)
    tokenizer, rng = build(), Random(17)
    model, plan = fresh(tokenizer, seed=17), Plan(tokens=tokens, seed=17)
    weights: dict[str, float] = {}

    def document(done: float) -> Document:
        user = 0.2 + 0.8 * min(1.0, max(0.0, done - 0.4) / 0.4)
        if done * tokens < 400_000:
            return weighed(tokenizer, corpus.copying(rng), user)
        if done * tokens > 1_500_000 and rng.random() < 0.16:
            return weighed(tokenizer, corpus.service(rng), user)
        return weighed(tokenizer, corpus.chat(rng, weights if done < 0.65 else None), user)

    def measure(done: float) -> dict:
        last = done > 0.97
        point = accuracy(model, tokenizer, 960 if last else 240) | from_nothing(model, tokenizer, 600 if last else 100)
        weights.update({family: 0.5 + 2 * (1 - share) for family, share in point["family"].items()})
        return point | services(model, tokenizer, 600 if last else 150)

    train(model, plan, document, measure, tokenizer.pad_token_id)
    save(model, tokenizer, plan, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 16_000_000)

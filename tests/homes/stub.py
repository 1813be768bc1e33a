"""An OpenAI-compatible server whose every answer depends on the request alone: chat, raw text, labels, vectors, rewards."""

import json
import sys
from hashlib import sha256
from math import log

from aiohttp import web

WORDS = ["amber", "basil", "cedar", "delta", "ember", "fable", "grove", "hazel"]
WORDS += ["iris", "jade", "kite", "lemon", "maple", "north", "olive", "pearl"]
TAGS = {"difficulty": "easy", "quality": "good", "category": "math"}
LABELS = ("m", "M", *map(str, range(11)))


def number(body):
    """A number that depends on what is asked, and on nothing else."""
    return int(sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:12], 16)


def words(body, count):
    drawn = number(body)
    return " ".join(WORDS[drawn // 16**place % 16] for place in range(count))


async def models(request):
    return web.json_response({"data": [{"id": name, "owned_by": "stub"} for name in ("m", "j", "r", "e")]})


async def complete(request):
    body = await request.json()
    choice = {"index": 0, "finish_reason": "stop", "text": f"Say {words(body, 5)}."}
    return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 5}})


async def chat(request):
    body = await request.json()
    tags = body["model"] == "j" and not body.get("logprobs")
    text = json.dumps(TAGS) if tags else words(body, 6) + "."
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    if body.get("logprobs"):
        shares = [number([body, label]) % 98 + 1 for label in LABELS]
        top = [{"token": label, "logprob": log(share / sum(shares))} for label, share in zip(LABELS, shares, strict=True)]
        choice["logprobs"] = {"content": [{**max(top, key=lambda one: one["logprob"]), "top_logprobs": top}]}
    return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 20, "completion_tokens": 6}})


async def embed(request):
    body = await request.json()
    rows = [[(number(text) >> shift) % 255 - 127.0 for shift in range(0, 40, 5)] for text in body["input"]]
    data = [{"index": i, "embedding": row} for i, row in enumerate(rows)]
    return web.json_response({"data": data, "usage": {"prompt_tokens": 9 * len(rows)}})


async def classify(request):
    body = await request.json()
    rows = [number(text) % 2001 / 100 - 10 for text in body["input"]]
    data = [{"index": i, "probs": [row]} for i, row in enumerate(rows)]
    return web.json_response({"data": data, "usage": {"prompt_tokens": 9 * len(rows)}})


def app():
    made = web.Application(client_max_size=2**26)
    made.router.add_get("/v1/models", models)
    made.router.add_post("/v1/completions", complete)
    made.router.add_post("/v1/chat/completions", chat)
    made.router.add_post("/v1/embeddings", embed)
    made.router.add_post("/classify", classify)
    return made


if __name__ == "__main__":
    web.run_app(app(), host="127.0.0.1", port=int(sys.argv[1]))

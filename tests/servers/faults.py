"""An OpenAI-compatible server that misbehaves, by seed: the same share of faults, of every kind, on every run.

python tests/servers/faults.py [--port 0] [--share 0.3] [--seed 0] [--delay 0.005] [--kinds 429,reset,...] [--echo-ids]

`LIES` are further kinds, which are sent only if they are named: some of them are answers.

A good answer's text is that of the request's last message, so that a mix-up shows. GET /told: how many requests came, how many
texts were answered well, and how often any at most. Which fault a try meets hangs on the seed, the body and the try's number.
"""

import argparse
import asyncio
import json
from collections import Counter
from random import Random

from aiohttp import web

KINDS = (
    "429", "500", "503", "reset", "hang", "slow", "truncated", "malformed", "not-json-object",
    "one-more", "duplicate", "missing", "huge", "no-text", "no-finish",
)  # fmt: skip
LIES = (
    "tokens-huge", "tokens-negative", "tokens-nan", "tokens-text", "empty", "blank", "burst", "huge-headers", "swapped",
    "key-in-text", "key-escaped", "key-escaped-in-text", "key-in-500", "key-in-400",
)  # fmt: skip
COUNTS = {"tokens-huge": 10**30, "tokens-negative": -7, "tokens-nan": float("nan"), "tokens-text": "many"}
BURST = 40
"""Requests that are refused at once, one after the other."""


class Faults:
    """The server's state: how often each body came, and what was answered."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.tries = given, Counter[bytes]()
        self.requests, self.answered, self.met = 0, Counter[str](), Counter[str]()
        self.refusing, self.previous = 0, ("nobody's", "attar-0123456789abcdef-7")

    def fault(self, body: bytes) -> str | None:
        if self.refusing:
            self.refusing -= 1
            return "503"
        self.tries[body] += 1
        dice = Random(f"{self.given.seed} {self.tries[body]} {body!r}")
        return dice.choice(self.given.kinds) if dice.random() < self.given.share else None

    async def speak(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        asked = json.loads(body)
        self.requests += 1
        await asyncio.sleep(self.given.delay)
        text = asked["messages"][-1]["content"] if "messages" in asked else str(asked["prompt"])
        if text.startswith("bad"):
            return web.json_response({"error": {"message": "this one never works"}}, status=400)
        kind = self.fault(body)
        if kind is None:
            self.answered[text] += 1
            given_id = request.headers.get("X-Request-Id", "")
            self.previous = (text, given_id)
            headers = {"X-Request-Id": given_id} if self.given.echo_ids else {}
            return web.json_response(answer(asked, [text] * asked.get("n", 1)), headers=headers)
        self.met[kind] += 1
        if kind in LIES:
            response = self.lie(request, kind, asked, text)
            if self.given.echo_ids:
                response.headers.setdefault("X-Request-Id", request.headers.get("X-Request-Id", ""))
            return response
        return await self.fail(request, kind, asked, text)

    def lie(self, request: web.Request, kind: str, asked: dict, text: str) -> web.Response:
        """An answer with absurd counts, without a text, with the client's key, or another request's."""
        good, key = answer(asked, [text] * asked.get("n", 1)), request.headers.get("Authorization", "").removeprefix("Bearer ")
        escaped = "".join(f"\\u{ord(letter):04x}" for letter in key)
        if kind in COUNTS:
            return web.json_response({**good, "usage": {"prompt_tokens": COUNTS[kind], "completion_tokens": COUNTS[kind]}})
        if kind in ("empty", "blank"):
            return web.json_response(answer(asked, ["" if kind == "empty" else " \n\t"]))
        if kind == "burst":
            self.refusing = BURST
            return web.json_response({"error": {"message": "too much"}}, status=503, headers={"Retry-After": "0.02"})
        if kind == "huge-headers":
            return web.json_response(good, headers={"X-Pad": "x" * 2**17})
        if kind == "swapped":
            other, other_id = self.previous
            return web.json_response(answer(asked, [other]), headers={"X-Request-Id": other_id})
        if kind.startswith("key-in-") and kind != "key-in-text":
            return web.json_response({"error": {"message": f"bad key {key}, {escaped}"}}, status=int(kind[-3:]))
        spoken = f"{text} {escaped if kind == 'key-escaped-in-text' else key}"
        body = json.dumps(answer(asked, [spoken]))
        return web.Response(text=body.replace(key, escaped) if kind == "key-escaped" else body, content_type="application/json")

    async def fail(self, request: web.Request, kind: str, asked: dict, text: str) -> web.StreamResponse:
        count = asked.get("n", 1)
        if kind in ("429", "503"):
            return web.json_response({"error": {"message": "too much"}}, status=int(kind), headers={"Retry-After": "0.02"})
        if kind == "500":
            return web.Response(text="<html>Internal Server Error</html>", status=500)
        if kind == "hang":
            await asyncio.sleep(3600)
        if kind in ("reset", "truncated", "slow", "huge"):
            return await self.stream(request, kind, json.dumps(answer(asked, [text] * count)).encode())
        if kind in ("malformed", "not-json-object"):
            return web.Response(text='{"choices": [' if kind == "malformed" else "[]", content_type="application/json")
        return web.json_response(misshapen(kind, answer(asked, [text] * count)))

    async def stream(self, request: web.Request, kind: str, body: bytes) -> web.StreamResponse:
        """A body that breaks off, drips or never ends."""
        assert request.transport
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        if kind == "truncated":
            response.content_length = len(body)
        if kind != "reset":
            await response.prepare(request)
        if kind == "slow":
            for start in range(0, len(body), 64):
                await response.write(body[start : start + 64])
                await asyncio.sleep(0.02)
            await response.write_eof()
            return response
        if kind == "huge":
            try:
                while True:
                    await response.write(b" " * 2**20)
            except ConnectionError:
                return response
        if kind == "truncated":
            await response.write(body[: len(body) // 2])
        request.transport.abort()
        return response

    async def told(self, request: web.Request) -> web.Response:
        most = max(self.answered.values(), default=0)
        return web.json_response({"requests": self.requests, "answered": len(self.answered), "most": most, "met": self.met})


def answer(asked: dict, texts: list[str]) -> dict:
    chat = "messages" in asked
    choices = [
        {
            "index": i,
            "finish_reason": "stop",
            **({"message": {"role": "assistant", "content": text}} if chat else {"text": text}),
        }
        for i, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 10, "completion_tokens": 5 * len(texts), "total_tokens": 10 + 5 * len(texts)}
    return {"id": "x", "object": "x", "model": asked.get("model"), "choices": choices, "usage": usage}


def misshapen(kind: str, good: dict) -> dict:
    """A well-formed reply that is not what was asked for, its texts another's."""
    choices = [{**choice, "message": {"content": "another's"}, "text": "another's"} for choice in good["choices"]]
    if kind == "one-more":
        choices.append({**choices[0], "index": len(choices)})
    elif kind == "duplicate":
        choices.append(choices[0])
    elif kind == "missing":
        choices = choices[1:]
    elif kind == "no-text":
        choices[0] = {"index": 0, "finish_reason": "stop", "message": {"content": None}}
    elif kind == "no-finish":
        choices[0]["finish_reason"] = None
    return {**good, "choices": choices}


async def models(request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "tests"}]})


async def serve(given: argparse.Namespace) -> None:
    faults = Faults(given)
    app = web.Application(client_max_size=2**26)
    app.add_routes([web.post(f"/v1/{name}", faults.speak) for name in ("chat/completions", "completions")])
    app.add_routes([web.get("/v1/models", models), web.get("/told", faults.told)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", given.port, backlog=4096)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.005)
    parser.add_argument("--echo-ids", action="store_true")
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=KINDS)
    asyncio.run(serve(parser.parse_args()))

"""`vllm serve FOLDER` on pocket models, in numpy, for tests: up in a second, and its numbers are nobody else's.

What it is told and asked goes as lines of JSON into the file that $STUB_TOLD names. Only what Attar asks of a vLLM is there.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
from aiohttp import web
from tokenizers import Tokenizer

from attar.chat.templates import load_template


def weights(file: Path) -> dict[str, np.ndarray]:
    """Of a safetensors file, in 64 bits."""
    raw = file.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    found = {}
    for name, tensor in json.loads(raw[8:start]).items():
        if name != "__metadata__":
            data = raw[start + tensor["data_offsets"][0] : start + tensor["data_offsets"][1]]
            short = tensor["dtype"] == "BF16"
            numbers = (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32) if short else None
            numbers = np.frombuffer(data, np.float32) if numbers is None else numbers
            found[name] = numbers.astype(np.float64).reshape(tensor["shape"])
    return found


def normed(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """By the root of the mean square: in 32 bits, as transformers does whatever the model's precision."""
    small = x.astype(np.float32)
    return scale * (small / np.sqrt(np.square(small).mean(-1, keepdims=True) + np.float32(1e-6))).astype(np.float64)


class Model:
    """Qwen3 with tied embeddings, one text at a time, with a cache."""

    def __init__(self, folder: Path) -> None:
        self.config, self.w = json.loads((folder / "config.json").read_text()), weights(folder / "model.safetensors")
        size = self.config["head_dim"]
        base = np.float32(self.config["rope_parameters"]["rope_theta"])
        self.turn = np.float32(1) / base ** (np.arange(0, size, 2, dtype=np.float32) / np.float32(size))

    def turned(self, x: np.ndarray, at: np.ndarray) -> np.ndarray:
        angle = np.concatenate([at[:, None] * self.turn] * 2, -1)[:, None]
        half = x.shape[-1] // 2
        return x * np.cos(angle) + np.concatenate([-x[..., half:], x[..., :half]], -1) * np.sin(angle)

    def read(self, ids: list[int], cache: list) -> np.ndarray:
        """Log-probabilities of what follows the last of these tokens."""
        known = len(cache[0][0]) if cache else 0
        at = np.arange(known, known + len(ids), dtype=np.float32)
        x = self.w["model.embed_tokens.weight"][ids]
        for layer in range(self.config["num_hidden_layers"]):
            x = x + self.attended(x, at, layer, cache)
            w = self.layer(layer)
            y = normed(x, w("post_attention_layernorm"))
            gate = y @ w("mlp.gate_proj").T
            x = x + (gate / (1 + np.exp(-gate)) * (y @ w("mlp.up_proj").T)) @ w("mlp.down_proj").T
        logits = normed(x[-1], self.w["model.norm.weight"]) @ self.w["model.embed_tokens.weight"].T
        return logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())

    def layer(self, number: int):
        return lambda name: self.w[f"model.layers.{number}.{name}.weight"]

    def attended(self, x: np.ndarray, at: np.ndarray, layer: int, cache: list) -> np.ndarray:
        w, size = self.layer(layer), self.config["head_dim"]
        y = normed(x, w("input_layernorm"))
        query, key, value = ((y @ w(f"self_attn.{name}_proj").T).reshape(len(x), -1, size) for name in "qkv")
        query = self.turned(normed(query, w("self_attn.q_norm")), at)
        key = self.turned(normed(key, w("self_attn.k_norm")), at)
        if len(cache) > layer:
            key, value = (np.concatenate(pair) for pair in zip(cache[layer], (key, value), strict=True))
        cache[layer:] = [(key, value), *cache[layer + 1 :]]
        times = query.shape[1] // key.shape[1]
        key, value = key.repeat(times, 1), value.repeat(times, 1)
        logits = np.einsum("qhd,khd->hqk", query, key) / np.sqrt(size)
        logits[:, np.arange(len(key))[None] > at.astype(int)[:, None]] = -np.inf
        chances = np.exp(logits - logits.max(-1, keepdims=True))
        chances /= chances.sum(-1, keepdims=True)
        return np.einsum("hqk,khd->qhd", chances, value).reshape(len(x), -1) @ w("self_attn.o_proj").T


class Server:
    """One model under one name."""

    def __init__(self, folder: Path, name: str, told: Path) -> None:
        self.model, self.name, self.told, self.folder = Model(folder), name, told, folder
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.template = load_template(folder)
        self.end = json.loads((folder / "generation_config.json").read_text())["eos_token_id"]
        self.longest = self.model.config["max_position_embeddings"]

    def tell(self, **what: object) -> None:
        with self.told.open("a") as file:
            file.write(json.dumps({"pid": os.getpid(), "model": str(self.folder), **what}) + "\n")

    def write(self, ids: list[int], asked: dict) -> tuple[list[int], str, str]:
        """Tokens, their text, and why it ends."""
        dice = np.random.default_rng(asked.get("seed"))
        ends = {self.end, *asked.get("stop_token_ids", ())}
        out, cache, text = [], [], ""
        logs = self.model.read(ids, cache)
        while len(out) < asked["max_tokens"] and len(ids) + len(out) < self.longest:
            token = int(logs.argmax())
            if asked["temperature"]:
                chances = np.exp(logs / asked["temperature"] - np.max(logs / asked["temperature"]))
                token = int(dice.choice(len(chances), p=chances / chances.sum()))
            if token in ends:
                return [*out, token], text, "stop"
            out.append(token)
            text = self.tokenizer.decode(out)  # which leaves special tokens out
            if found := [stop for stop in asked.get("stop", ()) if stop in text]:
                return out, text.partition(found[0])[0], "stop"
            logs = self.model.read([token], cache)
        return out, text, "length"

    async def chat(self, request: web.Request) -> web.Response:
        asked = await request.json()
        ids = self.tokenizer.encode(self.template.render(asked["messages"], ask=True), add_special_tokens=False).ids
        out, text, why = self.write(ids, asked)
        self.tell(asked="chat", prompts=1)
        message = {"role": "assistant", "content": text}
        return self.answer([{"index": 0, "message": message, "finish_reason": why}], len(ids), len(out))

    async def complete(self, request: web.Request) -> web.Response:
        asked = await request.json()
        given = asked["prompt"]
        prompts = given if isinstance(given[0], list) else [given]
        assert all(type(token) is int for ids in prompts for token in ids)
        self.tell(asked="labels" if asked.get("logprobs") else "text", prompts=len(prompts))
        if long := [len(ids) for ids in prompts if len(ids) + asked["max_tokens"] > self.longest]:
            said = f"This model's maximum context length is {self.longest} tokens, and {long[0]} are given"
            return web.json_response({"error": {"message": said}}, status=400)
        choices, spent = [], 0
        for index, ids in enumerate(prompts):
            choice: dict = {"index": index, "finish_reason": "length", "text": ""}
            if asked.get("logprobs"):
                assert asked["return_tokens_as_token_ids"]
                assert len(asked["logprob_token_ids"]) <= 128
                logs, spent = self.model.read(ids, []), spent + 1
                tops = {f"token_id:{token}": float(logs[token]) for token in asked["logprob_token_ids"]}
                choice["logprobs"] = {"top_logprobs": [tops]}
            else:
                out, choice["text"], choice["finish_reason"] = self.write(ids, asked)
                spent += len(out)
            choices.append(choice)
        return self.answer(choices, sum(map(len, prompts)), spent)

    def answer(self, choices: list[dict], read: int, written: int) -> web.Response:
        usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        return web.json_response({"model": self.name, "choices": choices, "usage": usage})

    async def models(self, request: web.Request) -> web.Response:
        own = {"id": self.name, "object": "model", "owned_by": "vllm", "max_model_len": self.longest}
        return web.json_response({"object": "list", "data": [own]})

    async def health(self, request: web.Request) -> web.Response:
        return web.Response()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**26)
        app.add_routes(
            [
                web.get("/health", self.health),
                web.get("/v1/models", self.models),
                web.post("/v1/chat/completions", self.chat),
                web.post("/v1/completions", self.complete),
            ]
        )
        return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--served-model-name", required=True)
    given = parser.parse_args()
    server = Server(given.model, given.served_model_name, Path(os.environ["STUB_TOLD"]))
    signal.signal(signal.SIGTERM, lambda *_: (server.tell(event="stop"), sys.stdout.flush(), os._exit(0)))
    server.tell(event="start")
    web.run_app(server.app(), host=given.host, port=given.port, access_log=None, print=None, handle_signals=False)

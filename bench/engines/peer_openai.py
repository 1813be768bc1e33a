"""The official `openai` client: AsyncOpenAI behind a semaphore, its HTTP client's limits raised to what is under way at once.

    /tmp/peers/openai/bin/python bench/engines/peer_openai.py URL N [CONCURRENCY] [--aiohttp]

With --aiohttp it goes over the transport of its `aiohttp` extra in place of HTTPX2. Unless told, each has under way at once
what it was fastest with: 128 over aiohttp; 32 over HTTPX2, whose pool takes longer for every request the more there are.
"""

import asyncio

import httpx2
from meter import Meter, arguments, questions
from openai import AsyncOpenAI, DefaultAioHttpClient, DefaultAsyncHttpxClient


async def ask(url: str, asked: list[str], concurrency: int, transport: type) -> list[str | None]:
    """All the answers."""
    limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    turn = asyncio.Semaphore(concurrency)

    async def one(text: str) -> str | None:
        async with turn:
            messages = [{"role": "user", "content": text}]
            reply = await client.chat.completions.create(model="stub", messages=messages, max_tokens=64)
            return reply.choices[0].message.content

    async with AsyncOpenAI(base_url=url, api_key="x", http_client=transport(limits=limits)) as client:
        return await asyncio.gather(*map(one, asked))


def main() -> None:
    """Ask, and say what it cost."""
    told = arguments(__doc__, 0, aiohttp={"action": "store_true"})
    asked = questions(told.count)
    meter = Meter("openai --aiohttp" if told.aiohttp else "openai", "openai")
    concurrency = told.concurrency or (128 if told.aiohttp else 32)
    transport = DefaultAioHttpClient if told.aiohttp else DefaultAsyncHttpxClient
    meter.done(asked, asyncio.run(ask(told.url, asked, concurrency, transport)))


if __name__ == "__main__":
    main()

"""The official `openai` client: AsyncOpenAI behind a semaphore, its HTTP client's limits raised to the concurrency.

    /tmp/peers/openai/bin/python bench/engines/peer_openai.py URL N [CONCURRENCY] [--aiohttp]

With --aiohttp it uses the transport of its `aiohttp` extra in place of HTTPX2. By default each has the concurrency that it was
fastest with: 128 over aiohttp; 32 over HTTPX2, whose pool takes longer for every request the more there are.
"""

import asyncio
import sys
from pathlib import Path

import httpx2
from openai import AsyncOpenAI, DefaultAioHttpClient, DefaultAsyncHttpxClient

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import Meter, questions, read_request_options


async def send_all(url: str, asked: list[str], concurrency: int, transport: type) -> list[str | None]:
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
    """Send all, print the cost."""
    options = read_request_options(__doc__, 0, aiohttp={"action": "store_true"})
    asked = questions(options.count)
    meter = Meter("openai --aiohttp" if options.aiohttp else "openai", "openai")
    concurrency = options.concurrency or (128 if options.aiohttp else 32)
    transport = DefaultAioHttpClient if options.aiohttp else DefaultAsyncHttpxClient
    meter.check_and_print_cost(asked, asyncio.run(send_all(options.url, asked, concurrency, transport)))


if __name__ == "__main__":
    main()

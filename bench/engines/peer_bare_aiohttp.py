"""The limit: a bare aiohttp loop that only sends, reads the JSON and picks out the text. No retries, no record.

/tmp/peers/bare/bin/python bench/engines/peer_bare.py URL N [CONCURRENCY]     (512 at once unless told)
"""

import asyncio
import json
from collections.abc import Iterator

import aiohttp
from meter import Meter, arguments, questions


async def work(session: aiohttp.ClientSession, url: str, jobs: Iterator[tuple[int, str]], answers: list[str | None]) -> None:
    """Send one job after the other until none is left."""
    for number, text in jobs:
        body = {"model": "stub", "messages": [{"role": "user", "content": text}], "max_tokens": 64}
        headers = {"Content-Type": "application/json"}
        async with session.post(url, data=json.dumps(body).encode(), headers=headers) as response:
            answers[number] = json.loads(await response.read())["choices"][0]["message"]["content"]


async def ask(url: str, asked: list[str], concurrency: int) -> list[str | None]:
    """All the answers, from as many workers as may be under way at once."""
    answers: list[str | None] = [None] * len(asked)
    jobs = enumerate(asked)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        workers = (work(session, f"{url}/chat/completions", jobs, answers) for _ in range(concurrency))
        await asyncio.gather(*workers)
    return answers


def main() -> None:
    """Ask, and say what it cost."""
    told = arguments(__doc__, 512)
    asked = questions(told.count)
    meter = Meter("bare", "aiohttp")
    meter.done(asked, asyncio.run(ask(told.url, asked, told.concurrency)))


if __name__ == "__main__":
    main()

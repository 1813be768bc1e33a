"""The upper limit: a bare aiohttp loop that sends, reads the JSON and takes the text. No retries, no record.

/tmp/peers/bare/bin/python bench/engines/peer_bare_aiohttp.py URL N [CONCURRENCY]     (512 at once by default)
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import Meter, questions, read_request_options


async def send_jobs(
    session: aiohttp.ClientSession, url: str, jobs: Iterator[tuple[int, str]], answers: list[str | None]
) -> None:
    """Send one job after another until none is left."""
    for number, text in jobs:
        body = {"model": "stub", "messages": [{"role": "user", "content": text}], "max_tokens": 64}
        headers = {"Content-Type": "application/json"}
        async with session.post(url, data=json.dumps(body).encode(), headers=headers) as response:
            answers[number] = json.loads(await response.read())["choices"][0]["message"]["content"]


async def send_all(url: str, asked: list[str], concurrency: int) -> list[str | None]:
    """All the answers, by `concurrency` workers."""
    answers: list[str | None] = [None] * len(asked)
    jobs = enumerate(asked)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        workers = (send_jobs(session, f"{url}/chat/completions", jobs, answers) for _ in range(concurrency))
        await asyncio.gather(*workers)
    return answers


def main() -> None:
    """Send all, print the cost."""
    options = read_request_options(__doc__, 512)
    asked = questions(options.count)
    meter = Meter("bare", "aiohttp")
    meter.check_and_print_cost(asked, asyncio.run(send_all(options.url, asked, options.concurrency)))


if __name__ == "__main__":
    main()

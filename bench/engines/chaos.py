"""20,000 requests through a server that fails three tries in ten, in fifteen ways: is every row accounted for?

    python bench/engines/chaos.py [COUNT] [SEED]     (a minute)

Each row must be answered with its own text or fail with a reason, and the rows that fail must be the 1% that the server always
refuses. A second run must send only those.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

from attar.engines.base import Reply, Request, Sampling, Spec
from attar.engines.http.engine import Http
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled

SERVER = Path(__file__).parents[2] / "tests" / "servers" / "faults.py"


def text_of(i: int) -> str:
    return f"bad row {i}" if i % 100 == 0 else f"row {i}"


def send_all(port: int, journal: Journal, count: int) -> tuple[list[Reply], Journaled]:
    """All the replies, in the order in which they came, and the engine."""
    options = {"url": f"http://127.0.0.1:{port}/v1", "timeout": 2.0, "tries": 12}
    engine = Journaled(Http(Spec("http", "m", options)), journal)
    sampling = Sampling(max_tokens=32)
    requests = (Request(i, messages=({"role": "user", "content": text_of(i)},), sampling=sampling) for i in range(count))
    return list(engine.generate(requests)), engine


def main() -> None:
    """Run twice, and count."""
    count, seed = (int(value) for value in (sys.argv[1:] + ["20000", "0"][len(sys.argv) - 1 :]))
    server = subprocess.Popen([sys.executable, str(SERVER), "--seed", str(seed)], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    port = int(server.stdout.readline())
    journal = Journal(Path(tempfile.mkdtemp()) / "journal.sqlite")
    started = time.perf_counter()
    replies, engine = send_all(port, journal, count)
    seconds = time.perf_counter() - started
    times = Counter(reply.index for reply in replies)
    answered = {reply.index: reply.text for reply in replies if reply.error is None}
    failed = {reply.index: reply.error for reply in replies if reply.error is not None}
    mixed = sum(text != text_of(i) for i, text in answered.items())
    server_log = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/told"))
    faults = server_log["met"]
    print(f"{count:,} requests in {seconds:.1f} s: {server_log['requests']:,} tries, {sum(faults.values()):,} of them failed")
    print(f"faults sent: {faults}")
    print(f"failed tries, as the driver classified them: {dict(engine.errors.most_common())}")
    print(f"answered {len(answered):,}, failed with a reason {len(failed):,}: {dict(Counter(failed.values()))}")
    lost, twice = count - len(times), sum(n > 1 for n in times.values())
    print(f"lost {lost}, twice {twice}, with another's text {mixed}, answered twice by the server {server_log['most'] > 1}")
    again, engine = send_all(port, journal, count)
    print(f"again: {engine.sent_count} sent, {engine.recalled_count:,} from the journal")
    journal.close()
    server.kill()
    if (
        lost
        or twice
        or mixed
        or set(failed) != set(range(0, count, 100))
        or engine.sent_count != len(failed)
        or len(again) != count
    ):
        sys.exit("not every row is accounted for")


if __name__ == "__main__":
    main()

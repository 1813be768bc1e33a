"""Twenty thousand requests through a server of which three tries in ten fail, in fifteen ways: is every row accounted for?

python bench/engines/chaos.py [COUNT] [SEED]

Each row must be answered with its own text or have failed with a reason; the 1% that the server always refuses must be just
those that failed. A second run of the same must ask nothing but them.
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


def text(i: int) -> str:
    return f"bad row {i}" if i % 100 == 0 else f"row {i}"


def ask(port: int, journal: Journal, count: int) -> tuple[list[Reply], Journaled]:
    """All the replies, in the order in which they came."""
    options = {"url": f"http://127.0.0.1:{port}/v1", "timeout": 2.0, "tries": 12}
    engine = Journaled(Http(Spec("http", "m", options)), journal)
    sampling = Sampling(max_tokens=32)
    asked = (Request(i, messages=({"role": "user", "content": text(i)},), sampling=sampling) for i in range(count))
    return list(engine.write(asked)), engine


def main() -> None:
    """Run twice, and count."""
    count, seed = (int(value) for value in (sys.argv[1:] + ["20000", "0"][len(sys.argv) - 1 :]))
    server = subprocess.Popen([sys.executable, str(SERVER), "--seed", str(seed)], stdout=subprocess.PIPE, text=True)
    assert server.stdout
    port = int(server.stdout.readline())
    journal = Journal(Path(tempfile.mkdtemp()) / "journal.sqlite")
    started = time.perf_counter()
    replies, engine = ask(port, journal, count)
    seconds = time.perf_counter() - started
    times = Counter(reply.index for reply in replies)
    answered = {reply.index: reply.text for reply in replies if reply.error is None}
    failed = {reply.index: reply.error for reply in replies if reply.error is not None}
    mixed = sum(said != text(i) for i, said in answered.items())
    told = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/told"))
    print(f"{count:,} requests in {seconds:.1f} s: {told['requests']:,} tries, {sum(told['met'].values()):,} of them failed")
    print(f"faults met: {told['met']}")
    print(f"failed tries, as the driver told them apart: {dict(engine.errors.most_common())}")
    print(f"answered {len(answered):,}, failed with a reason {len(failed):,}: {dict(Counter(failed.values()))}")
    lost, twice = count - len(times), sum(n > 1 for n in times.values())
    print(f"lost {lost}, twice {twice}, with another's text {mixed}, answered twice by the server {told['most'] > 1}")
    again, engine = ask(port, journal, count)
    print(f"again: {engine.asked} asked, {engine.recalled:,} from the journal")
    journal.close()
    server.kill()
    if lost or twice or mixed or set(failed) != set(range(0, count, 100)) or engine.asked != len(failed) or len(again) != count:
        sys.exit("not every row is accounted for")


if __name__ == "__main__":
    main()

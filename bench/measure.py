"""What each peer_*.py shares: its command line, what it asks, and the one JSON line about what that cost.

Imported by them, in a virtual environment of their own (peers.sh), so the standard library is all it needs. Processor
time is that of the process and all below it; memory is the most that these held together, a page that they share counted
in each. The clock starts once everything is imported.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from hashlib import md5
from importlib.metadata import version
from pathlib import Path
from threading import Event, Thread

TICK, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


def arguments(about: str, concurrency: int, **more: dict) -> argparse.Namespace:
    """URL N [CONCURRENCY], and the options that only this peer has."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="with /v1 or without")
    parser.add_argument("count", type=int)
    parser.add_argument("concurrency", type=int, nargs="?", default=concurrency)
    for name, settings in more.items():
        parser.add_argument(f"--{name}", **settings)
    asked = parser.parse_args()
    asked.url = asked.url.rstrip("/").removesuffix("/v1") + "/v1"
    return asked


def questions(count: int) -> list[str]:
    """What is asked."""
    return [f"question {number}" for number in range(count)]


def below(process: int) -> Iterator[int]:
    """The process and all that it started, alive now."""
    yield process
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            for child in thread.read_text().split():
                yield from below(int(child))
        except OSError:  # it ended meanwhile
            continue


def held() -> int:
    """Bytes in memory of the process and all below it."""
    total = 0
    for process in below(os.getpid()):
        try:
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE
        except OSError:
            continue
    return total


def spent() -> float:
    """Seconds of processor time of the process and all below it, alive or ended."""
    total = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    for process in below(os.getpid()):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15])) / TICK if process != os.getpid() else 0
    return total


class Meter:
    """Measures from where it is made until `done`."""

    def __init__(self, peer: str, package: str) -> None:
        self.peer, self.version = peer, version(package)
        self.most, self.over = 0, Event()
        self.watcher = Thread(target=self.watch, daemon=True)
        self.watcher.start()
        self.processor, self.started = spent(), time.perf_counter()

    def watch(self) -> None:
        """Look at the memory ten times a second."""
        while not self.over.wait(0.1):
            self.most = max(self.most, held())

    def done(self, asked: Sequence[str], answers: Sequence[str | None]) -> None:
        """Check that each question has its own answer, and print what they cost."""
        wrong = [n for n, a in zip(asked, answers, strict=True) if (a or "").split(" ")[0] != md5(n.encode()).hexdigest()[:16]]
        if wrong:
            sys.exit(f"{self.peer}: {len(wrong)} of {len(asked)} without their answer, the first {wrong[0]!r}")
        self.flat(len(asked))

    def flat(self, count: int) -> None:
        """Print what so many answers cost."""
        seconds, processor = time.perf_counter() - self.started, spent() - self.processor
        self.over.set()
        self.watcher.join()
        own = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
        cost = {
            "peer": self.peer,
            "requests": count,
            "seconds": round(seconds, 3),
            "per_second": round(count / seconds, 1),
            "cpu_us_per_request": round(processor / count * 1e6, 1),
            "peak_rss_mb": round(max(self.most, own) / 2**20, 1),
            "version": self.version,
        }
        print(json.dumps(cost), flush=True)

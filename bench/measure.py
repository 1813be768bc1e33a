"""Measure CPU seconds and memory, and print them as one JSON line. Every script of this folder that measures uses it.

Peers import it in virtual environments of their own (peers.sh), so the standard library is all it needs; numpy is imported only
where vectors are read. Two scopes: `timed` and `peak_megabytes` measure this process, `Meter` this process and all below it.
Start either once everything is imported and warm.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import md5
from importlib.metadata import version
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
TICK, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
LIBRARIES = ("OMP", "OPENBLAS", "MKL", "NUMBA", "RAYON")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in LIBRARIES} | {"POLARS_MAX_THREADS": "1"}
"""The environment in which these libraries start one thread; set it before they are imported."""


# --- this process


def timed(work: Callable[..., T], *arguments: Any) -> tuple[T, float]:
    """Call `work`; return its result and the CPU seconds that this process spent on it."""
    started = time.process_time()
    result = work(*arguments)
    return result, time.process_time() - started


def peak_megabytes() -> float:
    """The most memory that this process has held, mapped pages included. `getrusage` would count its parent's too."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


def print_vector_cost(name: str, rows: "np.ndarray", seconds: float, **more: object) -> None:
    """Print the line of a script that worked on vectors."""
    line = {"name": name, "rows": len(rows), "width": rows.shape[1], "seconds": seconds, "peak_mb": round(peak_megabytes())}
    print(json.dumps(line | more), flush=True)


# --- a script in a process of its own


def run_script(
    python: object, script: Path, *options: object, environment: Mapping[str, str] | None = None, timeout: float | None = None
) -> dict:
    """Run a script and return the JSON line that it prints last."""
    if not Path(str(python)).exists():
        raise SystemExit(
            f"no {python}: `sh {script.parent}/peers.sh` installs peers under $PEERS; or name another python (--help)"
        )
    command = [str(python), str(script), *map(str, options)]
    variables = {**os.environ, **(environment or {})}
    finished = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=timeout)
    if finished.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{finished.stderr[-2000:]}")
    return json.loads(finished.stdout.splitlines()[-1])


def run_on_one_thread(python: object, script: Path, *options: object, rounds: int = 1) -> dict:
    """Run a script `rounds` times on one thread; return its line, with the median of the seconds."""
    offline = ONE_THREAD | {"HF_HUB_OFFLINE": "1"}
    lines = [run_script(python, script, *options, environment=offline) for _ in range(rounds)]
    return lines[0] | {"seconds": median(line["seconds"] for line in lines)}


# --- this process and all below it


def process_tree(process: int) -> Iterator[int]:
    """The process and all that it started, alive now."""
    yield process
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            for child in thread.read_text().split():
                yield from process_tree(int(child))
        except OSError:  # it ended meanwhile
            continue


def tree_bytes() -> int:
    """Bytes in memory of the whole tree now. A page that processes share counts in each."""
    total = 0
    for process in process_tree(os.getpid()):
        try:
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE
        except OSError:  # as above
            continue
    return total


def tree_cpu_seconds() -> float:
    """CPU seconds of the whole tree, processes that have ended included."""
    total = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    for process in process_tree(os.getpid()):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # as above
            continue
        total += sum(map(int, fields[11:15])) / TICK if process != os.getpid() else 0
    return total


class Meter:
    """Measures a peer's requests: from its creation until a `print_cost`."""

    def __init__(self, peer: str, package: str) -> None:
        self.peer, self.version = peer, version(package)
        self.most, self.over = 0, Event()
        self.watcher = Thread(target=self.watch_memory, daemon=True)
        self.watcher.start()
        self.cpu_before, self.started = tree_cpu_seconds(), time.perf_counter()

    def watch_memory(self) -> None:
        """Look at the memory ten times a second."""
        while not self.over.wait(0.1):
            self.most = max(self.most, tree_bytes())

    def check_and_print_cost(self, questions: Sequence[str], answers: Sequence[str | None]) -> None:
        """Check that each question has its own answer (the stub answers with its hash), then print the line."""
        pairs = zip(questions, answers, strict=True)
        wrong = [asked for asked, answer in pairs if (answer or "").split(" ")[0] != md5(asked.encode()).hexdigest()[:16]]
        if wrong:
            sys.exit(f"{self.peer}: {len(wrong)} of {len(questions)} without their answer, the first {wrong[0]!r}")
        self.print_cost(len(questions))

    def print_cost(self, count: int) -> None:
        """Print the line of `count` requests."""
        seconds, cpu = time.perf_counter() - self.started, tree_cpu_seconds() - self.cpu_before
        self.over.set()
        self.watcher.join()
        line = {
            "peer": self.peer,
            "requests": count,
            "seconds": round(seconds, 3),
            "per_second": round(count / seconds, 1),
            "cpu_us_per_request": round(cpu / count * 1e6, 1),
            "peak_rss_mb": round(max(self.most / 2**20, peak_megabytes()), 1),
            "version": self.version,
        }
        print(json.dumps(line), flush=True)


# --- the command lines of peers, and what they work on


def read_request_options(about: str | None, concurrency: int, **more: dict) -> argparse.Namespace:
    """URL N [CONCURRENCY], and the options that only this script has."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="with /v1 or without")
    parser.add_argument("count", type=int)
    parser.add_argument("concurrency", type=int, nargs="?", default=concurrency)
    for name, settings in more.items():
        parser.add_argument(f"--{name}", **settings)
    options = parser.parse_args()
    options.url = options.url.rstrip("/").removesuffix("/v1") + "/v1"
    return options


def questions(count: int) -> list[str]:
    """The texts that every peer sends."""
    return [f"question {number}" for number in range(count)]


def read_vector_options(about: str | None, **more: dict) -> argparse.Namespace:
    """VECTORS [--rows N] [--out FILE], and the options that only this script has."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", help="a .npy of float32, one row each, best first")
    parser.add_argument("--rows", type=int, help="only the first N")
    parser.add_argument("--out", help="where to save the result, to compare it")
    for name, settings in more.items():
        parser.add_argument(f"--{name}", **settings)
    return parser.parse_args()


def read_vectors(path: str, rows: int | None, *, mapped: bool = False) -> "np.ndarray":
    """The first rows of a file: in memory, or mapped from the disk."""
    import numpy as np

    found = np.load(path, mmap_mode="r")[:rows]
    return found if mapped else np.array(found)

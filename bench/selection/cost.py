"""What the scripts here share: one thread, vectors in, and one JSON line about what the work on them cost.

Imported by each peer in a virtual environment of its own, so numpy is all it needs. Seconds are processor time of the
process, the clock starts once everything is imported and warm; memory is the most that the process ever held, mapped pages
among it.
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np

T = TypeVar("T")
HERE = Path(__file__).parent
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


def arguments(about: str | None, **more: dict) -> argparse.Namespace:
    """VECTORS [--rows N] [--out FILE], and the options that only this script has."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", help="a .npy of float32, one row each, best first")
    parser.add_argument("--rows", type=int, help="only the first so many")
    parser.add_argument("--out", help="where what was found is kept, to be compared")
    for name, settings in more.items():
        parser.add_argument(f"--{name}", **settings)
    return parser.parse_args()


def vectors(path: str, rows: int | None, *, mapped: bool = False) -> np.ndarray:
    """The first rows of a file, in memory unless they are to stay on the disk."""
    return np.load(path, mmap_mode="r")[:rows] if mapped else np.array(np.load(path, mmap_mode="r")[:rows])


def spent(work: Callable[[], T]) -> tuple[T, float]:
    """What the work found, and its seconds."""
    started = time.process_time()
    return work(), time.process_time() - started


def tell(name: str, rows: np.ndarray, seconds: float, **more: object) -> None:
    """Print the line."""
    held = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    line = {"name": name, "rows": len(rows), "width": rows.shape[1], "seconds": seconds, "peak_mb": round(held), **more}
    print(json.dumps(line), flush=True)


def child(python: object, script: str, *options: object, rounds: int = 1) -> dict:
    """A script in a process of its own, on one thread: its line, the seconds being the median of the rounds."""
    if not Path(str(python)).exists():
        raise SystemExit(f"no {python}: sh bench/selection/peers.sh makes it under $PEERS; or name another one (--help)")
    environment = os.environ | dict.fromkeys(THREADS, "1") | {"HF_HUB_OFFLINE": "1"}
    command = [str(python), str(HERE / script), *map(str, options)]
    lines = []
    for _ in range(rounds):
        ran = subprocess.run(command, env=environment, capture_output=True, text=True)
        if ran.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{ran.stderr[-2000:]}")
        lines.append(json.loads(ran.stdout.splitlines()[-1]))
    return lines[0] | {"seconds": median(line["seconds"] for line in lines)}

"""Attar's nearest neighbours compared with FAISS's flat index as in Magpie's script (500 nearest): time, distances, counts.

    .venv/bin/python bench/selection/neighbours.py DATA [--size 10k 52k] [--set lsa mini] [-o LINES.jsonl]

10k and 52k take two minutes, 300k an hour. CPU seconds of one thread, each in a process of its own. FAISS sees at most 499
neighbours of a row, so where it sees 499 Attar's count must be at least that. Counts may differ in rows with a neighbour within
1e-5 of the limit, which 32 bits cannot decide; those are checked in 64.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from measure import run_on_one_thread  # noqa: E402 (bench/measure.py)

PEERS = Path(os.environ.get("PEERS", "/tmp/peers"))
NEAREST, NEAR, ROUNDING, CHECKED = 500, 0.05, 1e-5, 2_000


def is_right(rows: np.ndarray, row: int, count: int) -> bool:
    """True if the row has `count` others within the limit, computed in 64 bits."""
    close = np.flatnonzero(rows @ rows[row] > 1 - NEAR)
    apart = np.square(rows[close[close != row]].astype(np.float64) - rows[row]).sum(axis=1)
    return bool((apart < NEAR - ROUNDING).sum() <= count <= (apart < NEAR + ROUNDING).sum())


def compare(vectors: Path, ours: Path, theirs: Path) -> str:
    """A line about how far two results agree; counts that differ are computed again in 64 bits."""
    mine, faiss = np.load(ours), np.load(theirs)
    off = np.abs(mine["distance"] - faiss["distance"]).max()
    full = faiss["count"] >= NEAREST - 1
    differ = np.flatnonzero(np.where(full, mine["count"] < NEAREST - 1, mine["count"] != faiss["count"]))
    rows = np.load(vectors)
    wrong = sum(not is_right(rows, row, int(mine["count"][row])) for row in differ[:CHECKED])
    agreement = f"distances within {off:.1e}; counts differ in {len(differ)} rows, ours wrong in {wrong} of them (64 bits)"
    return f"{agreement}; {int(full.sum())} rows have more neighbours than FAISS returns"


def main() -> None:
    """Each set at each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--faiss", type=Path, default=PEERS / "faiss/.venv/bin/python", help="its python")
    parser.add_argument("--size", nargs="+", default=["10k", "52k"])
    parser.add_argument("--set", nargs="+", default=["lsa", "mini"])
    parser.add_argument("-o", type=Path, help="append every line as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours.npz", Path(folder) / "theirs.npz"
        for vectors in (options.data / f"emb_{name}_{size}.npy" for name in options.set for size in options.size):
            mine = run_on_one_thread(sys.executable, HERE / "peer_attar.py", vectors, "--work", "neighbours", "--out", ours)
            faiss = run_on_one_thread(options.faiss, HERE / "peer_faiss.py", vectors, "--nearest", NEAREST, "--out", theirs)
            for line in (mine, faiss):
                more = f", and {line['lists']:.1f} s of counting in lists" if "lists" in line else ""
                seconds = f"{line['seconds']:>8.2f} s {line['peak_mb']:>6,} MB {line['seconds'] / mine['seconds']:>6.1f}x"
                print(f"{vectors.stem:<14} {line['rows']:>9,} {line['name']:<26} {seconds}{more}", flush=True)
                if options.o:
                    with options.o.open("a") as file:
                        print(json.dumps(line | {"part": "neighbours", "set": vectors.stem.removeprefix("emb_")}), file=file)
            print(f"  {compare(vectors, ours, theirs)}", flush=True)


if __name__ == "__main__":
    main()

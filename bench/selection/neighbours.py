"""Attar's nearest neighbours against FAISS's flat index as Magpie's script asks it (the 500 nearest): time, distances, counts.

    .venv/bin/python bench/selection/neighbours.py DATA [--size 10k 52k] [--set lsa mini] [-o LINES.jsonl]     (300k: an hour)

One thread's processor time, each in a process of its own. FAISS sees at most 499 neighbours of a row, so the counts of rows
with more are held to be at least that; counts may differ in rows that have a neighbour within 1e-5 of the limit, which 32
bits cannot decide.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from cost import child

PEERS = Path(os.environ.get("PEERS", "/tmp/peers"))
NEAREST, NEAR, CLOSE, SETTLED = 500, 0.05, 1e-5, 2_000


def settled(rows: np.ndarray, row: int, count: int) -> bool:
    """Whether a row has so many others within the limit, the nearer of them looked at in 64 bits."""
    close = np.flatnonzero(rows @ rows[row] > 1 - NEAR)
    apart = np.square(rows[close[close != row]].astype(np.float64) - rows[row]).sum(axis=1)
    return bool((apart < NEAR - CLOSE).sum() <= count <= (apart < NEAR + CLOSE).sum())


def compared(vectors: Path, ours: Path, theirs: Path) -> str:
    """In how far two runs agree; counts that differ are settled in 64 bits."""
    mine, faiss = np.load(ours), np.load(theirs)
    off = np.abs(mine["distance"] - faiss["distance"]).max()
    full = faiss["count"] >= NEAREST - 1
    differ = np.flatnonzero(np.where(full, mine["count"] < NEAREST - 1, mine["count"] != faiss["count"]))
    rows = np.load(vectors)
    wrong = sum(not settled(rows, row, int(mine["count"][row])) for row in differ[:SETTLED])
    told = f"distances within {off:.1e}; counts differ in {len(differ)} rows, ours wrong in {wrong} of them (64 bits)"
    return f"{told}; {int(full.sum())} rows have more than FAISS was asked for"


def main() -> None:
    """Each set at each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--faiss", type=Path, default=PEERS / "faiss/.venv/bin/python", help="its python")
    parser.add_argument("--size", nargs="+", default=["10k", "52k"])
    parser.add_argument("--set", nargs="+", default=["lsa", "mini"])
    parser.add_argument("-o", type=Path, help="every line as JSON, for plot.py")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder) / "ours.npz", Path(folder) / "theirs.npz"
        for vectors in (told.data / f"emb_{name}_{size}.npy" for name in told.set for size in told.size):
            mine = child(sys.executable, "ours.py", vectors, "--work", "neighbours", "--out", ours)
            faiss = child(told.faiss, "peer_faiss.py", vectors, "--nearest", NEAREST, "--out", theirs)
            for line in (mine, faiss):
                more = f", and {line['lists']:.1f} s of counting in lists" if "lists" in line else ""
                seconds = f"{line['seconds']:>8.2f} s {line['peak_mb']:>6,} MB {line['seconds'] / mine['seconds']:>6.1f}x"
                print(f"{vectors.stem:<14} {line['rows']:>9,} {line['name']:<26} {seconds}{more}", flush=True)
                if told.o:
                    with told.o.open("a") as file:
                        print(json.dumps(line | {"part": "neighbours", "set": vectors.stem.removeprefix("emb_")}), file=file)
            print(f"  {compared(vectors, ours, theirs)}", flush=True)


if __name__ == "__main__":
    main()

"""Attar's diversity filter compared with Deita's own, distilabel's, and the machine's matrix products: time, memory, rows kept.

    sh bench/selection/peers.sh && git clone https://github.com/hkust-nlp/deita
    $PEERS/faiss/.venv/bin/python bench/selection/make_vectors.py POOL.parquet DATA 1m
    .venv/bin/python bench/selection/filter.py DATA --deita deita [--only PART ...] [--set lsa mini] [-o LINES.jsonl]

Parts: `deita` (20 minutes), `wide` (4,096 dimensions), `distilabel`, `limit` (random vectors compared with plain products),
`sizes` (up to 300K), `brute` (300K without pruning; ten minutes), `million` (from a memory map), `budget` (6,000 kept of
300K). All times are CPU seconds of one thread in a process of its own, Attar's the median of three. DATA is the folder that
make_vectors.py wrote.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from measure import run_on_one_thread  # noqa: E402 (bench/measure.py)

PEERS = Path(os.environ.get("PEERS", "/tmp/peers"))
LONG = 100_000


class Bench:
    """Runs the scripts, prints their lines side by side, and saves them."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder, self.count = options, folder, 0

    def vectors(self, name: str) -> Path:
        """The file of a set."""
        return self.options.data / f"emb_{name}.npy"

    def run(
        self, part: str, name: str, script: str, *arguments: object, python: object = sys.executable, rounds: int = 1
    ) -> dict:
        """Run a script; return its line, with the file of the rows that it kept."""
        self.count += 1
        out = self.folder / f"{self.count}.npy"
        line = run_on_one_thread(python, HERE / script, self.vectors(name), "--out", out, *arguments, rounds=rounds)
        line |= {"part": part, "set": name}
        if self.options.o:
            with self.options.o.open("a") as file:
                print(json.dumps(line), file=file)
        return line | {"out": out}

    def ours(self, part: str, name: str, rows: int, *arguments: object) -> dict:
        """Run Attar's filter, three times where it is quick."""
        return self.run(part, name, "peer_attar.py", "--rows", rows, *arguments, rounds=3 if rows < LONG else 1)

    def show(self, line: dict, against: dict | None = None) -> None:
        """Print a line; if `against` is given, also the ratio of the seconds and whether the same rows are kept."""
        share = f"kept {line['kept'] / line['rows']:7.2%}" if "kept" in line else ""
        start = f"  {line['set']:<10} {line['rows']:>9,} x {line['width']:<5} {line['name']:<26} {line['seconds']:>10.3f} s"
        beside = f"{line['seconds'] / against['seconds']:>8.1f}x  {compare_kept(line, against)}" if against else ""
        print(f"{start} {line['peak_mb']:>6,} MB  {share:<14} {beside}", flush=True)


def compare_kept(line: dict, against: dict) -> str:
    """Whether two runs kept the same rows, or in how many they differ."""
    if not (line["out"].exists() and against["out"].exists()):
        return ""
    differ = np.setxor1d(np.load(line["out"]), np.load(against["out"]))
    return "the same rows kept" if not len(differ) else f"{len(differ):,} rows differ"


def deita(bench: Bench) -> None:
    """Deita's filter at its default batch of one, and at 128."""
    for name in bench.options.set:
        for rows in (2_000, 5_000, 10_000):
            ours = bench.ours("deita", f"{name}_10k", rows)
            bench.show(ours)
            for batch in ([], ["--batch", 128]):
                options = ["--rows", rows, "--checkout", bench.options.deita, *batch]
                bench.show(bench.run("deita", f"{name}_10k", "peer_deita.py", *options), ours)


def wide(bench: Bench) -> None:
    """4,096 dimensions, as in the hidden states of a large model."""
    ours = bench.ours("wide", "words_2k", 2_000)
    bench.show(ours)
    for batch in ([], ["--batch", 128]):
        bench.show(bench.run("wide", "words_2k", "peer_deita.py", "--checkout", bench.options.deita, *batch), ours)


def distilabel(bench: Bench) -> None:
    """distilabel's filter at its default, and at the distance that equals a cosine of 0.9."""
    for name in bench.options.set:
        ours = bench.ours("distilabel", f"{name}_2k", 2_000)
        bench.show(ours)
        for distance in ([], ["--distance", 0.1]):
            python = bench.options.distilabel
            bench.show(bench.run("distilabel", f"{name}_2k", "peer_distilabel.py", *distance, python=python), ours)


def limit(bench: Bench) -> None:
    """Random vectors have no spectrum to prune by: Attar's speed as a share of the products' speed."""
    products = bench.run("limit", "random_20k", "peer_numpy.py", "--work", "products", rounds=3)
    bench.show(products)
    for threshold in (0.9, 0.4):
        for backend in ("numpy", "torch", "auto"):
            options = ["--backend", backend, "--threshold", threshold]
            ours = bench.ours("limit", "random_20k", 20_000, *options) | {"name": f"attar, {backend}, over {threshold}"}
            bench.show(ours)
            print(f"  {'':<10} {products['seconds'] / ours['seconds']:.0%} of the speed of numpy's products alone")


def sizes(bench: Bench) -> None:
    """Time and memory as the pool grows; up to 52K compared with the plain filter."""
    for name in bench.options.set:
        for label, rows in {"2k": 2_000, "10k": 10_000, "20k": 20_000, "52k": 52_000, "300k": 300_000}.items():
            ours = bench.ours("sizes", f"{name}_{label}", rows)
            bench.show(ours)
            if rows < LONG:
                bench.show(bench.run("sizes", f"{name}_{label}", "peer_numpy.py"), ours)


def brute(bench: Bench) -> None:
    """300K rows by plain products."""
    for name in bench.options.set:
        ours = bench.ours("brute", f"{name}_300k", 300_000)
        bench.show(ours)
        bench.show(bench.run("brute", f"{name}_300k", "peer_numpy.py"), ours)


def million(bench: Bench) -> None:
    """A million rows that stay on the disk."""
    for name in bench.options.set:
        bench.show(bench.ours("million", f"{name}_1m", 1_000_000, "--mapped"))


def budget(bench: Bench) -> None:
    """6,000 rows kept of 300K."""
    for name in bench.options.set:
        bench.show(bench.run("budget", f"{name}_300k", "peer_attar.py", "--keep", 6_000, "--mapped", rounds=3))


PARTS: dict[str, Callable[[Bench], None]] = {
    part.__name__: part for part in (deita, wide, distilabel, limit, sizes, brute, million, budget)
}


def main() -> None:
    """Run the chosen parts in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that make_vectors.py wrote")
    parser.add_argument("--deita", type=Path, help="a checkout of hkust-nlp/deita")
    parser.add_argument("--distilabel", type=Path, default=PEERS / "distilabel/.venv/bin/python", help="its python")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--set", nargs="+", default=["lsa", "mini"])
    parser.add_argument("-o", type=Path, help="append every line as JSON, for plot_filter.py")
    options = parser.parse_args()
    if options.deita is None and {"deita", "wide"} & set(options.only):
        parser.error("--deita names a checkout of hkust-nlp/deita; without one, name other parts with --only")
    with tempfile.TemporaryDirectory() as folder:
        for part in options.only:
            print(f"{part}: {PARTS[part].__doc__}", flush=True)
            PARTS[part](Bench(options, Path(folder)))


if __name__ == "__main__":
    main()

"""Make the fingerprints that Attar ships: hashes of the prompts of common benchmarks. Not a measurement.

    python bench/selection/make_benchmark_fingerprints.py --alpaca_eval FILE --arena_hard FILE --mt_bench FILE

A file is JSON, JSONL or parquet, in the benchmark's own order: rows with `prompt` or `instruction`, or, as MT-Bench has
them, with `question_id` and `turns`. In a parquet of answers to AlpacaEval each instruction counts once. An item is the row's
number from 1; for MT-Bench the question's own.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from attar.data.readers import raw_rows
from attar.stages.select import benchmark_fingerprints

OUT = Path(benchmark_fingerprints.__file__).parent / "benchmarks"


def read_prompts(file: Path) -> list[tuple[str, str]]:
    if file.suffix == ".parquet":  # a pool of answers: each instruction once, in order of first occurrence
        texts = pl.read_parquet(file, columns=["instruction"])["instruction"].unique(maintain_order=True)
        return [(str(i), text) for i, text in enumerate(texts, 1)]
    values = [row.value for row in raw_rows(file)]
    if "turns" in values[0]:
        name = {1: "{}", 2: "{} turn 2"}
        return [(name[i].format(row["question_id"]), text) for row in values for i, text in enumerate(row["turns"], 1)]
    return [(str(i), row.get("prompt") or row["instruction"]) for i, row in enumerate(values, 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in benchmark_fingerprints.BENCHMARKS:
        parser.add_argument(f"--{name}", type=Path, metavar="FILE")
    options = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    for name, count in benchmark_fingerprints.BENCHMARKS.items():
        if file := getattr(options, name):
            items = read_prompts(file)
            assert len(items) == count, f"{file} has {len(items)} prompts, {name} has {count}"
            table = benchmark_fingerprints.fingerprints([item for item, _ in items], [text for _, text in items])
            table.write_parquet(OUT / f"{name}.parquet", compression="zstd", compression_level=19, statistics=False)
            size = (OUT / f"{name}.parquet").stat().st_size
            print(json.dumps({"benchmark": name, "items": len(table), "bytes": size}))


if __name__ == "__main__":
    main()

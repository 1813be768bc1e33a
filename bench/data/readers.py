"""CPU seconds of turning JSONL chat data into parquet (Attar, polars, `datasets`), and of parsing alone.

python bench/data/readers.py [--rows 200000]     (1 min; 1 GB of disk)

The rows are made from a seed: one to three exchanges each, an id, a text, a number. Attar also checks every row and brings it
to its columns. Each way runs in a process of its own, and its imports count.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

WAYS = {
    "attar convert": "from attar.cli.main import main; sys.argv = ['attar', 'convert', rows, out]; main()",
    "attar, as zstd": "from attar.cli.main import main; sys.argv = ['attar', 'convert', rows + '.zst', out]; main()",
    "datasets": "import datasets; datasets.Dataset.from_json(rows, cache_dir=out + '.cache').to_parquet(out)",
    "polars": "import polars as pl; pl.read_ndjson(rows, infer_schema_length=None).write_parquet(out)",
    "parse: attar's raw rows": "from attar.data.raw import raw_rows; print(sum(1 for _ in raw_rows(rows)))",
    "parse: json": "import json; print(sum(1 for line in open(rows, encoding='utf-8') if json.loads(line)))",
    "parse: orjson": "import orjson; print(sum(1 for line in open(rows, 'rb') if orjson.loads(line)))",
    "parse: pyarrow": "import pyarrow.json as reader; print(reader.read_json(rows).num_rows)",
    "parse: polars": "import polars as pl; print(pl.read_ndjson(rows, infer_schema_length=None).height)",
}


def write_rows(file: Path, count: int) -> None:
    """Write made-up conversations of about 1.2 KB each."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9))) for _ in range(5000)]
    words += ['"quoted"', "naïve", "été", "12", "3.5", "\n", "你好"]

    def turn(role: str, fewest: int, most: int) -> dict[str, str]:
        return {"role": role, "content": " ".join(draw.choices(words, k=draw.randint(fewest, most)))}

    with file.open("w", encoding="utf-8") as out:
        for number in range(count):
            exchanges = draw.choice((1, 1, 2, 3))
            talk = [one for _ in range(exchanges) for one in (turn("user", 10, 40), turn("assistant", 15, 112))]
            row = {"id": f"r{number}", "messages": talk, "source": draw.choice(words), "score": round(draw.random() * 5, 3)}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def cpu_seconds(code: str, rows: Path, out: Path) -> float:
    """The CPU seconds of a Python process, all its threads and children."""
    before = getrusage(RUSAGE_CHILDREN)
    said = subprocess.run(
        [sys.executable, "-c", f"import sys; rows, out = sys.argv[1:]; {code}", rows, out], capture_output=True
    )
    if said.returncode:
        raise SystemExit(said.stderr.decode())
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the size of the data and a line for each way."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=200_000)
    count = options.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        write_rows(rows, count)
        print(f"{count:,} rows, {rows.stat().st_size / 1e6:.0f} MB")
        pack = "import pyarrow as pa; pa.output_stream(rows + '.zst', compression='zstd').write(open(rows, 'rb').read())"
        cpu_seconds(pack, rows, rows)
        for way, code in WAYS.items():
            print(f"{way:<24} {cpu_seconds(code, rows, Path(folder) / 'out.parquet'):6.2f} CPU-s", flush=True)


if __name__ == "__main__":
    main()

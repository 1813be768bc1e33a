"""Peak memory of row-wise and select stages on many rows of 2 KB, less the columns that each stage reads.

    python bench/stage_memory.py [ROWS] [FOLDER]     (1,000,000 by default; 10,000,000: seven minutes, 3 GB of disk)

The promise is 2,048 MB beyond those columns, whatever the number of rows.
"""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from attar.core.table import index_parts, write_part
from attar.runtime.flow import Trace
from attar.runtime.home import Home, write_json
from attar.runtime.progress import Quiet
from attar.runtime.runner import run
from attar.stages.annotate import lengths
from attar.stages.select import dedup, keep, rank, where
from measure import peak_megabytes, run_script

PART = 50_000


def pool(*, count: int) -> pl.DataFrame:
    """Stands for the pool that `make_pool` writes. Never called, since its step is complete."""
    raise RuntimeError(f"the pool of {count} rows must be written beforehand")


def make_pool(folder: Path, count: int) -> None:
    """Write rows of about 2 KB; one prompt in ten repeats an earlier one."""
    texts = pl.DataFrame({"k": range(997), "response": [f"{i} " * (1900 // len(f"{i} ")) for i in range(10_000, 10_997)]})
    for start in range(0, count, PART):
        stop = min(start + PART, count)
        n = pl.int_range(start, stop, eager=True)
        mixed = (n * 2_654_435_761) % 4_294_967_291
        frame = pl.DataFrame(
            {"id": "r" + n.cast(pl.String).str.zfill(9), "k": mixed % 997, "reward": (mixed % 10_007) / 1000 - 5}
        )
        prompt = pl.format(
            "Prompt {} of the pool, which goes on for a while so that it has about a hundred characters in all.", "word"
        )
        frame = frame.with_columns((mixed % (count * 9 // 10)).alias("word")).with_columns(prompt.alias("prompt"))
        joined = frame.join(texts, on="k", maintain_order="left").select(
            "id", "prompt", "reward", pl.col("response") + pl.col("id")
        )
        write_part(joined, folder, start, stop)
    write_json(folder / "card.json", {"stage": "pool", "rows": count, "failed": 0, "errors": {}, "asked": 0, "recalled": 0})


def run_stage(root: Path, stage_name: str, count: int) -> None:
    """Run one stage in this process; print its seconds, and the megabytes of its peak above the idle process."""
    flow = Trace()
    rows = flow(pool, count=count)
    measured = flow(lengths.measure, rows)
    judged = flow(where.holds, measured, rule="reward > 0 AND response_chars > 100")
    good = flow(keep.rows, measured, judged, name="good")
    unique = flow(dedup.exact, measured)
    best = flow(rank.top, measured, by="reward", keep=6000)
    steps = {"measure": measured, "where": judged, "keep": good, "dedup": unique, "rank": best}
    wanted = steps[stage_name].step
    flow.steps = [step for step in flow.steps if step is wanted or step in wanted.inputs]
    idle = peak_megabytes()
    started = time.perf_counter()
    run(flow, Home(root), Quiet())
    print(json.dumps({"seconds": time.perf_counter() - started, "grown": peak_megabytes() - idle}))


def column_bytes(folder: Path, columns: list[str]) -> int:
    """The size of these columns in memory, estimated from the first part."""
    rows = index_parts(folder)
    sample = pl.read_parquet(rows.paths[0], columns=columns)
    return int(sample.estimated_size() / len(sample) * rows.count)


def main() -> None:
    """Print a line for each stage."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    root = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="attar-bench-"))
    flow = Trace()
    pool_folder = Home(root).folder(flow(pool, count=count).step)
    if not (pool_folder / "card.json").exists():
        make_pool(pool_folder, count)
    print(f"{count:,} rows; megabytes beyond the columns read (a promise of 2,048) / those columns / seconds")
    reads = {"measure": [], "where": ["id", "reward"], "keep": [], "dedup": ["id", "prompt"], "rank": ["id", "reward"]}
    for name, columns in reads.items():
        size = column_bytes(pool_folder, columns) / 2**20 if columns else 0.0
        used = run_script(sys.executable, Path(__file__), "--step", name, count, root)
        print(f"{name:<8} {used['grown'] - size:>8,.0f} MB {size:>8,.0f} MB {used['seconds']:>8.1f} s", flush=True)
    if len(sys.argv) <= 2:
        shutil.rmtree(root)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        run_stage(Path(sys.argv[4]), sys.argv[2], int(sys.argv[3]))
    else:
        main()

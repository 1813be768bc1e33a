"""Best of n without holding them: 10,000 prompts x 200 scored answers of a kilobyte go to disk in parts, and few are kept.

    python bench/best_of_n.py [PROMPTS] [ANSWERS]

Prints the seconds and the most memory of the step that makes the answers, and of the fold that keeps of each prompt its best
and eight others. Each runs in a process of its own, through the same code as any run.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import polars as pl

from attar.core.stage import rowwise
from attar.core.table import Table, read
from attar.runtime.flow import Flow, recipe, trace
from attar.runtime.home import Home
from attar.runtime.progress import Quiet
from attar.runtime.runner import Settings, run
from attar.stages.select import best_of_n


def prompts(*, count: int) -> Table:
    """() -> id."""
    return pl.DataFrame({"id": [f"p{i:06d}" for i in range(count)]})


@rowwise
def answered(table: Table, *, answers: int) -> Table:
    """id -> parent, response (a kilobyte that does not compress well), rating."""
    dice, lines = Random(table["id"][0]), []
    for parent in table["id"]:
        lines += [(f"{parent}.{i}", parent, dice.randbytes(512).hex(), dice.random()) for i in range(answers)]
    return pl.DataFrame(lines, schema=["id", "parent", "response", "rating"], orient="row")


@recipe()
def best(flow: Flow, *, count: int, answers: int, fold: bool):
    """The answers, and with `fold` the few of each prompt."""
    made = flow(answered, flow(prompts, count=count), answers=answers)
    return {"out": flow(best_of_n.of_each, made, by="rating") if fold else made}


def child(home: Path, count: int, answers: int, fold: bool) -> None:
    """One step in this process."""
    started = time.perf_counter()
    steps = trace(best, {}, {"count": count, "answers": answers, "fold": fold})
    out = run(steps, Home(home), Quiet(), Settings(bulk=50))["out"]
    seconds, most = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = len(read(out, ["id"]))
    print(f"{'fold to ' if fold else 'answers '} {rows:>10,} rows  {seconds:6.1f} s  {most:6,.0f} MB")


def main() -> None:
    """Both steps, each in a process of its own."""
    count, answers = (int(value) for value in (sys.argv[1:3] + ["10000", "200"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as home:
        for fold in (False, True):
            script = f"import best_of_n; from pathlib import Path; best_of_n.child(Path({home!r}), {count}, {answers}, {fold})"
            subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parent)


if __name__ == "__main__":
    main()

"""Memory of best of n: 10,000 prompts x 200 scored answers of a kilobyte are written in parts, then the best are kept.

    python bench/best_of_n_memory.py [PROMPTS] [ANSWERS]     (10,000 x 200: two minutes)

Prints the seconds and the peak memory of the step that makes the answers, and of the fold that keeps the best answer of each
prompt and eight others. Each runs in a process of its own, through the same code as any run.
"""

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
from attar.runtime.runner import run
from attar.runtime.settings import Settings
from attar.stages.select import best_of_n
from measure import peak_megabytes


def prompts(*, count: int) -> Table:
    """() -> id."""
    return pl.DataFrame({"id": [f"p{i:06d}" for i in range(count)]})


@rowwise
def make_answers(table: Table, *, answers: int) -> Table:
    """id -> parent, response (a kilobyte that does not compress well), rating."""
    dice, lines = Random(table["id"][0]), []
    for parent in table["id"]:
        lines += [(f"{parent}.{i}", parent, dice.randbytes(512).hex(), dice.random()) for i in range(answers)]
    return pl.DataFrame(lines, schema=["id", "parent", "response", "rating"], orient="row")


@recipe()
def best_answers(flow: Flow, *, count: int, answers: int, fold: bool):
    """The answers, or with `fold` the best of each prompt."""
    answers_table = flow(make_answers, flow(prompts, count=count), answers=answers)
    return {"out": flow(best_of_n.of_each, answers_table, by="rating") if fold else answers_table}


def run_step(home: Path, count: int, answers: int, fold: bool) -> None:
    """Run to one step in this process; print its rows, seconds and peak memory."""
    started = time.perf_counter()
    steps = trace(best_answers, {}, {"count": count, "answers": answers, "fold": fold})
    out = run(steps, Home(home), Quiet(), Settings(bulk=50))["out"]
    seconds, peak = time.perf_counter() - started, peak_megabytes()
    rows = len(read(out, ["id"]))
    print(f"{'fold to ' if fold else 'answers '} {rows:>10,} rows  {seconds:6.1f} s  {peak:6,.0f} MB")


def main() -> None:
    """Both steps, each in a process of its own."""
    count, answers = (int(value) for value in (sys.argv[1:3] + ["10000", "200"][len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as home:
        for fold in (False, True):
            subprocess.run([sys.executable, __file__, "--step", home, str(count), str(answers), str(int(fold))], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        count, answers, fold = map(int, sys.argv[3:])
        run_step(Path(sys.argv[2]), count, answers, bool(fold))
    else:
        main()

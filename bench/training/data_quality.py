"""Does the pocket world show differences in data? Verified accuracy of the pocket base trained on more, cleaner, harder rows.

    python bench/training/data_quality.py [ARM ...]     (eight minutes on two cores)

One seed. The rows are tasks of the pocket world with its own answers; 600 held-out tasks are the exam.
"""

import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random

import polars as pl

from attar.core.table import COLUMNS, Table
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.pocket.speech import instruct
from attar.pocket.speech import respond as answer
from attar.pocket.tasks import draw_task, level
from attar.pocket.verify import corrupt
from attar.stages.evaluate.benchmarks import pocket_exam
from attar.stages.evaluate.figures import arm_scores
from attar.stages.synth import respond
from attar.stages.train import sft

ARMS = {
    "300 rows": (300, (1, 2, 3), 0.0),
    "1,000 rows": (1000, (1, 2, 3), 0.0),
    "3,000 rows": (3000, (1, 2, 3), 0.0),
    "1,000 rows, 30% wrong": (1000, (1, 2, 3), 0.3),
    "1,000 rows, easy only": (1000, (1,), 0.0),
    "1,000 rows, medium and hard": (1000, (2, 3), 0.0),
}


def make_rows(count: int, levels: tuple[int, ...], wrong: float) -> Table:
    """Training tasks with true answers, a share of them corrupted."""
    rng, conversations = Random(7), []
    while len(conversations) < count:
        task = draw_task(rng)
        if level(task) in levels:
            response = corrupt(task, rng) if rng.random() < wrong else answer(task)
            conversations.append([{"role": "user", "content": instruct(task, rng)}, {"role": "assistant", "content": response}])
    messages = pl.Series(conversations, dtype=COLUMNS["messages"])
    responses = [conversation[1]["content"] for conversation in conversations]
    return pl.DataFrame({"id": [str(i) for i in range(count)], "messages": messages, "response": responses})


def train_and_examine(name: str) -> str:
    """Train and examine one student; return its line."""
    into = Path(tempfile.mkdtemp()) / "model"
    base = Spec("local", "pocket:base", {"threads": 1})
    sft.train(make_rows(*ARMS[name]), engine=base, into=into, epochs=6, lr=4e-3, batch=16, max_length=256)
    engine = Local(Spec("local", str(into), {"threads": 1}))
    marked = pocket_exam.check(respond.sample(pocket_exam.tasks(count=600), engine=engine, max_tokens=120, whole=False))
    right = int(marked["correct"].sum())
    low, high = arm_scores.wilson(right, 600)
    levels = dict(marked.group_by("level").agg(pl.col("correct").mean()).iter_rows())
    by_level = " / ".join(f"{100 * levels[name]:.1f}" for name in ("easy", "medium", "hard"))
    return f"{name:<28} {100 * right / 600:5.1f}  ({100 * low:.1f} to {100 * high:.1f})   {by_level}"


def main() -> None:
    """Print a line for each arm."""
    with ProcessPoolExecutor(2) as pool:
        for line in pool.map(train_and_examine, sys.argv[1:] or ARMS):
            print(line, flush=True)


if __name__ == "__main__":
    main()

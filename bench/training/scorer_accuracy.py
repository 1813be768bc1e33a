"""Accuracy of Deita's scorers of complexity and quality, trained on the pocket base, on tasks that they have not seen.

    python bench/training/scorer_accuracy.py [ROWS ...] [--seeds 3] [--epochs 6]     (300 and 1,000 rows by default)

Complexity is the true level of a task, 1 to 3. Quality is how right a response is, by the pocket world's own grade: 5 right, 3
and 4 nearly, 2 wrong, 1 truncated. Each line has Spearman's rank correlation, the share of rows whose rounded score is the
true one, the least total probability of the score tokens in any row, and CPU seconds.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from random import Random

import polars as pl

from attar.core.table import Table
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.pocket.speech import instruct, respond
from attar.pocket.tasks import Task, draw_task, level
from attar.pocket.verify import corrupt, grade
from attar.stages.annotate import scorer as annotate
from attar.stages.train import scorer

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import timed

BASE = Spec("local", "pocket:base", {"threads": 1})
EXAM = 400


def make_tasks(count: int, what: str, seed: int, *, held: bool) -> Table:
    """Make tasks with a true score."""
    rng, rows = Random(f"{what} {seed} {held}"), []
    for i in range(count):
        task = draw_task(rng, held=held)
        response = make_response(task, rng)
        rows.append(
            {
                "id": f"{seed}-{i}",
                "prompt": instruct(task, rng),
                "response": response,
                "score": level(task) if what == "complexity" else grade(task, response),
            }
        )
    return pl.DataFrame(rows)


def make_response(task: Task, rng: Random) -> str:
    """Make a response that is right, wrong or truncated."""
    match rng.choices(("right", "wrong", "truncated"), (2, 2, 1))[0]:
        case "right":
            return respond(task)
        case "wrong":
            return corrupt(task, rng)
        case _:
            whole = respond(task)
            return whole[: whole.rindex("The answer")] + "The answer"


def train_and_score(count: int, what: str, seed: int, epochs: float) -> dict[str, float]:
    """Train on `count` rows, score the exam."""
    exam = make_tasks(EXAM, what, seed, held=True).rename({"score": "truth"})
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder) / "model"
        rows = make_tasks(count, what, seed, held=False)
        knobs = {"what": what, "epochs": epochs, "lr": 4e-3, "batch": 16, "max_length": 512, "seed": seed}
        _, train_seconds = timed(lambda: scorer.train(rows, engine=BASE, into=into, **knobs))
        trained = Spec("local", str(into), {"threads": 1})
        out, score_seconds = timed(lambda: annotate.score(exam, engine=Local(trained), what=what, turns="last"))
    return {
        "spearman": float(out.select(pl.corr(what, "truth", method="spearman")).item()),
        "accuracy": float((out[what].round() == out["truth"]).sum()) / EXAM,
        "mass": min(out[f"{what}_mass"]),
        "train": train_seconds,
        "score": score_seconds,
    }


def main() -> None:
    """Print a line for each training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=int, default=[300, 1000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=6)
    options = parser.parse_args()
    for what in ("complexity", "quality"):
        for count in options.rows:
            for seed in range(options.seeds):
                result = train_and_score(count, what, seed, options.epochs)
                quality = (
                    f"Spearman {result['spearman']:.3f}  exact {100 * result['accuracy']:.1f}%  least mass {result['mass']:.4f}"
                )
                spent = f"train {result['train']:.0f} s  score {EXAM} rows {result['score']:.1f} s"
                print(f"{what:<10} {count:>6} rows  seed {seed}  {quality}  {spent}", flush=True)


if __name__ == "__main__":
    main()

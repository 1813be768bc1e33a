"""How well a scorer that is trained on the pocket base tells what it was taught, on tasks that it has not seen.

    python bench/selection/scorer.py [ROWS ...] [--seeds 3] [--epochs 6]

Complexity: the true level of a task, 1 to 3. Quality: how right a response is, by the world's own grade: 5 right, 3 and 4
nearly, 2 wrong, 1 broken off. Told are Spearman's rank correlation, the share of rows whose nearest number is the true one, the
least probability that the numbers held together, and CPU seconds.
"""

import argparse
import tempfile
import time
from pathlib import Path
from random import Random

import polars as pl

from attar.core.table import Table
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.pocket.speech import instruct, respond
from attar.pocket.tasks import Task, draw, level
from attar.pocket.verify import corrupt, grade
from attar.stages.annotate import scorer as annotate
from attar.stages.train import scorer

BASE = Spec("local", "pocket:base", {"threads": 1})
EXAM = 400


def tasks(count: int, what: str, seed: int, *, held: bool) -> Table:
    """Tasks with a true score."""
    rng, rows = Random(f"{what} {seed} {held}"), []
    for i in range(count):
        task = draw(rng, held=held)
        response = _response(task, rng)
        rows.append(
            {
                "id": f"{seed}-{i}",
                "prompt": instruct(task, rng),
                "response": response,
                "score": level(task) if what == "complexity" else grade(task, response),
            }
        )
    return pl.DataFrame(rows)


def _response(task: Task, rng: Random) -> str:
    """Right, wrong or broken off."""
    match rng.choices(("right", "wrong", "broken"), (2, 2, 1))[0]:
        case "right":
            return respond(task)
        case "wrong":
            return corrupt(task, rng)
        case _:
            whole = respond(task)
            return whole[: whole.rindex("The answer")] + "The answer"


def measure(count: int, what: str, seed: int, epochs: float) -> dict[str, float]:
    """Train on so many rows, score an exam."""
    exam = tasks(EXAM, what, seed, held=True).rename({"score": "truth"})
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder) / "model"
        rows = tasks(count, what, seed, held=False)
        scorer.train(rows, engine=BASE, into=into, what=what, epochs=epochs, lr=4e-3, batch=16, max_length=512, seed=seed)
        trained = time.process_time()
        out = annotate.score(exam, engine=Local(Spec("local", str(into), {"threads": 1})), what=what, turns="last")
    return {
        "spearman": float(out.select(pl.corr(what, "truth", method="spearman")).item()),
        "accuracy": float((out[what].round() == out["truth"]).sum()) / EXAM,
        "mass": min(out[f"{what}_mass"]),
        "train": trained - started,
        "score": time.process_time() - trained,
    }


def main() -> None:
    """Print a line for each training."""
    asked = argparse.ArgumentParser()
    asked.add_argument("rows", nargs="*", type=int, default=[300, 1000])
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--epochs", type=float, default=6)
    given = asked.parse_args()
    for what in ("complexity", "quality"):
        for count in given.rows:
            for seed in range(given.seeds):
                found = measure(count, what, seed, given.epochs)
                quality = (
                    f"Spearman {found['spearman']:.3f}  exact {100 * found['accuracy']:.1f}%  least mass {found['mass']:.4f}"
                )
                spent = f"train {found['train']:.0f} s  score {EXAM} rows {found['score']:.1f} s"
                print(f"{what:<10} {count:>6} rows  seed {seed}  {quality}  {spent}", flush=True)


if __name__ == "__main__":
    main()

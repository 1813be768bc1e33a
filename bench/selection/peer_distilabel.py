"""distilabel's Deita filtering, the step alone.

    DISTILABEL_VENV/bin/python bench/selection/peer_distilabel.py VECTORS [--rows N] [--distance 0.9]

Its threshold is a distance, 0.9 unless told, and it holds each row against the whole pool instead of against what is kept.
"""

import logging

import cost
import numpy as np
from distilabel.steps import DeitaFiltering


def main() -> None:
    """All rows, without a budget."""
    told = cost.arguments(__doc__, distance={"type": float})
    logging.disable(logging.WARNING)
    rows = cost.vectors(told.vectors, told.rows)
    distance = {} if told.distance is None else {"diversity_threshold": told.distance}
    step = DeitaFiltering(data_budget=len(rows), **distance)
    step.load()
    scores = np.linspace(6, 1, len(rows))
    asked = [
        {"row": number, "evol_instruction_score": score, "evol_response_score": 1.0, "embedding": row}
        for number, (score, row) in enumerate(zip(scores.tolist(), rows.tolist(), strict=True))
    ]
    kept, seconds = cost.spent(lambda: next(step.process(asked)))
    if told.out:
        np.save(told.out, np.array([row["row"] for row in kept], dtype=np.int64))
    cost.tell(f"distilabel, distance {step.diversity_threshold}", rows, seconds, kept=len(kept))


if __name__ == "__main__":
    main()

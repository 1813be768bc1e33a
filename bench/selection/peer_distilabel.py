"""distilabel's Deita filtering, the step alone.

    DISTILABEL_VENV/bin/python bench/selection/peer_distilabel.py VECTORS [--rows N] [--distance 0.9]

Its threshold is a distance, 0.9 by default, and it compares each row with the whole pool instead of with the kept rows.
"""

import logging
import sys
from pathlib import Path

import numpy as np
from distilabel.steps import DeitaFiltering

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import print_vector_cost, read_vector_options, read_vectors, timed


def main() -> None:
    """Filter all rows, without a budget."""
    options = read_vector_options(__doc__, distance={"type": float})
    logging.disable(logging.WARNING)
    rows = read_vectors(options.vectors, options.rows)
    distance = {} if options.distance is None else {"diversity_threshold": options.distance}
    step = DeitaFiltering(data_budget=len(rows), **distance)
    step.load()
    scores = np.linspace(6, 1, len(rows))
    pool = [
        {"row": number, "evol_instruction_score": score, "evol_response_score": 1.0, "embedding": row}
        for number, (score, row) in enumerate(zip(scores.tolist(), rows.tolist(), strict=True))
    ]
    kept, seconds = timed(lambda: next(step.process(pool)))
    if options.out:
        np.save(options.out, np.array([row["row"] for row in kept], dtype=np.int64))
    print_vector_cost(f"distilabel, distance {step.diversity_threshold}", rows, seconds, kept=len(kept))


if __name__ == "__main__":
    main()

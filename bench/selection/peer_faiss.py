"""Nearest neighbours as in Magpie's script: FAISS's flat index of squared distances, 500 nearest, 1,024 rows at a time.

    FAISS_VENV/bin/python bench/selection/peer_faiss.py VECTORS [--rows N] [--nearest 500] [--near 0.05]

For each row: the distance to the second nearest (the first is itself), and how many others of the 500 are near. The script
counts in Python lists; that is timed separately, on a tenth of the rows, and is not in the seconds of the search.
"""

import sys
from pathlib import Path

import faiss
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import print_vector_cost, read_vector_options, read_vectors, timed

BATCH = 1024


def search(rows: np.ndarray, nearest: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances and row numbers of the nearest, a batch at a time."""
    index = faiss.IndexFlat(rows.shape[1])
    index.add(rows)
    batches = [index.search(rows[start : start + BATCH], nearest) for start in range(0, len(rows), BATCH)]
    return np.concatenate([one[0] for one in batches]), np.concatenate([one[1] for one in batches])


def count_in_lists(distances: np.ndarray, places: np.ndarray, near: float) -> list[int]:
    """Count the near others as the script does, number by number."""
    counts = []
    for row in range(len(distances)):
        close = [place for place, distance in zip(places[row], distances[row], strict=True) if distance < near]
        counts.append(len([place for place in close if place != row]))
    return counts


def main() -> None:
    """Search, then count."""
    options = read_vector_options(__doc__, nearest={"type": int, "default": 500}, near={"type": float, "default": 0.05})
    faiss.omp_set_num_threads(1)
    rows = read_vectors(options.vectors, options.rows)
    search(rows[:2048], options.nearest)
    (distances, places), seconds = timed(lambda: search(rows, options.nearest))
    some = len(rows) // 10
    _, lists = timed(lambda: count_in_lists(distances[:some], places[:some], options.near))
    count = ((distances < options.near) & (places != np.arange(len(rows))[:, None])).sum(axis=1)
    if options.out:
        np.savez(options.out, distance=distances[:, 1], count=count)
    print_vector_cost(f"faiss flat, {options.nearest} nearest", rows, seconds, lists=lists * 10)


if __name__ == "__main__":
    main()

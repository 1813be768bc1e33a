"""Nearest neighbours as Magpie's script has them: FAISS's flat index of squared distances, 500 nearest, 1,024 rows at a time.

    FAISS_VENV/bin/python bench/selection/peer_faiss.py VECTORS [--rows N] [--nearest 500] [--near 0.05]

Of each row: the distance to the second nearest (the first is itself), and how many others among the 500 are near. The
script counts in Python lists; what that takes is measured beside the search, on a tenth of the rows, and is not in its
seconds.
"""

import cost
import faiss
import numpy as np

BATCH = 1024


def searched(rows: np.ndarray, nearest: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances and places of the nearest, a batch at a time."""
    index = faiss.IndexFlat(rows.shape[1])
    index.add(rows)
    found = [index.search(rows[start : start + BATCH], nearest) for start in range(0, len(rows), BATCH)]
    return np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found])


def listed(distances: np.ndarray, places: np.ndarray, near: float) -> list[int]:
    """How many others are near, row by row and number by number."""
    counts = []
    for row in range(len(distances)):
        close = [place for place, distance in zip(places[row], distances[row], strict=True) if distance < near]
        counts.append(len([place for place in close if place != row]))
    return counts


def main() -> None:
    """Search, then count."""
    told = cost.arguments(__doc__, nearest={"type": int, "default": 500}, near={"type": float, "default": 0.05})
    faiss.omp_set_num_threads(1)
    rows = cost.vectors(told.vectors, told.rows)
    searched(rows[:2048], told.nearest)
    (distances, places), seconds = cost.spent(lambda: searched(rows, told.nearest))
    some = len(rows) // 10
    _, lists = cost.spent(lambda: listed(distances[:some], places[:some], told.near))
    count = ((distances < told.near) & (places != np.arange(len(rows))[:, None])).sum(axis=1)
    if told.out:
        np.savez(told.out, distance=distances[:, 1], count=count)
    cost.tell(f"faiss flat, {told.nearest} nearest", rows, seconds, lists=lists * 10)


if __name__ == "__main__":
    main()

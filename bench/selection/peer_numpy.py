"""The filter without pruning: all matrix products alone, or with the greedy rule on them; numpy, 32 bits.

    .venv/bin/python bench/selection/peer_numpy.py VECTORS [--work products|filter] [--rows N] [--threshold 0.9]

`products` multiplies each block of rows with all rows up to its end, as a filter that drops nothing must: the machine's limit.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import print_vector_cost, read_vector_options, read_vectors, timed

BLOCK, TILE = 1024, 4096


def multiply_all(rows: np.ndarray) -> None:
    """Multiply every block with every tile before it, into one buffer."""
    buffer = np.empty((BLOCK, TILE), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        block, stop = rows[start : start + BLOCK], min(start + BLOCK, len(rows))
        for tile in range(0, stop, TILE):
            to = min(tile + TILE, stop)
            np.matmul(block, rows[tile:to].T, out=buffer[: len(block), : to - tile])


def filter_rows(rows: np.ndarray, threshold: float) -> np.ndarray:
    """The greedy rule: compare each block with the kept rows, then with its own rows in their order."""
    kept, places = np.empty_like(rows), np.empty(len(rows), dtype=np.int64)
    count = 0
    for start in range(0, len(rows), BLOCK):
        left = np.arange(start, min(start + BLOCK, len(rows)))
        for tile in range(0, count, TILE):
            cosines = rows[left] @ kept[tile : min(tile + TILE, count)].T
            left = left[cosines.max(axis=1) <= threshold]
        among = np.tril(rows[left] @ rows[left].T > threshold, -1)
        stays = np.ones(len(left), dtype=bool)
        for row in np.flatnonzero(among.any(axis=1)):
            stays[row] = not (among[row] & stays).any()
        left = left[stays]
        kept[count : count + len(left)], places[count : count + len(left)] = rows[left], left
        count += len(left)
    return places[:count]


def main() -> None:
    """Do one of the two, print its cost."""
    options = read_vector_options(
        __doc__, work={"default": "filter", "choices": ["products", "filter"]}, threshold={"type": float, "default": 0.9}
    )
    rows = read_vectors(options.vectors, options.rows)
    multiply_all(rows[:BLOCK])
    if options.work == "products":
        _, seconds = timed(lambda: multiply_all(rows))
        return print_vector_cost("products", rows, seconds)
    found, seconds = timed(lambda: filter_rows(rows, options.threshold))
    if options.out:
        np.save(options.out, found)
    return print_vector_cost("plain", rows, seconds, kept=len(found))


if __name__ == "__main__":
    main()

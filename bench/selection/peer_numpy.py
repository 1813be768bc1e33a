"""What a filter without a bound would cost: the matrix products alone, or with the greedy rule on them; numpy, 32 bits.

    .venv/bin/python bench/selection/plain.py VECTORS [--work products|filter] [--rows N] [--threshold 0.9]

`products` multiplies each block of rows with all rows up to its end, as a filter must that drops nothing: the limit of the
machine.
"""

import cost
import numpy as np

BLOCK, TILE = 1024, 4096


def products(rows: np.ndarray) -> None:
    """Every block with every tile before it, into one buffer."""
    room = np.empty((BLOCK, TILE), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        block, stop = rows[start : start + BLOCK], min(start + BLOCK, len(rows))
        for tile in range(0, stop, TILE):
            to = min(tile + TILE, stop)
            np.matmul(block, rows[tile:to].T, out=room[: len(block), : to - tile])


def filtered(rows: np.ndarray, threshold: float) -> np.ndarray:
    """The greedy rule: each block against the kept rows, then its own rows in their order."""
    kept, places = np.empty_like(rows), np.empty(len(rows), dtype=np.int64)
    count = 0
    for start in range(0, len(rows), BLOCK):
        left = np.arange(start, min(start + BLOCK, len(rows)))
        for tile in range(0, count, TILE):
            alike = rows[left] @ kept[tile : min(tile + TILE, count)].T
            left = left[alike.max(axis=1) <= threshold]
        among = np.tril(rows[left] @ rows[left].T > threshold, -1)
        stays = np.ones(len(left), dtype=bool)
        for row in np.flatnonzero(among.any(axis=1)):
            stays[row] = not (among[row] & stays).any()
        left = left[stays]
        kept[count : count + len(left)], places[count : count + len(left)] = rows[left], left
        count += len(left)
    return places[:count]


def main() -> None:
    """One of the two, measured."""
    told = cost.arguments(
        __doc__, work={"default": "filter", "choices": ["products", "filter"]}, threshold={"type": float, "default": 0.9}
    )
    rows = cost.vectors(told.vectors, told.rows)
    products(rows[:BLOCK])
    if told.work == "products":
        _, seconds = cost.spent(lambda: products(rows))
        return cost.tell("products", rows, seconds)
    found, seconds = cost.spent(lambda: filtered(rows, told.threshold))
    if told.out:
        np.save(told.out, found)
    return cost.tell("plain", rows, seconds, kept=len(found))


if __name__ == "__main__":
    main()

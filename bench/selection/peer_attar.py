"""Attar's filter, or its nearest neighbours.

.venv/bin/python bench/selection/ours.py VECTORS [--work filter] [--rows N] [--keep K] [--mapped]
"""

import cost
import numpy as np
import polars as pl

from attar.similarity.backends import arithmetic
from attar.similarity.nearest import nearest
from attar.stages.annotate import approximate_neighbours
from attar.stages.select import dedup
from attar.stages.select.diverse import repr_filter


def main() -> None:
    """One piece of work, measured."""
    told = cost.arguments(
        __doc__,
        work={"default": "filter", "choices": ["filter", "neighbours", "approximate", "semantic"]},
        keep={"type": int},
        threshold={"type": float, "default": 0.9},
        near={"type": float, "default": 0.05},
        backend={"default": "auto"},
        mapped={"action": "store_true"},
    )
    rows = cost.vectors(told.vectors, told.rows, mapped=told.mapped)
    if told.work == "neighbours":
        least, by = 1 - told.near / 2, arithmetic(told.backend)  # of unit vectors: a squared distance as a cosine
        nearest(np.array(rows[:64]), 1, least, by)
        found, seconds = cost.spent(lambda: nearest(rows, 1, least, by))
        if told.out:
            np.savez(told.out, distance=2 - 2 * found.cosine[:, 0], count=found.count)
        return cost.tell("attar", rows, seconds)
    if told.work in ("semantic", "approximate"):
        lists = pl.Series("embedding", rows).cast(pl.List(pl.Float32))
        table = pl.DataFrame({"id": [f"r{i:07d}" for i in range(len(rows))], "embedding": lists})
        if told.work == "approximate":
            approximate_neighbours.measure(table.head(64))
            out, seconds = cost.spent(lambda: approximate_neighbours.measure(table))
            return cost.tell("attar, approximate", rows, seconds, recall=out["neighbour_recall"][0])
        dedup.semantic(table.head(64))
        verdicts, seconds = cost.spent(lambda: dedup.semantic(table))
        return cost.tell("attar, semantic repeats", rows, seconds, kept=int(verdicts["kept"].sum()))
    knobs = {"threshold": told.threshold, "keep": told.keep, "backend": told.backend}
    repr_filter(np.array(rows[:64]), **knobs)
    found, seconds = cost.spent(lambda: repr_filter(rows, **knobs))
    if told.out:
        np.save(told.out, found.kept)
    return cost.tell("attar", rows, seconds, kept=len(found.kept))


if __name__ == "__main__":
    main()

"""Attar's diversity filter, nearest neighbours (exact or approximate) or semantic duplicates, on one file of vectors.

.venv/bin/python bench/selection/peer_attar.py VECTORS [--work filter] [--rows N] [--keep K] [--mapped]
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

from attar.similarity.backends import choose_arithmetic
from attar.similarity.nearest import nearest
from attar.stages.annotate import approximate_neighbours
from attar.stages.select import dedup
from attar.stages.select.diverse import repr_filter

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import print_vector_cost, read_vector_options, read_vectors, timed


def main() -> None:
    """Do one piece of work, print its cost."""
    options = read_vector_options(
        __doc__,
        work={"default": "filter", "choices": ["filter", "neighbours", "approximate", "semantic"]},
        keep={"type": int},
        threshold={"type": float, "default": 0.9},
        near={"type": float, "default": 0.05},
        backend={"default": "auto"},
        mapped={"action": "store_true"},
    )
    rows = read_vectors(options.vectors, options.rows, mapped=options.mapped)
    if options.work == "neighbours":
        # of unit vectors the squared distance is 2 - 2 cosine
        least, by = 1 - options.near / 2, choose_arithmetic(options.backend)
        nearest(np.array(rows[:64]), 1, least, by)
        found, seconds = timed(lambda: nearest(rows, 1, least, by))
        if options.out:
            np.savez(options.out, distance=2 - 2 * found.cosine[:, 0], count=found.count)
        return print_vector_cost("attar", rows, seconds)
    if options.work in ("semantic", "approximate"):
        lists = pl.Series("embedding", rows).cast(pl.List(pl.Float32))
        table = pl.DataFrame({"id": [f"r{i:07d}" for i in range(len(rows))], "embedding": lists})
        if options.work == "approximate":
            approximate_neighbours.measure(table.head(64))
            out, seconds = timed(lambda: approximate_neighbours.measure(table))
            return print_vector_cost("attar, approximate", rows, seconds, recall=out["neighbour_recall"][0])
        dedup.semantic(table.head(64))
        verdicts, seconds = timed(lambda: dedup.semantic(table))
        return print_vector_cost("attar, semantic duplicates", rows, seconds, kept=int(verdicts["kept"].sum()))
    knobs = {"threshold": options.threshold, "keep": options.keep, "backend": options.backend}
    repr_filter(np.array(rows[:64]), **knobs)
    found, seconds = timed(lambda: repr_filter(rows, **knobs))
    if options.out:
        np.save(options.out, found.kept)
    return print_vector_cost("attar", rows, seconds, kept=len(found.kept))


if __name__ == "__main__":
    main()

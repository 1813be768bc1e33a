"""Deita's own filter class, from a checkout of github.com/hkust-nlp/deita.

    .venv/bin/python bench/selection/peer_deita.py VECTORS --checkout DEITA [--batch 1] [--rows N]     (needs torch and pandas)

It gets the vectors as its pipeline reads them from an array, in 32 bits; with those of its own embedder (Python lists) it works
in 64 bits and is slower. The scores fall from row to row, so its order is the order of the rows.
"""

import logging
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import print_vector_cost, read_vector_options, read_vectors, timed


def load_filter_class(checkout: Path) -> Any:
    """Import Combined_Filter. Empty modules replace its parent packages, which would import training and scoring too."""
    source = checkout / "src"
    for name in ("deita", "deita.pipeline", "deita.selection"):
        package = ModuleType(name)
        package.__path__ = [str(source / name.replace(".", "/"))]
        sys.modules[name] = package
    return import_module("deita.selection.filter").Combined_Filter


def make_frame(rows: np.ndarray) -> pd.DataFrame:
    """One row each, as the filter's pipeline builds it."""
    frame = pd.DataFrame([{"embedding": row} for row in rows])
    frame["idx"] = frame.index
    frame["complexity_scores"] = [[score] for score in np.linspace(6, 1, len(rows))]
    frame["quality_scores"] = [[1.0]] * len(rows)
    return frame


def main() -> None:
    """Filter all rows at its defaults, without a budget."""
    options = read_vector_options(
        __doc__, checkout={"required": True, "type": Path}, batch={"type": int}, threshold={"type": float, "default": 0.9}
    )
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    batch = {"batch_size": options.batch} if options.batch else {}
    knobs = {"threshold": options.threshold, "data_size": -1, "chunk_size": 100_000, "device": "cpu", **batch}
    deita = load_filter_class(options.checkout)(sort_key=["complexity_scores", "quality_scores"], **knobs)
    rows = read_vectors(options.vectors, options.rows)
    deita.filter(make_frame(rows[:64]))
    frame = make_frame(rows)
    kept, seconds = timed(lambda: deita.filter(frame))
    if options.out:
        np.save(options.out, kept["idx"].to_numpy())
    print_vector_cost(f"deita, batch {options.batch or 1}", rows, seconds, kept=len(kept))


if __name__ == "__main__":
    main()

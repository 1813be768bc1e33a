"""Deita's own filter class, from a checkout of github.com/hkust-nlp/deita.

    .venv/bin/python bench/selection/peer_deita.py VECTORS --checkout DEITA [--batch 1] [--rows N]     (needs torch and pandas)

It gets the vectors as its pipeline takes them from an array, in 32 bits: with those of its own embedder (Python lists) it
works in 64 bits and is slower. The scores fall from row to row, so its order is that of the rows.
"""

import logging
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import cost
import numpy as np
import pandas as pd
import torch


def filter_class(checkout: Path) -> Any:
    """Combined_Filter; the packages above it are stood in for, since they would import its training and scoring as well."""
    source = checkout / "src"
    for name in ("deita", "deita.pipeline", "deita.selection"):
        package = ModuleType(name)
        package.__path__ = [str(source / name.replace(".", "/"))]
        sys.modules[name] = package
    return import_module("deita.selection.filter").Combined_Filter


def table(rows: np.ndarray) -> pd.DataFrame:
    """One row each, as the filter's pipeline builds it."""
    frame = pd.DataFrame([{"embedding": row} for row in rows])
    frame["idx"] = frame.index
    frame["complexity_scores"] = [[score] for score in np.linspace(6, 1, len(rows))]
    frame["quality_scores"] = [[1.0]] * len(rows)
    return frame


def main() -> None:
    """All rows at its defaults, without a budget."""
    told = cost.arguments(
        __doc__, checkout={"required": True, "type": Path}, batch={"type": int}, threshold={"type": float, "default": 0.9}
    )
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    batch = {"batch_size": told.batch} if told.batch else {}
    knobs = {"threshold": told.threshold, "data_size": -1, "chunk_size": 100_000, "device": "cpu", **batch}
    deita = filter_class(told.checkout)(sort_key=["complexity_scores", "quality_scores"], **knobs)
    rows = cost.vectors(told.vectors, told.rows)
    deita.filter(table(rows[:64]))
    frame = table(rows)
    kept, seconds = cost.spent(lambda: deita.filter(frame))
    if told.out:
        np.save(told.out, kept["idx"].to_numpy())
    cost.tell(f"deita, batch {told.batch or 1}", rows, seconds, kept=len(kept))


if __name__ == "__main__":
    main()

"""Elo ratings: after each battle  R_i += step * (share - E),  R_j -= the same,  with  E = 1 / (1 + 10^((R_j - R_i) / 400)).

They depend on the order of the battles, so the value is the mean over shuffled orders, and the interval (95%) covers both other
orders and other questions. Bradley-Terry ratings (`bradley_terry.ratings`) need no order and have less noise: prefer them.
"""

import numpy as np
import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import reads, role
from attar.core.table import Table
from attar.stages.evaluate.figures.bradley_terry import START, valid_battles
from attar.statistics.bootstrap import bootstrap_interval, cluster_codes


@role("exam")
@reads("question", "model", "opponent", "preference")
def ratings(battles: Table, *, anchor: str, step: float = 4.0, orders: int = 200, seed: int = 0) -> Table:
    """question, model, opponent, preference -> id, model, figure, value, low, high, count: Elo ratings, the anchor's 1000."""
    if orders < 2 or step <= 0:
        raise RecipeError(f"step must be > 0 and orders >= 2, got {step:g} and {orders}")
    rows, names = valid_battles(battles, anchor, ())
    index = {name: i for i, name in enumerate(names)}
    sides = np.array([[index[name] for name in rows[side]] for side in ("model", "opponent")])  # (2, battles)
    share, (cluster, clusters) = rows["preference"].to_numpy(), cluster_codes(rows["question"])
    rng = np.random.default_rng(seed)
    shuffled = np.argsort(rng.random((orders, len(rows))), axis=1)
    resampled = _resample(rng, cluster, clusters, orders)
    final = _play(sides[:, shuffled], share[shuffled], np.ones(shuffled.shape, dtype=bool), (len(names), step))
    draws = _play(sides[:, resampled], share[resampled], resampled >= 0, (len(names), step))
    values = START + (final - final[:, index[anchor], None]).mean(axis=0)
    draws = START + draws - draws[:, index[anchor], None]
    counts = np.bincount(sides.ravel(), minlength=len(names))
    lines = [
        (f"{name}/elo", name, "elo", float(values[i]), *bootstrap_interval(draws[:, i], clusters), int(counts[i]))
        for i, name in enumerate(names)
    ]
    kinds = dict.fromkeys(("id", "model", "figure"), pl.String) | dict.fromkeys(("value", "low", "high"), pl.Float64)
    return pl.DataFrame(lines, schema=kinds | {"count": pl.Int64}, orient="row")


def _resample(rng: np.random.Generator, cluster: np.ndarray, clusters: int, draws: int) -> np.ndarray:
    """Battles of resampled clusters, in shuffled order, padded with -1: (draws, battles of the longest draw)."""
    members = [np.flatnonzero(cluster == i) for i in range(clusters)]
    picked = [np.concatenate([members[i] for i in rng.integers(0, clusters, clusters)]) for _ in range(draws)]
    out = np.full((draws, max(map(len, picked))), -1)
    for row, rows in zip(out, picked, strict=True):
        row[: len(rows)] = rng.permutation(rows)
    return out


def _play(sides: np.ndarray, share: np.ndarray, counts: np.ndarray, options: tuple[int, float]) -> np.ndarray:
    """Ratings around 0 after all battles, for all orders at once: (orders, models).

    `sides` is (2, orders, battles), `share` and `counts` are (orders, battles); padding does not count.
    """
    models, step = options
    ratings = np.zeros((len(share), models))
    orders = np.arange(len(share))
    for battle in range(share.shape[1]):
        first, second = sides[0, :, battle], sides[1, :, battle]
        expected = 1 / (1 + 10 ** ((ratings[orders, second] - ratings[orders, first]) / 400))
        change = step * (share[:, battle] - expected) * counts[:, battle]
        ratings[orders, first] += change
        ratings[orders, second] -= change
    return ratings

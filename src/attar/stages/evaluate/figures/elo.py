"""Elo ratings: each battle moves both sides by `step` times what it said that was not expected.

They hang on the order of the battles, so the value is the mean over shuffled orders, and the interval (95%) holds both other
orders and other questions. Bradley-Terry (`bradley_terry.ratings`) says the same without an order, with less noise: prefer it.
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
        raise RecipeError(f"step {step:g} over {orders} orders: Elo needs a step above 0 and two orders or more")
    rows, names = valid_battles(battles, anchor, ())
    number = {name: place for place, name in enumerate(names)}
    sides = np.array([[number[name] for name in rows[side]] for side in ("model", "opponent")])
    share, (cluster, clusters) = rows["preference"].to_numpy(), cluster_codes(rows["question"])
    rng = np.random.default_rng(seed)
    own = np.argsort(rng.random((orders, len(rows))), axis=1)
    drawn = _resample(rng, cluster, clusters, orders)
    place = number[anchor]
    walked = _play(sides[:, own], share[own], np.ones(own.shape, dtype=bool), (len(names), step))
    again = _play(sides[:, drawn], share[drawn], drawn >= 0, (len(names), step))
    values = START + (walked - walked[:, place, None]).mean(axis=0)
    spread = START + again - again[:, place, None]
    counts = np.bincount(sides.ravel(), minlength=len(names))
    lines = [
        (f"{name}/elo", name, "elo", float(values[i]), *bootstrap_interval(spread[:, i], clusters), int(counts[i]))
        for i, name in enumerate(names)
    ]
    kinds = dict.fromkeys(("id", "model", "figure"), pl.String) | dict.fromkeys(("value", "low", "high"), pl.Float64)
    return pl.DataFrame(lines, schema=kinds | {"count": pl.Int64}, orient="row")


def _resample(rng: np.random.Generator, cluster: np.ndarray, clusters: int, draws: int) -> np.ndarray:
    """Rows of whole clusters drawn anew, in shuffled order, a row a draw; shorter ones are filled up with -1."""
    members = [np.flatnonzero(cluster == one) for one in range(clusters)]
    picked = [np.concatenate([members[one] for one in rng.integers(0, clusters, clusters)]) for _ in range(draws)]
    out = np.full((draws, max(map(len, picked))), -1)
    for row, rows in zip(out, picked, strict=True):
        row[: len(rows)] = rng.permutation(rows)
    return out


def _play(sides: np.ndarray, share: np.ndarray, counts: np.ndarray, of: tuple[int, float]) -> np.ndarray:
    """Ratings around nought after all battles, for all orders at once: (orders, models)."""
    models, step = of
    found = np.zeros((len(share), models))
    rows = np.arange(len(share))
    for game in range(share.shape[1]):
        one, other = sides[0, :, game], sides[1, :, game]
        expected = 1 / (1 + 10 ** ((found[rows, other] - found[rows, one]) / 400))
        moved = step * (share[:, game] - expected) * counts[:, game]
        found[rows, one] += moved
        found[rows, other] -= moved
    return found

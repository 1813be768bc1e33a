"""Neighbours of pools so large that holding every row against every other takes too long: most of them, and the recall is told.

Not every pair is looked at. So `neighbour_distance` may be too large (null where no other was looked at), `repeats` is a lower
bound, and a repeat whose original was missed counts as original; what is found is exact, in 64 bits. `neighbour_recall` is the
share of the nearest that was found, by distance, for rows drawn at random and held against all others.
The same rows give the same answer on the same machine; on another, rounding may put a row into another list.
"""

import numpy as np
import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import reads
from attar.core.table import Table
from attar.similarity.exact_check import Looks
from attar.similarity.matrix import Matrix, matrix, units
from attar.similarity.nearest import Nearest
from attar.similarity.products import Numpy
from attar.stages.annotate.neighbours import having, told

_BLOCK, _TILE = 1024, 4096
_TURNS, _EACH = 4, 32
"""Turns of k-means, on so many rows a centre."""
_NONE = -2.0
"""Below any cosine."""
_TIE = 1e-12
"""Cosines that differ by less are equal."""
_SAME = 1e-6
"""Centres whose cosine is nearer to 1 are one: more than products in 32 bits can be off, less than any two groups differ."""


@reads(lambda knobs: (knobs["column"],))
def measure(
    table: Table, *, column: str = "embedding", near: float = 0.05, k: int = 1, probes: int = 16, sample: int = 1000
) -> Table:
    """{column} -> the columns of neighbours.measure, neighbour_recall; rows are held against some lists of rows.

    All rows are shared out among lists by the nearest of their centres, of which there are twice the square root of the rows.
    Time goes with `probes`, the number of lists that a row is held against, and recall rises with it.
    """
    for knob, value in (("probes", probes), ("sample", sample)):
        if value < 1:
            raise RecipeError(f"{knob} {value} finds nothing: it must be 1 or more")
    able = having(table, column, k)
    rows = matrix(able, column)
    whole = units(rows)
    found = _listed(rows, whole, k, 1 - near / 2, probes)
    recall = pl.lit(_recall(rows, whole, found, sample), dtype=pl.Float64)
    return told(table, able, found, k).with_columns(recall.alias("neighbour_recall"))


def _recall(rows: Matrix, whole: Matrix, found: Nearest, sample: int) -> float | None:
    """Of the k nearest of rows drawn at random, the share that was found; another just as near serves as well."""
    total = len(rows)
    k = min(found.other.shape[1], total - 1)
    if k < 1:
        return None
    drawn = np.random.default_rng(0).choice(total, min(sample, total), replace=False)
    best = _Best(rows, whole, k, near=np.inf)
    best.hold(drawn, np.arange(total))
    return float(np.mean(found.cosine[drawn, :k] >= best.cosine[drawn, -1:] - _TIE))


def _listed(rows: Matrix, whole: Matrix, k: int, near: float, probes: int) -> Nearest:
    """Each row held against the lists whose centres are nearest to it, list by list."""
    best = _Best(rows, whole, k, near)
    for members, askers in _lists(whole, probes):
        best.hold(askers, members)
    return Nearest(best.other, best.cosine, best.count, np.where(best.first < len(rows), best.first, -1))


class _Best:
    """The k nearest of those that each row was held against, how many of them are near, and the first that is: in 64 bits.

    Products in 32 bits send away only what can be none of these, by more than they can be off.
    """

    def __init__(self, rows: Matrix, whole: Matrix, k: int, near: float) -> None:
        total = len(rows)
        self.looks, self.whole, self.k, self.near = Looks(rows, whole), whole, k, near
        self.slack = Numpy().rounding(rows.shape[1])
        self.other = np.full((total, k), -1, dtype=np.int64)
        self.cosine = np.full((total, k), _NONE)
        self.count, self.first = np.zeros(total, dtype=np.int64), np.full(total, total, dtype=np.int64)

    def hold(self, asking: Matrix, answering: Matrix) -> None:
        """Hold rows against others, in ascending order, that they were not held against before; none against itself."""
        for start in range(0, len(asking), _BLOCK):
            for begin in range(0, len(answering), _TILE):
                self._look(asking[start : start + _BLOCK], answering[begin : begin + _TILE])

    def _look(self, asking: Matrix, answering: Matrix) -> None:
        products = _products(self.whole, asking, answering)
        top, known = products.max(axis=1), self.cosine[asking, -1]
        some = np.flatnonzero(top >= np.minimum(known, self.near) - self.slack)
        asking, products = asking[some], products[some]
        least = np.minimum(np.maximum(known[some], _kth(products, top[some], self.k) - self.slack), self.near)
        hits = np.flatnonzero(products >= (least - self.slack).astype(np.float32)[:, None])
        one, place = np.divmod(hits, len(answering))
        places, cosine = self.looks.above(asking[one], answering[place], np.nextafter(least[one], -np.inf))
        self._enter(asking[one[places]], answering[place[places]], cosine)

    def _enter(self, rows: Matrix, others: Matrix, cosine: Matrix) -> None:
        """Further others of some rows: the best k of the old and the new stay, of equal ones the first."""
        close = cosine >= self.near
        np.add.at(self.count, rows[close], 1)
        np.minimum.at(self.first, rows[close], others[close])
        touched = np.unique(rows)
        row = np.concatenate([np.repeat(touched, self.k), rows])
        other = np.concatenate([self.other[touched].ravel(), others])
        value = np.concatenate([self.cosine[touched].ravel(), cosine])
        order = np.lexsort((other, -value, row))
        starts = np.searchsorted(row[order], touched)
        best = order[starts[:, None] + np.arange(self.k)]
        self.other[touched], self.cosine[touched] = other[best], value[best]


def _products(whole: Matrix, asking: Matrix, answering: Matrix) -> Matrix:
    """The cosines of some rows with others (in ascending order) in 32 bits, none with itself."""
    products = whole[asking] @ whole[answering].T
    place = np.minimum(np.searchsorted(answering, asking), len(answering) - 1)
    itself = np.flatnonzero(answering[place] == asking)
    products[itself, place[itself]] = -np.inf
    return products


def _kth(products: Matrix, top: Matrix, k: int) -> Matrix | float:
    """The k-th greatest product of each row, of which `top` is the greatest."""
    if k == 1:
        return top
    return np.partition(products, -k, axis=1)[:, -k] if k <= products.shape[1] else -np.inf


def _lists(whole: Matrix, probes: int) -> list[tuple[Matrix, Matrix]]:
    """Of each list the rows that are in it, and the rows that are to be held against it; in the table's order."""
    total = len(whole)
    centres = _distinct(_centres(whole, round(2 * total**0.5)))
    probes = min(probes, len(centres))
    asked, home = np.empty((total, probes), dtype=np.int32), np.empty(total, dtype=np.int32)
    for start in range(0, total, _BLOCK):
        alike = whole[start : start + _BLOCK] @ centres.T
        home[start : start + _BLOCK] = alike.argmax(axis=1)
        asked[start : start + _BLOCK] = np.argpartition(-alike, probes - 1, axis=1)[:, :probes]
    asking = asked.ravel()
    return list(zip(_grouped(home, len(centres)), [some // probes for some in _grouped(asking, len(centres))], strict=True))


def _distinct(centres: Matrix) -> Matrix:
    """The centres without those that repeat an earlier one: rounding alone would share copies of a row out among them."""
    return centres[np.tril(centres @ centres.T, -1).max(axis=1, initial=0) < 1 - _SAME]


def _grouped(labels: Matrix, count: int) -> list[Matrix]:
    """The places of each label, in order."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(1, count))) if count else []


def _centres(whole: Matrix, count: int) -> Matrix:
    """Centres of length one by a few turns of k-means on rows drawn at random; one that loses all its rows stays."""
    random = np.random.default_rng(0)
    drawn = whole[random.choice(len(whole), min(len(whole), _EACH * count), replace=False)]
    centres = drawn[:count].copy()
    for _ in range(_TURNS):
        label = np.concatenate([(drawn[i : i + _TILE] @ centres.T).argmax(axis=1) for i in range(0, len(drawn), _TILE)] or [[]])
        for place, some in enumerate(_grouped(label, count)):
            middle = drawn[some].sum(axis=0, dtype=np.float64)
            size = np.linalg.norm(middle)
            if size > 0:
                centres[place] = middle / size
    return centres

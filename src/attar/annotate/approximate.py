"""Neighbours of pools so large that holding every row against every other takes too long: most of them, and the recall is told.

Not every pair is looked at. So `neighbour_distance` may be too large (null where no other was looked at), `repeats` is a lower
bound, and a repeat whose original was missed counts as original; what is found is exact, in 64 bits. `neighbour_recall` is the
share of the nearest that was found, by distance, for rows drawn at random and held against all others.
The same rows give the same answer on the same machine; on another, rounding may put a row into another list.
"""

import numpy as np
import polars as pl

from attar.annotate.neighbours import having, told
from attar.errors import RecipeError
from attar.stage import reads
from attar.table import Table
from attar.vectors.arithmetic import Numpy
from attar.vectors.looks import Looks
from attar.vectors.nearest import Nearest
from attar.vectors.rows import Matrix, cosines, matrix, units

_BLOCK, _TILE = 1024, 4096
_TURNS, _EACH = 4, 32
"""Turns of k-means, on so many rows a centre."""
_MORE = 8
"""Further rows looked at in 64 bits, lest rounding take one of the nearest."""
_NONE = -2.0
"""Below any cosine."""
_TIE = 2e-6
"""Which of two is nearer by less is chosen in 32 bits, and either serves."""


@reads(lambda knobs: (knobs["column"],))
def measure(
    table: Table, *, column: str = "embedding", near: float = 0.05, k: int = 1, probes: int = 16, sample: int = 1000
) -> Table:
    """{column} -> the columns of neighbours.measure, neighbour_recall; rows are held against some lists of rows.

    All rows are shared out among lists by the nearest of their centres, of which there are twice the square root of the rows.
    Time goes with `probes`, the number of lists that a row is held against, and recall rises with it.
    """
    able = having(table, column, k)
    rows = matrix(able, column)
    whole = units(rows)
    found = _listed(rows, whole, k, 1 - near / 2, _positive("probes", probes))
    return _with_recall(told(table, able, found, k), _recall(rows, whole, found, sample))


def _positive(knob: str, value: int) -> int:
    if value < 1:
        raise RecipeError(f"{knob} {value} finds nothing: it must be 1 or more")
    return value


def _with_recall(table: Table, recall: float | None) -> Table:
    return table.with_columns(pl.lit(recall, dtype=pl.Float64).alias("neighbour_recall"))


def _recall(rows: Matrix, whole: Matrix, found: Nearest, sample: int) -> float | None:
    """Of the k nearest of rows drawn at random, the share that was found; another just as near serves as well."""
    total = len(rows)
    k = min(found.other.shape[1], total - 1)
    if k < 1:
        return None
    drawn = np.random.default_rng(0).choice(total, min(_positive("sample", sample), total), replace=False)
    best = _Best(rows, min(k + _MORE, total - 1))
    for start in range(0, len(drawn), _BLOCK):
        for begin in range(0, total, _TILE):
            asking, answering = drawn[start : start + _BLOCK], np.arange(begin, min(begin + _TILE, total))
            best.offer(asking, answering, _products(whole, asking, answering))
    least = best.told(drawn)[1][:, k - 1]
    return float(np.mean(found.cosine[drawn, :k] >= least[:, None] - _TIE))


def _products(whole: Matrix, asking: Matrix, answering: Matrix) -> Matrix:
    """The cosines of some rows with others (in ascending order) in 32 bits, none with itself."""
    products = whole[asking] @ whole[answering].T
    place = np.minimum(np.searchsorted(answering, asking), len(answering) - 1)
    itself = np.flatnonzero(answering[place] == asking)
    products[itself, place[itself]] = _NONE
    return products


class _Best:
    """The k others of each row that were best so far, in 32 bits."""

    def __init__(self, rows: Matrix, k: int) -> None:
        self.rows, self.k = rows, k
        self.other = np.full((len(rows), k), -1, dtype=np.int64)
        self.cosine = np.full((len(rows), k), _NONE, dtype=np.float32)

    def offer(self, asking: Matrix, answering: Matrix, products: Matrix) -> Matrix:
        """Further others for rows, each named once; the best product of each row is returned."""
        if self.k == 1:
            top = products.argmax(axis=1)[:, None]
        else:
            count = min(self.k, len(answering))
            top = np.argpartition(-products, count - 1, axis=1)[:, :count]
        found = np.take_along_axis(products, top, axis=1)
        better = np.flatnonzero(found.max(axis=1) > self.cosine[asking].min(axis=1))
        ones = asking[better]
        cosine = np.hstack([self.cosine[ones], found[better]])
        other = np.hstack([self.other[ones], np.where(found[better] > _NONE, answering[top[better]], -1)])
        order = np.argsort(-cosine, axis=1, kind="stable")[:, : self.k]
        self.cosine[ones] = np.take_along_axis(cosine, order, axis=1)
        self.other[ones] = np.take_along_axis(other, order, axis=1)
        return found.max(axis=1)

    def told(self, asked: Matrix) -> tuple[Matrix, Matrix]:
        """Others and cosines of some rows, decided in 64 bits, nearest first, ties by place."""
        return _exact(self.rows, asked, self.other[asked])


def _exact(rows: Matrix, asked: Matrix, other: Matrix) -> tuple[Matrix, Matrix]:
    """The others of some rows (-1 for none) and their cosines in 64 bits, nearest first, ties by place."""
    cosine = np.full(other.shape, _NONE)
    for start in range(0, len(asked), _TILE):
        some = other[start : start + _TILE]
        row, place = np.nonzero(some >= 0)
        cosine[start + row, place] = cosines(rows[asked[start + row]], rows[some[row, place]])
    order = np.lexsort((other, -cosine), axis=1)
    return np.take_along_axis(other, order, axis=1), np.take_along_axis(cosine, order, axis=1)


def _listed(rows: Matrix, whole: Matrix, k: int, near: float, probes: int) -> Nearest:
    """Each row held against the lists whose centres are nearest to it, list by list, in blocks of products."""
    total = len(rows)
    best, looks, limit = _Best(rows, k), Looks(rows, whole), near - Numpy().rounding(rows.shape[1])
    count, first = np.zeros(total, dtype=np.int64), np.full(total, total, dtype=np.int64)
    for members, askers in _lists(whole, probes):
        for start in range(0, len(askers), _BLOCK):
            for begin in range(0, len(members), _TILE):
                asking, answering = askers[start : start + _BLOCK], members[begin : begin + _TILE]
                products = _products(whole, asking, answering)
                close = np.flatnonzero(best.offer(asking, answering, products) >= limit)
                one, other = np.nonzero(products[close] >= limit)
                one, other = asking[close[one]], answering[other]
                sure = looks.above(one, other, np.nextafter(near, -np.inf))[0]
                count += np.bincount(one[sure], minlength=total)
                np.minimum.at(first, one[sure], other[sure])
    other, cosine = best.told(np.arange(total))
    return Nearest(other, cosine, count, np.where(first < total, first, -1))


def _lists(whole: Matrix, probes: int) -> list[tuple[Matrix, Matrix]]:
    """Of each list the rows that are in it, and the rows that are to be held against it; in the table's order."""
    total = len(whole)
    centres = _centres(whole, round(2 * total**0.5))
    probes = min(probes, len(centres))
    asked, home = np.empty((total, probes), dtype=np.int32), np.empty(total, dtype=np.int32)
    for start in range(0, total, _BLOCK):
        alike = whole[start : start + _BLOCK] @ centres.T
        home[start : start + _BLOCK] = alike.argmax(axis=1)
        asked[start : start + _BLOCK] = np.argpartition(-alike, probes - 1, axis=1)[:, :probes]
    asking = asked.ravel()
    return list(zip(_grouped(home, len(centres)), [some // probes for some in _grouped(asking, len(centres))], strict=True))


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

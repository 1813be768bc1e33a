"""Figures of how two columns of numbers agree, for the rows as they are and for draws of their prompts.

Every pair of rows counts. A draw weighs rows by how often their prompt was drawn, and ranks are those of the rows so repeated;
where pairs are made of all rows, a draw's share of pairs is right to first order. What cannot be said is NaN.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

FIGURES = ("spearman", "pearson", "pairs", "best", "lost", "exact", "absolute_error", "bias")
SHARES = ("pairs", "best", "exact")
_ROUNDING = 1e-12  # what is less of the squares is no spread


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Scores and gold labels, those of one prompt beside each other."""

    score: np.ndarray
    gold: np.ndarray
    starts: np.ndarray  # the first row of each prompt
    apart: bool  # each row is a prompt of its own, and pairs are made of all

    @property
    def prompt(self) -> np.ndarray:
        """The number of each row's prompt."""
        return np.repeat(np.arange(len(self.starts)), np.diff(self.starts, append=len(self.score)))


@dataclass(frozen=True, slots=True)
class AgreementFigure:
    """A figure of the rows as they are and then of each draw, of how many things, and how many prompts had a say."""

    values: np.ndarray
    count: int
    prompts: int


def figures(rows: ScoredRows, bootstrap: int, seed: int) -> dict[str, AgreementFigure]:
    """Every figure, of the rows and of `bootstrap` draws of as many prompts; the same prompts and seed give the same draws."""
    count = len(rows.starts)
    if not count:
        return {name: AgreementFigure(np.full(1, np.nan), 0, 0) for name in FIGURES}
    sums, prompt, rng = _prompt_sums(rows), rows.prompt, np.random.default_rng(seed)
    scores, golds = _dense_ranks(rows.score), _dense_ranks(rows.gold)
    totals, spearman = np.empty((len(sums), bootstrap + 1)), np.empty(bootstrap + 1)
    for draw in range(bootstrap + 1):
        times = np.bincount(rng.integers(0, count, count), minlength=count) if draw else np.ones(count)
        totals[:, draw] = sums @ times
        spearman[draw] = _spearman(scores, golds, times[prompt].astype(float))
    values = {"spearman": spearman, **_figures_from_sums(totals)}
    of = {"pairs": sums[10] > 0, "best": sums[11] > 0, "lost": sums[11] > 0}
    many, asked = {"pairs": round(totals[10, 0] / 2)}, {name: int(has.sum()) for name, has in of.items()}
    many |= {"best": asked["best"], "lost": asked["lost"]}
    return {name: AgreementFigure(values[name], many.get(name, len(rows.score)), asked.get(name, count)) for name in FIGURES}


def _figures_from_sums(totals: np.ndarray) -> dict[str, np.ndarray]:
    """Figures out of the sums over the rows that were drawn."""
    rows, x, y, xx, yy, xy, far, over, exact, right, pairs, picks, best, lost = totals
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (xx - x * x / rows) * (yy - y * y / rows)
        return {
            "pearson": np.where(spread > _ROUNDING * xx * yy, (xy - x * y / rows) / np.sqrt(np.abs(spread)), np.nan),
            "pairs": np.clip(right / pairs, 0, 1),
            "best": best / picks,
            "lost": lost / picks,
            "exact": exact / rows,
            "absolute_error": far / rows,
            "bias": over / rows,
        }


def _prompt_sums(rows: ScoredRows) -> np.ndarray:
    """A line for each sum that figures are made of, with a number for each prompt."""
    x, y = rows.score - rows.score.mean(), rows.gold - rows.gold.mean()
    gap = rows.score - rows.gold
    exact = np.floor(rows.score + 0.5) == np.floor(rows.gold + 0.5)
    own = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y, np.abs(gap), gap, exact, *_pair_counts(rows)])
    return np.concatenate([np.add.reduceat(own, rows.starts, axis=1), _best_picks(rows)])


def _pair_counts(rows: ScoredRows) -> tuple[np.ndarray, np.ndarray]:
    """Of each row: with how many others its order is right, a tie counting half, and how many have another gold label."""
    prompt = np.zeros(len(rows.score), dtype=np.int64) if rows.apart else rows.prompt
    gold = _dense_ranks(rows.gold)
    scores, golds = (_dense_ranks(prompt * len(prompt) + codes) for codes in (_dense_ranks(rows.score), gold))
    against = (prompt.max() - prompt) * len(prompt) + gold  # prompts the other way round: less in both only within one
    tied = _counts_of_equal(scores) - _counts_of_equal(scores * len(prompt) + gold)
    pairs = _counts_of_equal(prompt) - _counts_of_equal(golds)
    right = _count_dominated(scores, against) + _count_dominated(-scores, -against) + tied / 2
    if rows.apart and pairs.any():  # a pair hangs on two draws: its slope is twice a sum's over rows
        right = 2 * right - right.sum() / pairs.sum() * pairs
    return right, pairs


def _dense_ranks(values: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 up in the order of the values, equal ones for equal values."""
    return np.unique(values, return_inverse=True)[1]


def _counts_of_equal(codes: np.ndarray) -> np.ndarray:
    """Of each row how many have its code."""
    _, places, counts = np.unique(codes, return_inverse=True, return_counts=True)
    return counts[places]


def _count_dominated(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of each row how many are less than it in both: blocks that are sorted by the first are merged by the second."""
    order = np.lexsort((-second, first))
    codes = _dense_ranks(second)[order]
    places, found = np.arange(len(order)), np.zeros(len(order), dtype=np.int64)
    width = 1
    while width < len(order):
        block, behind = places // (2 * width), places // width % 2 == 1
        merged = np.argsort(2 * (block * len(order) + codes) + ~behind)  # of equal ones those behind come first
        before = np.cumsum(~behind[merged]) - block[merged] * width  # every earlier block has a whole half in front
        found[merged] += before * behind[merged]
        width *= 2
    out = np.empty_like(found)
    out[order] = found
    return out


def _best_picks(rows: ScoredRows) -> np.ndarray:
    """Of each prompt: whether gold labels differ, and then how often the best by score is best by gold, and what gold it lacks.

    Where several have the highest score, each is as likely to be picked.
    """
    prompt, starts = rows.prompt, rows.starts
    most, least = np.maximum.reduceat(rows.gold, starts), np.minimum.reduceat(rows.gold, starts)
    picked = rows.score == np.maximum.reduceat(rows.score, starts)[prompt]
    among = np.add.reduceat(picked.astype(float), starts)
    best = np.add.reduceat((picked & (rows.gold == most[prompt])).astype(float), starts) / among
    lost = most - np.add.reduceat(rows.gold * picked, starts) / among
    return np.stack([np.ones_like(most), best, lost]) * (most > least)


def _spearman(score: np.ndarray, gold: np.ndarray, times: np.ndarray) -> float:
    """The correlation of the ranks of rows that stand there so many times, ties sharing their mean rank."""
    held = times.sum()
    ranks, spreads = [], []
    for codes in (score, gold):
        counts = np.bincount(codes, weights=times)
        means = np.cumsum(counts) - (counts + held) / 2  # from the middle rank
        spreads.append(float(counts @ (means * means)))
        ranks.append(means[codes])
    if min(spreads) == 0:
        return float("nan")
    return float((times * ranks[0]) @ ranks[1]) / sqrt(spreads[0] * spreads[1])

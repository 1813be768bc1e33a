"""Measures of agreement between two columns of numbers (scores and gold labels), with a bootstrap over prompts.

All pairs of rows count. A draw weights rows by how often their prompt was sampled; ranks are those of the repeated rows. Where
pairs are made across prompts, a draw's share of pairs is correct to first order. An undefined figure is NaN.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

FIGURES = ("spearman", "pearson", "pairs", "best", "lost", "exact", "absolute_error", "bias")
SHARES = ("pairs", "best", "exact")
_ROUNDING = 1e-12  # a variance below this share of the sums of squares is zero


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Scores and gold labels, sorted so that a prompt's rows are adjacent."""

    score: np.ndarray
    gold: np.ndarray
    starts: np.ndarray  # the first row of each prompt
    apart: bool  # each row is a prompt of its own, and pairs are made across prompts

    @property
    def prompt(self) -> np.ndarray:
        """The number of each row's prompt."""
        return np.repeat(np.arange(len(self.starts)), np.diff(self.starts, append=len(self.score)))


@dataclass(frozen=True, slots=True)
class AgreementFigure:
    """A figure of the rows followed by its bootstrap draws; how many items it counts, and how many prompts contribute."""

    values: np.ndarray
    count: int
    prompts: int


def figures(rows: ScoredRows, bootstrap: int, seed: int) -> dict[str, AgreementFigure]:
    """All figures, for the rows and for `bootstrap` draws of prompts; the same prompts and seed give the same draws."""
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
    contributing = {"pairs": sums[10] > 0, "best": sums[11] > 0, "lost": sums[11] > 0}
    prompts = {name: int(has.sum()) for name, has in contributing.items()}
    counts = {"pairs": round(totals[10, 0] / 2), "best": prompts["best"], "lost": prompts["lost"]}
    return {
        name: AgreementFigure(values[name], counts.get(name, len(rows.score)), prompts.get(name, count)) for name in FIGURES
    }


def _figures_from_sums(totals: np.ndarray) -> dict[str, np.ndarray]:
    """The figures from sums over the sampled rows, (sums, draws)."""
    rows, x, y, xx, yy, xy, distance, gap, exact, right, pairs, picks, best, lost = totals
    with np.errstate(divide="ignore", invalid="ignore"):
        variances = (xx - x * x / rows) * (yy - y * y / rows)
        return {
            "pearson": np.where(variances > _ROUNDING * xx * yy, (xy - x * y / rows) / np.sqrt(np.abs(variances)), np.nan),
            "pairs": np.clip(right / pairs, 0, 1),
            "best": best / picks,
            "lost": lost / picks,
            "exact": exact / rows,
            "absolute_error": distance / rows,
            "bias": gap / rows,
        }


def _prompt_sums(rows: ScoredRows) -> np.ndarray:
    """The sums that the figures are made of, for each prompt: (14, prompts), in the order of `_figures_from_sums`."""
    x, y = rows.score - rows.score.mean(), rows.gold - rows.gold.mean()
    gap = rows.score - rows.gold
    exact = np.floor(rows.score + 0.5) == np.floor(rows.gold + 0.5)
    of_rows = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y, np.abs(gap), gap, exact, *_pair_counts(rows)])
    return np.concatenate([np.add.reduceat(of_rows, rows.starts, axis=1), _best_picks(rows)])


def _pair_counts(rows: ScoredRows) -> tuple[np.ndarray, np.ndarray]:
    """For each row: the pairs whose order is right (score ties count half), and the pairs with different gold labels."""
    prompt = np.zeros(len(rows.score), dtype=np.int64) if rows.apart else rows.prompt
    gold = _dense_ranks(rows.gold)
    scores, golds = (_dense_ranks(prompt * len(prompt) + ranks) for ranks in (_dense_ranks(rows.score), gold))
    # Prompts are numbered in reverse order here, so a row is below another in both only within one prompt.
    reversed_gold = (prompt.max() - prompt) * len(prompt) + gold
    tied = _counts_of_equal(scores) - _counts_of_equal(scores * len(prompt) + gold)
    pairs = _counts_of_equal(prompt) - _counts_of_equal(golds)
    right = _count_dominated(scores, reversed_gold) + _count_dominated(-scores, -reversed_gold) + tied / 2
    if rows.apart and pairs.any():  # a pair depends on two draws: its derivative is twice that of a sum over rows
        right = 2 * right - right.sum() / pairs.sum() * pairs
    return right, pairs


def _dense_ranks(values: np.ndarray) -> np.ndarray:
    """Dense ranks from 0; equal values have equal ranks."""
    return np.unique(values, return_inverse=True)[1]


def _counts_of_equal(codes: np.ndarray) -> np.ndarray:
    """For each row, how many rows have its code."""
    _, places, counts = np.unique(codes, return_inverse=True, return_counts=True)
    return counts[places]


def _count_dominated(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """For each row, how many rows are below it in both: a merge sort by `second` of rows sorted by `first`, level by level."""
    order = np.lexsort((-second, first))
    codes = _dense_ranks(second)[order]
    places, counts = np.arange(len(order)), np.zeros(len(order), dtype=np.int64)
    width = 1
    while width < len(order):
        block, in_right_half = places // (2 * width), places // width % 2 == 1
        merged = np.argsort(2 * (block * len(order) + codes) + ~in_right_half)  # of equal codes, the right half first
        before = np.cumsum(~in_right_half[merged]) - block[merged] * width  # each earlier block has a full left half
        counts[merged] += before * in_right_half[merged]
        width *= 2
    out = np.empty_like(counts)
    out[order] = counts
    return out


def _best_picks(rows: ScoredRows) -> np.ndarray:
    """For each prompt (3, prompts): do gold labels differ; probability that the top score is the best by gold; gold lost.

    Rows that tie for the highest score are equally likely to be picked.
    """
    prompt, starts = rows.prompt, rows.starts
    highest, lowest = np.maximum.reduceat(rows.gold, starts), np.minimum.reduceat(rows.gold, starts)
    picked = rows.score == np.maximum.reduceat(rows.score, starts)[prompt]
    among = np.add.reduceat(picked.astype(float), starts)
    best = np.add.reduceat((picked & (rows.gold == highest[prompt])).astype(float), starts) / among
    lost = highest - np.add.reduceat(rows.gold * picked, starts) / among
    return np.stack([np.ones_like(highest), best, lost]) * (highest > lowest)


def _spearman(score: np.ndarray, gold: np.ndarray, times: np.ndarray) -> float:
    """Spearman's correlation of rows repeated `times`; ties share their mean rank."""
    total = times.sum()
    ranks, variances = [], []
    for codes in (score, gold):
        counts = np.bincount(codes, weights=times)
        means = np.cumsum(counts) - (counts + total) / 2  # mean rank of each code, minus the middle rank
        variances.append(float(counts @ (means * means)))
        ranks.append(means[codes])
    if min(variances) == 0:
        return float("nan")
    return float((times * ranks[0]) @ ranks[1]) / sqrt(variances[0] * variances[1])

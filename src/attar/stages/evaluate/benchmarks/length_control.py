"""The length-controlled win rate of AlpacaEval 2 (arXiv 2404.04475): the win rate if both answers had the same length.

A logistic regression with an L1 penalty predicts the preference of battle i,  P_i = sigmoid(m + a tanh(d_i / sd(d)) + c h_i),
with the length difference d and the question's difficulty h; the win rate is the mean of P_i with a = 0. For AlpacaEval's own
805 questions, h is known, and 1,610 regularising rows of weight 0.1 are added: two answerers who differ from the baseline only
in length. Without them there is no c. The penalty is chosen by cross-validation over questions. A bootstrap draw reweights the
rows and keeps sd(d) and the penalty, which is capped: a larger one would shrink every draw to 50%.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
import polars as pl

from attar.statistics.logistic import fit, predict

Array = np.ndarray
TERMS = ("length", "difficulty", "regulariser")
KNOWN_QUESTIONS = Path(__file__).parent / "coefficients" / "alpaca_eval.parquet"
_PENALTIES = 1 / np.logspace(-4, 4, 10)
_MAX_BOOTSTRAP_PENALTY = float(_PENALTIES[5])  # negligible with a few dozen rows or more
_FOLDS = 5
_REGULARISER_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Battles:
    """Battles of one model against another, as arrays: (battles,)."""

    preference: Array  # from 0 to 1, NaN where unjudged
    longer: Array  # characters of the answer minus those of the other
    question: Array  # question numbers from 0
    difficulty: Array | None = None  # for AlpacaEval's questions

    @property
    def has_preference(self) -> Array:
        """Which battles were judged."""
        return np.isfinite(self.preference)


@dataclass(frozen=True, slots=True)
class LengthControlResult:
    """The length-controlled win rate in percent, of all rows and then of each draw; NaN with too few judged questions."""

    values: Array
    published_se: float  # the leaderboard's: of the mean prediction, without the error of the regression
    terms: tuple[str, ...]
    length: float  # the coefficient a; > 0 if the judge prefers longer answers
    penalty: float


@cache
def alpaca_eval_questions() -> pl.DataFrame:
    """AlpacaEval's questions in their order: text (a hash), difficulty, and the two regularising rows of each."""
    return pl.read_parquet(KNOWN_QUESTIONS)


def text_hash(text: str) -> int:
    """The hash of a question's text in `alpaca_eval_questions`; surrounding spaces do not matter."""
    return int.from_bytes(blake2b(text.strip().encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def control_length(
    battles: Battles, draws: Array | None = None, *, without: Collection[str] = (), penalty: float | None = None
) -> LengthControlResult:
    """The length-controlled win rate; `draws` are bootstrap weights of the rows, (draws, battles); `without` removes terms."""
    count = len(battles.preference)
    weights = np.ones((1, count)) if draws is None else np.concatenate([np.ones((1, count)), draws])
    terms = _terms(battles, without)
    judged = battles.has_preference
    if np.count_nonzero(np.bincount(battles.question[judged])) < _FOLDS:
        return LengthControlResult(np.full(len(weights), np.nan), float("nan"), (), float("nan"), float("nan"))
    features, names = _features(battles, terms)  # (battles, features)
    extra, labels = _regulariser_rows(names) if "regulariser" in terms else (np.empty((0, len(names))), np.empty(0))
    x, y = np.concatenate([extra, features[judged]]), np.concatenate([labels, battles.preference[judged]])
    extra_weights = np.full((len(weights), len(labels)), _REGULARISER_WEIGHT)
    folds = np.concatenate([np.arange(len(labels)), np.unique(battles.question[judged], return_inverse=True)[1]]) % _FOLDS
    w = np.concatenate([extra_weights, weights[:, judged]], axis=1)  # (1 + draws, regulariser rows + judged)
    penalty = penalty or _choose_penalty(x, y, w[0], folds)
    first = fit(x, y, w[:1], l1=penalty)
    coefficients = np.concatenate([first, fit(x, y, w[1:], l1=min(penalty, _MAX_BOOTSTRAP_PENALTY), start=first)])
    equal_lengths = features * (np.array(names) != "length")
    predictions = 100 * predict(equal_lengths, coefficients)  # (1 + draws, battles)
    values = np.einsum("dn,dn->d", predictions, weights) / weights.sum(axis=1)
    length = float(first[0, names.index("length")]) if "length" in names else 0.0
    return LengthControlResult(values, float(predictions[0].std(ddof=1)) / np.sqrt(count), terms, length, float(penalty))


def _terms(battles: Battles, without: Collection[str]) -> tuple[str, ...]:
    """The terms that can be controlled for: length if lengths differ, the others on AlpacaEval's questions."""
    longer = battles.longer[battles.has_preference]
    available = {"length": len(longer) > 1 and np.ptp(longer) > 0}
    available |= dict.fromkeys(("difficulty", "regulariser"), battles.difficulty is not None)
    return tuple(term for term in TERMS if available[term] and term not in without)


def _features(battles: Battles, terms: Collection[str]) -> tuple[Array, list[str]]:
    """The features, a column of ones for the model and one per term, and their names."""
    columns = {"model": np.ones(len(battles.longer))}
    if "length" in terms:
        columns["length"] = np.tanh(battles.longer / battles.longer.std(ddof=1))
    if "difficulty" in terms and battles.difficulty is not None:
        columns["difficulty"] = battles.difficulty
    return np.stack(list(columns.values()), axis=1), list(columns)


def _regulariser_rows(names: list[str]) -> tuple[Array, Array]:
    """Features and labels of the regularising rows; the model feature is 0, since another model answered."""
    rows = alpaca_eval_questions()
    difficulty = np.tile(rows["difficulty"].to_numpy(), 2)
    longer = np.concatenate([rows["concise_longer"].to_numpy(), rows["verbose_longer"].to_numpy()])
    columns = {"model": np.zeros(len(difficulty)), "length": np.tanh(longer), "difficulty": difficulty}
    labels = np.concatenate([rows["concise_preference"].to_numpy(), rows["verbose_preference"].to_numpy()])
    return np.stack([columns[name] for name in names], axis=1), labels


def _choose_penalty(x: Array, y: Array, w: Array, folds: Array) -> float:
    """The penalty with the least log loss on held-out questions, by cross-validation; the largest of equals."""
    held_out = folds == np.arange(_FOLDS)[:, None]  # (folds, rows)
    coefficients = fit(x, y, np.repeat(w * ~held_out, len(_PENALTIES), axis=0), l1=np.tile(_PENALTIES, _FOLDS))
    p = np.clip(predict(x, coefficients), 1e-15, 1 - 1e-15)  # (folds x penalties, rows)
    losses = -(y * np.log(p) + (1 - y) * np.log(1 - p)) * w
    shares = np.repeat(held_out / held_out.sum(axis=1, keepdims=True), len(_PENALTIES), axis=0)
    return float(_PENALTIES[(losses * shares).sum(axis=1).reshape(_FOLDS, -1).sum(axis=0).argmin()])

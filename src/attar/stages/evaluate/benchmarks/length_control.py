"""What a win rate would be if no answer were longer than the other (AlpacaEval 2's model, arXiv 2404.04475), from arrays.

Preferences are told by a logistic model from how much longer an answer is (tanh of the difference by its spread), how hard the
question is, and who answers; the win rate is what the model says with the lengths alike. What is known of AlpacaEval's 805
questions (their difficulties, and 1,610 rows of two answerers who differ from the baseline in length alone, a tenth each) goes
in beside where the questions are those. The penalty is chosen by cross-validation over questions. A draw weighs rows anew;
spread and penalty are those of the rows as they are, but that a penalty which leaves little of a model (few, noisy rows) is
eased: else all draws would be 50, and the interval nothing.
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
_MAX_BOOTSTRAP_PENALTY = float(_PENALTIES[5])  # of no weight beside some dozens of rows
_FOLDS = 5
_REGULARISER_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Battles:
    """Rows of one model against another: preferences from 0 to 1 (NaN where unjudged), lengths, and whose question each is."""

    preference: Array
    longer: Array  # characters of the answer, less those of the other
    question: Array  # numbers from 0
    difficulty: Array | None = None  # of AlpacaEval's questions

    @property
    def judged(self) -> Array:
        """Whether there is a preference."""
        return np.isfinite(self.preference)


@dataclass(frozen=True, slots=True)
class LengthControlResult:
    """A length-controlled win rate in percent, of the rows and then of each draw; NaN where too little was judged."""

    values: Array
    published_se: float  # as the leaderboard has it: of what is predicted, as if the model of it were known
    terms: tuple[str, ...]
    length: float  # the coefficient of length: above 0 the judge prefers the longer of two answers
    penalty: float


@cache
def alpaca_eval_questions() -> pl.DataFrame:
    """What is known of AlpacaEval's questions, in their order: text (a hash), difficulty, and two regularising rows of each."""
    return pl.read_parquet(KNOWN_QUESTIONS)


def text_hash(text: str) -> int:
    """The number that stands for a question's text in `known`; spaces around it do not matter."""
    return int.from_bytes(blake2b(text.strip().encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def control(
    battles: Battles, draws: Array | None = None, *, without: Collection[str] = (), penalty: float | None = None
) -> LengthControlResult:
    """The length-controlled win rate; `draws` has the weights of the rows, a line for each draw. `without` leaves terms out."""
    count = len(battles.preference)
    weights = np.ones((1, count)) if draws is None else np.concatenate([np.ones((1, count)), draws])
    terms = _terms(battles, without)
    if np.count_nonzero(np.bincount(battles.question[battles.judged])) < _FOLDS:
        return LengthControlResult(np.full(len(weights), np.nan), float("nan"), (), float("nan"), float("nan"))
    features, names = _features(battles, terms)
    beside, labels = _regulariser_rows(names) if "regulariser" in terms else (np.empty((0, len(names))), np.empty(0))
    judged = battles.judged
    x, y = np.concatenate([beside, features[judged]]), np.concatenate([labels, battles.preference[judged]])
    own = np.full((len(weights), len(labels)), _REGULARISER_WEIGHT)
    folds = np.concatenate([np.arange(len(labels)), np.unique(battles.question[judged], return_inverse=True)[1]]) % _FOLDS
    w = np.concatenate([own, weights[:, judged]], axis=1)
    penalty = penalty or _choose_penalty(x, y, w[0], folds)
    first = fit(x, y, w[:1], l1=penalty)
    coefficients = np.concatenate([first, fit(x, y, w[1:], l1=min(penalty, _MAX_BOOTSTRAP_PENALTY), start=first)])
    alike = features * (np.array(names) != "length")
    says = 100 * predict(alike, coefficients)
    values = np.einsum("dn,dn->d", says, weights) / weights.sum(axis=1)
    length = float(first[0, names.index("length")]) if "length" in names else 0.0
    return LengthControlResult(values, float(says[0].std(ddof=1)) / np.sqrt(count), terms, length, float(penalty))


def _terms(battles: Battles, without: Collection[str]) -> tuple[str, ...]:
    """What there is to control by: lengths that differ, and what is known of the questions."""
    judged = battles.longer[battles.judged]
    there = {"length": len(judged) > 1 and np.ptp(judged) > 0}
    there |= dict.fromkeys(("difficulty", "regulariser"), battles.difficulty is not None)
    return tuple(term for term in TERMS if there[term] and term not in without)


def _features(battles: Battles, terms: Collection[str]) -> tuple[Array, list[str]]:
    """A column for each term, and one of ones for the model itself."""
    columns = {"model": np.ones(len(battles.longer))}
    if "length" in terms:
        columns["length"] = np.tanh(battles.longer / battles.longer.std(ddof=1))
    if "difficulty" in terms and battles.difficulty is not None:
        columns["difficulty"] = battles.difficulty
    return np.stack(list(columns.values()), axis=1), list(columns)


def _regulariser_rows(names: list[str]) -> tuple[Array, Array]:
    """Features and labels of the regularising rows, which are another model's."""
    rows = alpaca_eval_questions()
    twice = np.tile(rows["difficulty"].to_numpy(), 2)
    longer = np.concatenate([rows["concise_longer"].to_numpy(), rows["verbose_longer"].to_numpy()])
    columns = {"model": np.zeros(len(twice)), "length": np.tanh(longer), "difficulty": twice}
    labels = np.concatenate([rows["concise_preference"].to_numpy(), rows["verbose_preference"].to_numpy()])
    return np.stack([columns[name] for name in names], axis=1), labels


def _choose_penalty(x: Array, y: Array, w: Array, folds: Array) -> float:
    """The penalty with the least loss on questions that it was not fitted to; of equals the strongest."""
    apart = folds == np.arange(_FOLDS)[:, None]
    coefficients = fit(x, y, np.repeat(w * ~apart, len(_PENALTIES), axis=0), l1=np.tile(_PENALTIES, _FOLDS))
    says = np.clip(predict(x, coefficients), 1e-15, 1 - 1e-15)
    losses = -(y * np.log(says) + (1 - y) * np.log(1 - says)) * w
    shares = np.repeat(apart / apart.sum(axis=1, keepdims=True), len(_PENALTIES), axis=0)
    return float(_PENALTIES[(losses * shares).sum(axis=1).reshape(_FOLDS, -1).sum(axis=0).argmin()])

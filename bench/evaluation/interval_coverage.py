"""Coverage of 95% intervals: how often they contain the truth, on simulated leaderboards whose truth is known.

    python bench/evaluation/interval_coverage.py [LEADERBOARDS] [DRAWS] [scores|ratings|style|lengths ...]

Defaults: 1,000 leaderboards, 1,000 bootstrap draws, all four parts; 500 CPU-seconds. Games on one question are correlated, as
a judge's two games are. Each line is a figure and the share of its intervals that contain the truth; for some also that of the
published interval. It exits with 1 where a share is outside 93 to 97% (with fewer leaderboards: outside what chance allows).
"""

import sys
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from math import sqrt
from pathlib import Path

import numpy as np
import polars as pl

from attar.stages.evaluate.benchmarks.arena_hard import GRADES, game_result, with_preferences
from attar.stages.evaluate.benchmarks.arena_scores import figures
from attar.stages.evaluate.benchmarks.length_control import Battles, control_length
from attar.stages.evaluate.figures import bradley_terry
from attar.statistics.bootstrap import bootstrap_interval, cluster_codes, difference, resample_counts

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import timed

CUTS = np.array([-1.6, -0.35, 0.35, 1.6])
"""Limits between the judge's five grades."""
QUESTION_EFFECT = 0.9
"""Standard deviation of what a question adds to one model's games on it."""
SHARED_EFFECT = 0.6
"""Standard deviation of what a question adds to all models' games on it."""
PLACE = 0.25
"""What the judge adds to the answer shown first."""
Hits = dict[str, list[bool]]
"""For each figure, whether each interval contained the truth."""


def normal(x: np.ndarray) -> np.ndarray:
    """Normal distribution function, to 1e-7 (Abramowitz and Stegun 26.2.17)."""
    t = 1 / (1 + 0.2316419 * np.abs(x))
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail = np.exp(-x * x / 2) / sqrt(2 * np.pi) * series
    return np.where(x >= 0, 1 - tail, tail)


@cache
def true_score(strength: float) -> float:
    """Expected votes won / expected votes over infinitely many questions, by quadrature over the questions' effects."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    won = count = 0.0
    for game in (1, 2):
        at = strength + sqrt(QUESTION_EFFECT**2 + SHARED_EFFECT**2) * nodes + (PLACE if game == 2 else -PLACE)
        edges = np.concatenate([np.zeros((1, len(at))), normal(CUTS[:, None] - at), np.ones((1, len(at)))])
        for place, probability in enumerate(np.diff(edges, axis=0) @ weights / weights.sum()):
            end = game_result(grade(place, game), game)
            won, count = won + probability * end.won, count + probability * end.weight
    return won / count


def grade(place: int, game: int) -> str:
    """The judge's word for a place from much worse (0) to much better (4) for the response, which is B in game 1."""
    return GRADES[place if game == 1 else 4 - place]


def simulate_battles(rng: np.random.Generator, questions: int, strengths: dict[str, float]) -> pl.DataFrame:
    """Battles of models against one baseline, two games on each question."""
    shared = SHARED_EFFECT * rng.normal(size=questions)
    lines, verdicts = [], []
    for model, strength in strengths.items():
        at = strength + shared + QUESTION_EFFECT * rng.normal(size=questions)
        for question in range(questions):
            lines.append((f"{model}/{question}", f"q{question}", model, "base", "all"))
            places = {
                game: int(np.searchsorted(CUTS, at[question] + (PLACE if game == 2 else -PLACE) + rng.normal()))
                for game in (1, 2)
            }
            verdicts.append({game: game_result(grade(place, game), game) for game, place in places.items()})
    rows = pl.DataFrame(lines, schema=["id", "question", "model", "opponent", "category"], orient="row")
    return with_preferences(rows, verdicts, [None] * len(rows))


def scores(rng: np.random.Generator, hits: Hits, draws: int) -> None:
    """Arena-Hard's score of good and bad models, and the difference between two on the same questions."""
    strengths = {"even": 0.0, "better": 0.6, "worse": -0.8, "weak": -2.6}
    rows = simulate_battles(rng, 250, strengths)
    for line in figures(rows, bootstrap=draws, seed=int(rng.integers(1 << 31))).to_dicts():
        truth = 100 * true_score(strengths[line["model"]])
        name = f"score of 250 questions, truth {truth:.1f}%"
        hits[name].append(line["low"] <= truth <= line["high"])
        hits[f"{name} (published)"].append(line["published_low"] <= truth <= line["published_high"])
    one, other = (rows.filter(pl.col("model") == name).sort("question") for name in ("better", "even"))
    sides = [(side["preference"].to_numpy(), side["weight"].to_numpy()) for side in (one, other)]
    _, low, high = difference(sides[0][0], sides[1][0], one["question"], weights=(sides[0][1], sides[1][1]), draws=draws)
    truth = true_score(strengths["better"]) - true_score(strengths["even"])
    hits["paired difference of scores"].append((low or 0) <= truth <= (high or 0))
    few = rows.filter(pl.col("question").is_in([f"q{i}" for i in range(20)]) & (pl.col("model") == "better"))
    line = figures(few, bootstrap=draws, seed=int(rng.integers(1 << 31))).row(0, named=True)
    hits["score of 20 questions"].append(line["low"] <= 100 * true_score(strengths["better"]) <= line["high"])


def ratings(rng: np.random.Generator, hits: Hits, draws: int) -> None:
    """Bradley-Terry ratings of six models that all meet on each question; games on one question share some of their noise."""
    strengths = np.array([0.0, 0.4, -0.4, 0.9, 1.5, -1.2])
    pairs = [(i, j) for i in range(6) for j in range(i)]
    own = rng.normal(size=(60, 6))
    lines = []
    for question in range(60):
        for i, j in pairs:
            noise = sqrt(0.5) * (own[question, i] - own[question, j]) / sqrt(2) + sqrt(0.5) * rng.normal()
            won = float(normal(np.array(-noise)) < 1 / (1 + np.exp(strengths[j] - strengths[i])))
            lines.append((f"q{question}", f"m{i}", f"m{j}", won))
    rows = pl.DataFrame(lines, schema=["question", "model", "opponent", "preference"], orient="row")
    out = bradley_terry.ratings(rows.with_row_index("id"), anchor="m0", bootstrap=draws, seed=int(rng.integers(1 << 31)))
    truth = {
        f"m{i}": bradley_terry.START + bradley_terry.POINTS_PER_LOG_ODDS * strength for i, strength in enumerate(strengths)
    }
    for line in out.filter((pl.col("figure") == "rating") & (pl.col("model") != "m0")).to_dicts():
        hits["Bradley-Terry rating of six models"].append(line["low"] <= truth[line["model"]] <= line["high"])


def style(rng: np.random.Generator, hits: Hits, draws: int) -> None:
    """Models against one baseline, one wins by its length: recover the strengths and the effects of length and bold."""
    strengths, worth = np.array([0.3, -0.5, 0.0, 0.8]), np.array([0.7, 0.3])
    lines = []
    for model, strength in enumerate(strengths):
        leads = rng.normal(size=(200, 2)) + np.array([[0.0, 0.0], [0.2, 0.0], [1.2, 0.5], [-0.4, 0.3]])[model]
        probability = 1 / (1 + np.exp(-strength - leads @ worth))
        shared = rng.normal(size=200)
        noise = sqrt(0.6) * shared + sqrt(0.4) * rng.normal(size=(2, 200))
        won = (normal(noise) < probability).mean(axis=0)
        lines += [(f"q{q}", f"m{model}", "base", float(won[q]), float(leads[q, 0]), float(leads[q, 1])) for q in range(200)]
    names = ["question", "model", "opponent", "preference", "long", "bold"]
    rows = pl.DataFrame(lines, schema=names, orient="row").with_row_index("id").with_columns(games=2.0)
    seed = int(rng.integers(1 << 31))
    out = bradley_terry.ratings(rows, anchor="base", covariates=["long", "bold"], weight="games", bootstrap=draws, seed=seed)
    for line in out.filter(
        pl.col("figure").is_in(["log_odds", "long", "bold"]) & (pl.col("model").ne_missing("base"))
    ).to_dicts():
        if line["model"] is None:
            truth, name = worth[names.index(line["figure"]) - 4], "effect of style"
        else:
            truth, name = strengths[int(line["model"][1:])], "strength with style controlled"
        hits[name].append(line["low"] <= truth <= line["high"])


def lengths(rng: np.random.Generator, hits: Hits, draws: int) -> None:
    """The length-controlled win rate of a model that is longer than its baseline, of two judgements a question."""
    longer = 400 + 600 * rng.normal(size=300)
    true, worth = 0.35, 1.1
    probability = 1 / (1 + np.exp(-true - worth * np.tanh(longer / longer.std(ddof=1))))
    shared = rng.normal(size=300)
    won = np.concatenate([normal(sqrt(0.6) * shared + sqrt(0.4) * rng.normal(size=300)) < probability for _ in range(2)])
    question, count = cluster_codes(np.tile(np.arange(300), 2))
    battles = Battles(won.astype(float), np.tile(longer, 2), question)
    fitted = control_length(battles)
    drawn = [
        control_length(battles, many[:, question], penalty=fitted.penalty).values[1:]
        for many in resample_counts(count, draws, int(rng.integers(1 << 31)), width=len(won))
    ]
    low, high = bootstrap_interval(np.concatenate(drawn), count)
    hits["length-controlled win rate"].append(low <= 100 / (1 + np.exp(-true)) <= high)


def simulate_all(simulate: Callable[[np.random.Generator, Hits, int], None], boards: int, draws: int) -> Hits:
    """Simulate that many leaderboards, each with a seed of its own."""
    hits: Hits = defaultdict(list)
    for board in range(boards):
        simulate(np.random.default_rng([board, 7]), hits, draws)
    return hits


def main() -> None:
    """Print a line for each figure; fail where the coverage is wrong."""
    boards = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    draws = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    parts = {each.__name__: each for each in (scores, ratings, style, lengths)}
    failed = False
    for simulate in [parts[name] for name in sys.argv[3:]] or parts.values():
        hits, seconds = timed(simulate_all, simulate, boards, draws)
        print(f"{simulate.__name__}: {boards} leaderboards, {draws} draws, {seconds:.0f} CPU-seconds")
        for name, inside in hits.items():
            share = float(np.mean(inside))
            slack = 0.02 if boards >= 1000 else 3.5 * sqrt(0.05 * 0.95 / boards)
            wrong = abs(share - 0.95) > slack and not name.endswith("(published)")
            failed |= wrong
            print(f"{100 * share:6.1f}%  {name}{'   NOT 95%' if wrong else ''}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()

"""Can a judge judge? Built-in pairs with a known better answer, rated one by one and compared in both orders.

A judge is unable where its probability is on no label, its ratings do not vary, its two orders disagree in more than 40% of
pairs, or where it may as well toss a coin (the interval of its right verdicts is not above one half). All is weighed by label
probabilities, nothing is sampled. Figures have 95% intervals over pairs.
"""

from collections.abc import Mapping, Sequence
from math import comb
from typing import Any

import numpy as np
import polars as pl

from attar.core.errors import EngineError
from attar.core.replies import LEAST_MASS, expected_score
from attar.core.stage import role
from attar.core.table import Table, need
from attar.engines.ask_rows import weigh_rows
from attar.engines.base import Grader
from attar.stages.evaluate.judging import pairwise
from attar.stages.evaluate.judging.judge_check_pairs import PAIRS
from attar.statistics import bootstrap as boot
from attar.statistics.intervals import wilson

MOST_DISAGREEMENT = 0.4
"""The share of pairs in which the two orders may disagree."""
LEAST_SPREAD = 0.005
"""The least standard deviation of ratings, as a share of their scale."""
TITLES = {
    "judged": "pairs with a verdict",
    "mass": "probability on the labels (median)",
    "spread": "standard deviation of ratings",
    "right": "pairs with the better answer ahead",
    "gap": "better answer's rating minus the worse's",
    "disagrees": "pairs whose two orders disagree",
    "first_shown": "showings won by the answer shown first",
}
"""What the figures are."""
_SCHEMA = {
    "id": pl.String,
    "judge": pl.String,
    "way": pl.String,
    "figure": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "count": pl.Int64,
    "unable": pl.String,
}
Line = dict[str, Any]


@role("exam")
def answers() -> Table:
    """-> id, question, prompt, response, better: both answers of every built-in pair, to be rated one by one."""
    sides = [(pair, side) for pair in PAIRS for side in ("better", "worse")]
    return pl.DataFrame(
        [
            {
                "id": f"{pair.name}/{side}",
                "question": pair.name,
                "prompt": pair.prompt,
                "response": getattr(pair, side),
                "better": side == "better",
            }
            for pair, side in sides
        ]
    )


@role("exam")
def battles() -> Table:
    """-> id, question, prompt, response (the better one), against: the pairs, to be compared in both orders."""
    return pl.DataFrame(
        [
            {"id": pair.name, "question": pair.name, "prompt": pair.prompt, "response": pair.better, "against": pair.worse}
            for pair in PAIRS
        ]
    )


@role("exam")
def measure(pairs: Table, *, engine: Grader, system: str, user: str, values: Sequence[int]) -> Table:
    """`battles` -> `figures` of a judge: its expected ratings by this prompt, and its preferences in both orders.

    A rating counts however little probability is on the labels: how little it is, is a figure. No failed row ends the run.
    """
    rows = answers().join(pairs.select("question"), on="question", how="semi", maintain_order="left")
    talks = [
        ({"role": "system", "content": system}, {"role": "user", "content": user.format(prompt=prompt, response=response)})
        for prompt, response in rows.select("prompt", "response").iter_rows()
    ]
    weights = weigh_rows(engine, talks, tuple(map(str, values)))
    scores = [expected_score(each, values, 0.0) for each in weights]
    columns = dict(zip(("score", "score_mass", "score_error"), zip(*scores, strict=True), strict=True))
    rated = rows.with_columns(
        pl.Series(name, column, dtype=pl.String if name == "score_error" else pl.Float64) for name, column in columns.items()
    )
    compared = pairwise.weigh(pairs, engine=engine, least_mass=0.0)
    return figures(rated, compared, judge=engine.spec.name, span=values[-1] - values[0])


@role("exam")
def figures(rated: Table, compared: Table | None = None, *, judge: str, score: str = "score", span: float = 10.0) -> Table:
    """rated `answers`, compared `battles` -> id, judge, way, figure, value, low, high, count, unable (the reason).

    `span` is the width of the scale of ratings. Without `compared` only the ratings are looked at.
    """
    lines = _pointwise_lines(rated, score, span) + (_pairwise_lines(compared) if compared is not None else [])
    return pl.DataFrame([{"id": f"{line['way']}/{line['figure']}", "judge": judge, **line} for line in lines], schema=_SCHEMA)


@role("exam")
def refuse_unable(check: Table, *, force: bool = False) -> Table:
    """judge, figures -> the figures that show that the judge is unable; if there are any, an error, unless forced.

    A part of the pairs, as `attar plan` sends them with a small probe, decides nothing.
    """
    need(check, "judge", "way", "figure", "count", "unable")
    failed = check.drop_nulls("unable")
    complete = check.filter(pl.col("figure") == "judged")["count"].min() == len(PAIRS)
    if failed.is_empty() or force or not complete:
        return failed
    raise EngineError(
        f"judge {check['judge'][0]} cannot judge: {'; '.join(reasons(check))}. Nothing was selected by it: name another "
        "judge, or a rewarder; to select by it all the same, set force_judge: true (attar doctor --judge shows all figures)"
    )


def reasons(check: Table) -> list[str]:
    """Why a judge is unable, way by way; empty if it is able.

    Without probability on the labels, or without verdicts, the other figures that fail are no reasons of their own.
    """
    out = []
    for way in check["way"].unique(maintain_order=True):
        failed = dict(check.filter(pl.col("way") == way).drop_nulls("unable").select("figure", "unable").iter_rows())
        cause = next((failed[name] for name in ("mass", "judged") if name in failed), None)
        out += [f"{way}, {text}" for text in ([cause] if cause else failed.values())]
    return out


def disagreement(share: float | None) -> str | None:
    """Why a judge is unable by the share of pairs whose two orders disagree; None if it is not."""
    if share is None or share <= MOST_DISAGREEMENT:
        return None
    return f"its two orders disagree in {share:.0%} of pairs (at most {MOST_DISAGREEMENT:.0%})"


def _pointwise_lines(rated: Table, score: str, span: float) -> list[Line]:
    """judged, mass, spread, right, gap of the ratings."""
    need(rated, "question", "better", score, f"{score}_mass", f"{score}_error")
    one, other = (rated.filter(pl.col("better") == side).select("question", score) for side in (True, False))
    pairs = one.join(other, on="question", suffix="_worse", maintain_order="left").drop_nulls()
    gaps = (pairs[score] - pairs[f"{score}_worse"]).to_numpy().astype(float)
    masses = rated.group_by("question").agg(pl.col(f"{score}_mass").min())[f"{score}_mass"].drop_nulls()
    lines = [
        _judged_line("pointwise", len(gaps), rated["question"].n_unique(), rated[f"{score}_error"]),
        _mass_line("pointwise", masses.to_list()),
    ]
    if not len(gaps):
        return lines
    right = int((gaps > 0).sum())
    return [
        *lines,
        _spread_line(rated.drop_nulls(score), score, span),
        _line("pointwise", "right", _share(right, len(gaps)), len(gaps), _not_right(right, len(gaps), "rates")),
        _line("pointwise", "gap", boot.mean(gaps, pairs["question"]), len(gaps)),
    ]


def _pairwise_lines(compared: Table) -> list[Line]:
    """judged, mass, disagrees, first_shown, right of the comparisons."""
    need(compared, "question", "preference", "preference_first", "preference_second", "mass", "preference_error")
    rows = compared.drop_nulls(["preference_first", "preference_second"])
    first, second = (rows[f"preference_{side}"].to_numpy().astype(float) for side in ("first", "second"))
    count = len(rows)
    lines = [
        _judged_line("pairwise", count, len(compared), compared["preference_error"]),
        _mass_line("pairwise", compared["mass"].drop_nulls().to_list()),
    ]
    if not count:
        return lines
    apart = int(((first - 0.5) * (second - 0.5) < 0).sum())
    agreed = (first - 0.5) * (second - 0.5) > 0
    right, total = int((agreed & (first > 0.5)).sum()), int(agreed.sum())
    shown_first = np.concatenate([_wins(first), 1 - _wins(second)])  # of both showings, whether the answer shown first won
    questions = [*rows["question"], *rows["question"]]
    return [
        *lines,
        _line("pairwise", "disagrees", _share(apart, count), count, disagreement(apart / count)),
        _line("pairwise", "first_shown", boot.mean(shown_first, questions, share=True), 2 * count),
        _line("pairwise", "right", _share(right, total), total, _not_right(right, total, "picks")),
    ]


def _line(
    way: str, figure: str, value: tuple[float | None, float | None, float | None], count: int, unable: str | None = None
) -> Line:
    names = ("value", "low", "high")
    return {"way": way, "figure": figure, **dict(zip(names, value, strict=True)), "count": count, "unable": unable}


def _judged_line(way: str, judged: int, count: int, errors: pl.Series) -> Line:
    """The share of pairs that have a verdict."""
    first_error = next(iter(errors.drop_nulls()), "no reason given")
    unable = f"only {judged} of {count} pairs have a verdict ({first_error})" if judged < count / 2 else None
    return _line(way, "judged", _share(judged, count), count, unable)


def _mass_line(way: str, masses: Sequence[float]) -> Line:
    """The median, over pairs, of the least probability that all labels have together."""
    value = _median(masses)
    low = value[0] is not None and value[0] < LEAST_MASS
    return _line(way, "mass", value, len(masses), f"its probability is on no label (median {value[0]:.1%})" if low else None)


def _spread_line(rated: Table, score: str, span: float) -> Line:
    """The standard deviation of all ratings."""
    values = rated[score].to_numpy().astype(float)
    code, count = boot.cluster_codes(rated["question"])
    sums = boot.resampled_sums(np.stack([values, values**2, np.ones_like(values)], axis=1), code, count, 1000, 0)
    means = sums[:, :2] / sums[:, 2:]
    spread = np.sqrt(np.maximum(means[:, 1] - means[:, 0] ** 2, 0))
    value = float(spread[0])
    flat = f"its ratings do not vary (standard deviation {value:.2g} on a scale of {span:g})"
    return _line(
        "pointwise",
        "spread",
        (value, *boot.bootstrap_interval(spread[1:], count)),
        len(values),
        flat if value < LEAST_SPREAD * span else None,
    )


def _not_right(right: int, count: int, verb: str) -> str | None:
    """Why a judge is unable that may as well toss a coin: the interval of its right verdicts is not above one half."""
    if not count:
        return "its two orders never agree on an answer"
    higher = " higher" if verb == "rates" else ""
    low, high = wilson(right, count)
    chance = f"it {verb} the better answer{higher} in {right} of {count} pairs ({low:.0%} to {high:.0%}), as chance may do too"
    return None if low > 0.5 else chance


def _wins(preference: np.ndarray) -> np.ndarray:
    return np.where(preference == 0.5, 0.5, (preference > 0.5).astype(float))


def _share(part: int, count: int) -> tuple[float | None, float | None, float | None]:
    return (part / count, *wilson(part, count)) if count else (None, None, None)


def _median(values: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """The median, and its interval between two of the values: P(Binomial(n, 1/2) < rank) <= 2.5% on either side."""
    if not values:
        return None, None, None
    ordered = sorted(values)
    n, rank, tail = len(ordered), 0, 0.0
    while (tail := tail + comb(n, rank) / 2**n) <= 0.025:
        rank += 1
    middle = float(np.median(ordered))
    return (middle, ordered[rank - 1], ordered[n - rank]) if rank else (middle, None, None)


def plain(check: Table) -> Mapping[str, Any]:
    """A check as plain data: whether the judge is able, way by way, and its figures."""
    failed = check.drop_nulls("unable")
    able = {way: not (failed["way"] == way).any() for way in check["way"].unique(maintain_order=True)}
    return {
        "judge": check["judge"][0],
        "able": able,
        "reasons": reasons(check),
        "figures": check.drop("id", "judge").to_dicts(),
    }

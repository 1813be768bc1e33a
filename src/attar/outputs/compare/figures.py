"""Figures of matched answers: each side's score, its lead over the first side, its wins and losses.

Intervals are 95% intervals over questions: by bootstrap, or by formula if answers are right or wrong. Groups of fewer than ten
questions are merged, and left out if the merged group has fewer than ten, because such intervals say nothing.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import polars as pl

from attar.core.errors import DataError
from attar.core.fingerprint import seed_of
from attar.core.table import Table
from attar.outputs.compare.align import GROUPS
from attar.statistics import bootstrap
from attar.statistics.intervals import wilson

MIN_GROUP = 10
OTHER = "(other)"
FIGURE_COLUMNS = {
    "id": pl.String,
    "side": pl.String,
    "by": pl.String,
    "group": pl.String,
    "figure": pl.String,
    "value": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "count": pl.Int64,
    "wins": pl.Int64,
    "losses": pl.Int64,
    "ties": pl.Int64,
    "p": pl.Float64,
}
Interval = tuple[float, float, float, int]
"""value, low, high and the number of questions"""
_TIE_TOLERANCE = 1e-9
"""Means that differ by less are equal: summation order causes rounding errors."""


def figures(lines: Table, names: Sequence[str], outcome: str) -> Table:
    """matched answers -> id, side, by, group, figure, value, low, high, count; for a lead also wins, losses, ties and p.

    The figures are each side's `score` and `length` (characters), and its `lead`: the difference from the first side. p is that
    of the exact sign test.
    """
    values, lengths = one_row_per_question(lines, "value", len(names)), one_row_per_question(lines, "length", len(names))
    if len(values) < 2:
        raise DataError(f"{' and '.join(names)} have only {len(values)} question in common: intervals need at least 2")
    out = []
    shares = outcome != "score"
    for by, group, questions in [("all", "all", values), *_groups(values)]:
        first = questions["0"].to_list()
        for place, name in enumerate(names):
            own = questions[str(place)].to_list()
            out.append(_figure_row((name, by, group, "score"), interval(own, shares=shares)))
            if place:
                out.append(_figure_row((name, by, group, "lead"), interval(own, first, shares=shares)) | _win_loss(own, first))
    for place, name in enumerate(names):
        out.append(_figure_row((name, "all", "all", "length"), interval(lengths[str(place)].to_list())))
    return pl.DataFrame(out, schema=FIGURE_COLUMNS)


def one_row_per_question(lines: Table, column: str, count: int) -> Table:
    """of, prompt, name, category, level, 0, 1, ...: the questions with a value for every side, a column for each side."""
    keys = ["of", "prompt"]
    questions = lines.filter(pl.col("side") == 0).select(*keys, "name", *GROUPS)
    for place in range(count):
        values = lines.filter(pl.col("side") == place).select(*keys, pl.col(column).alias(str(place)))
        questions = questions.join(values, on=keys, how="left", maintain_order="left")
    return questions.drop_nulls([str(place) for place in range(count)])


def examples(lines: Table, names: Sequence[str], most: int) -> Table:
    """side, ahead, gap, of, prompt, values, responses: the questions where each side differs most from the first.

    At most `most` where the first side is ahead, and as many where the other is. Ties between gaps are broken by a hash of the
    prompt.
    """
    values = one_row_per_question(lines, "value", len(names))
    out = []
    for place, name in enumerate(names[1:], 1):
        gaps = values.with_columns(gap=pl.col(str(place)) - pl.col("0")).filter(pl.col("gap").abs() > _TIE_TOLERANCE)
        tie_break = pl.Series("tie_break", [seed_of("compare.examples", prompt) for prompt in gaps["prompt"]], dtype=pl.Int64)
        ranked = gaps.with_columns(tie_break, pl.col("gap").abs().round(9).alias("size")).sort(
            ["size", "tie_break", "of"], descending=[True, False, False]
        )
        for ahead, questions in ((names[0], ranked.filter(pl.col("gap") < 0)), (name, ranked.filter(pl.col("gap") > 0))):
            out += [_example_row(lines, row, place, name, ahead) for row in questions.head(most).to_dicts()]
    kinds = dict.fromkeys(("side", "ahead", "of", "prompt", *GROUPS, "first_response", "response"), pl.String)
    return pl.DataFrame(out, schema=kinds | dict.fromkeys(("gap", "first_value", "value"), pl.Float64))


def _example_row(lines: Table, row: dict[str, Any], place: int, name: str, ahead: str) -> dict[str, Any]:
    question = lines.filter(pl.col("of") == row["of"], pl.col("prompt") == row["prompt"])
    first, own = (question.filter(pl.col("side") == side).row(0, named=True) for side in (0, place))
    better = row["gap"] > 0
    return {
        **{key: row[key] for key in ("prompt", "gap", *GROUPS)},
        "of": row["name"],
        "side": name,
        "ahead": ahead,
        "first_value": row["0"],
        "value": row[str(place)],
        "first_response": first["worst" if better else "best"],
        "response": own["best" if better else "worst"],
    }


def _groups(values: Table) -> list[tuple[str, str, Table]]:
    """The questions of each label with at least MIN_GROUP of them; those of rarer labels together as OTHER."""
    out = []
    for by in GROUPS:
        counts = dict(values[by].drop_nulls().value_counts().iter_rows())
        large = [label for label in values[by].drop_nulls().unique(maintain_order=True) if counts[label] >= MIN_GROUP]
        out += [(by, label, values.filter(pl.col(by) == label)) for label in large]
        rest = values.filter(pl.col(by).is_null() | ~pl.col(by).is_in(large))
        if large and len(rest) >= MIN_GROUP:
            out.append((by, OTHER, rest))
    return out


def _figure_row(place: tuple[str, str, str, str], estimate: Interval) -> dict[str, Any]:
    side, by, group, figure = place
    value, low, high, count = estimate
    line = {"id": "/".join(place), "side": side, "by": by, "group": group, "figure": figure}
    return line | {"value": value, "low": low, "high": high, "count": count}


def _win_loss(own: Sequence[float], first: Sequence[float]) -> dict[str, Any]:
    won, lost = _count_wins_and_losses(own, first)
    p = bootstrap.sign_test([1.0] * won + [-1.0] * lost, range(won + lost), tie=0.0)
    return {"wins": won, "losses": lost, "ties": len(own) - won - lost, "p": p}


def interval(own: Sequence[float], first: Sequence[float] | None = None, *, shares: bool = False) -> Interval:
    """The mean of `own`, or of own - first, with its 95% interval over questions and their number.

    For `shares` with values 0 and 1 only (wrong, right) the interval is Wilson's, or Bonett and Price's for a difference.
    """
    count = len(own)
    if not shares or not {*own, *(first or ())} <= {0.0, 1.0}:
        value, low, high = (
            bootstrap.mean(own, range(count)) if first is None else bootstrap.difference(own, first, range(count))
        )
        assert low is not None
        assert high is not None  # None for a single question
        return value, low, high, count
    if first is None:
        return sum(own) / count, *wilson(int(sum(own)), count), count
    return *_bonett_price(*_count_wins_and_losses(own, first), count), count


def _bonett_price(won: int, lost: int, count: int) -> tuple[float, float, float]:
    """The difference of paired proportions with Bonett and Price's adjusted Wald interval (one win and one loss added).

    A bootstrap's coverage is too low for 10 to 30 questions, and its interval has no width if all are ties.
    """
    up, down = (won + 1) / (count + 2), (lost + 1) / (count + 2)
    half = 1.959964 * sqrt((up + down - (up - down) ** 2) / (count + 2))
    return (won - lost) / count, max(-1.0, up - down - half), min(1.0, up - down + half)


def _count_wins_and_losses(own: Sequence[float], first: Sequence[float]) -> tuple[int, int]:
    gaps = [mine - theirs for mine, theirs in zip(own, first, strict=True)]
    return sum(gap > _TIE_TOLERANCE for gap in gaps), sum(gap < -_TIE_TOLERANCE for gap in gaps)

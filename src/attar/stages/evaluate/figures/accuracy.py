"""Accuracy and pass@k of any table with a `correct` column: by model, and by category or level.

Intervals (95%) are Wilson's with an effective number of answers, in which equal answers to one question count as one; with one
answer per question they are exactly Wilson's. Rows whose `correct` is null are left out, and their share is reported.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import comb
from typing import Any

import numpy as np
import polars as pl

from attar.core.errors import DataError, RecipeError
from attar.core.stage import reads, role
from attar.core.table import Table, need
from attar.statistics.intervals import Z, student_t, wilson

ALL = "all"


def _reads(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    columns = (knobs["correct"], knobs["question"], knobs["model"], *knobs["by"])
    return tuple(dict.fromkeys(name for name in columns if name))


@role("exam")
@reads(_reads)
def figures(
    table: Table,
    *,
    correct: str = "correct",
    question: str | None = "question",
    model: str | None = None,
    by: Sequence[str] = (),
    tries: Sequence[int] = (),
) -> Table:
    """{correct}, {question}, {model}, the columns of `by` -> id, {model}, {by}, figure, value, low, high, count, answers.

    `accuracy` is the mean over questions of the share of right answers. `pass@k`, for each k of `tries`, is the probability
    that at least one of k answers is right, over questions with k or more answers. `count` is the number of questions.
    """
    need(table, *_reads({"correct": correct, "question": question, "model": model, "by": by}))
    if table[correct].dtype not in (pl.Boolean, pl.Null):
        raise DataError(f"column {correct!r} must hold true or false, got {table[correct].dtype}")
    if invalid := [k for k in tries if k < 1]:
        raise RecipeError(f"tries must be >= 1, got {invalid[0]}")
    lines = [
        {**names, **line}
        for names, rows in groups(table, model, by)
        for line in _lines(rows.select(right=correct, question=question or "id"), tries)
    ]
    return figures_table(lines, [*([model] if model else []), *by], answers=pl.Int64)


def _lines(rows: Table, tries: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The figures of one group of answers."""
    scored = rows.drop_nulls("right").group_by("question", maintain_order=True).agg(pl.col("right").sum(), count=pl.len())
    answers = list(scored.select("right", "count").iter_rows())
    shares = [c / n for c, n in answers]
    yield {"figure": "accuracy", **interval(shares), "count": len(answers), "answers": sum(n for _, n in answers)}
    for k in tries:
        enough = [(c, n) for c, n in answers if n >= k]
        passes = [1 - comb(n - c, k) / comb(n, k) for c, n in enough]  # the unbiased pass@k of n answers, c of them right
        yield {"figure": f"pass@{k}", **interval(passes), "count": len(enough), "answers": sum(n for _, n in enough)}
    missing = rows.group_by("question", maintain_order=True).agg(pl.col("right").null_count(), count=pl.len())
    unscored = interval(missing["right"].to_list(), missing["count"].to_list())
    yield {"figure": "unscored", **unscored, "count": len(missing), "answers": len(rows)}


def interval(sums: Sequence[float], counts: Sequence[float] | None = None) -> dict[str, float | None]:
    """The share p = sum(s_q) / sum(n_q), from 0 to 1, with its interval; one sum s_q and count n_q (by default 1) per question.

    It is Wilson's interval for the effective sample size n* of Korn and Graubard:  n* = p (1 - p) / v * (z / t)^2,  with the
    variance of the ratio  v = m / (m - 1) * sum((s_q - p n_q)^2) / sum(n_q)^2  over m questions, and Student's t of m - 1
    degrees of freedom. If every question has a single answer, or v is zero, n* = m.
    """
    successes = np.asarray(sums, dtype=float)
    totals = np.ones_like(successes) if counts is None else np.asarray(counts, dtype=float)
    if not totals.sum():
        return {"value": None, "low": None, "high": None}
    value, size = float(successes.sum() / totals.sum()), float(len(successes))
    variance = float(((successes - value * totals) ** 2).sum() / totals.sum() ** 2)
    is_binary = np.isin(successes, (0, 1)).all() and (totals == 1).all()
    if variance > 1e-12 and not is_binary:
        degrees = len(successes) - 1
        size = value * (1 - value) / variance * degrees / len(successes) * (Z / student_t(degrees)) ** 2
    low, high = wilson(value * size, size)
    return {"value": value, "low": low, "high": high}


def groups(table: Table, model: str | None, by: Sequence[str]) -> Iterator[tuple[dict[str, str], Table]]:
    """For each model all its rows, then its rows for each value of each column of `by`; with the names of each group."""
    sides = table.partition_by(model, maintain_order=True) if model else [table]
    for side in sides:
        names = {model: str(side[model][0])} if model else {}
        yield names | dict.fromkeys(by, ALL), side
        for column in by:
            for part in side.partition_by(column, maintain_order=True):
                yield names | dict.fromkeys(by, ALL) | {column: str(part[column][0])}, part


def figures_table(lines: Sequence[Mapping[str, Any]], names: Sequence[str], **more: Any) -> Table:
    """Figures as a table; the id joins the columns that name a figure."""
    kinds = {name: pl.String for name in (*names, "figure")}
    schema = {**kinds, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "count": pl.Int64, **more}
    out = pl.DataFrame(list(lines), schema=schema)
    return out.select(pl.concat_str(*kinds, separator="/").alias("id"), *schema)

"""How often answers are right, of any table with a `correct` column: by model, by category or level, once or in several tries.

Intervals (95%) are of drawing whole questions anew, in closed form: answers to one question that are alike count as one.
Of one answer to each they are Wilson's own. Rows whose `correct` is null are left out, and their share is told.
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
    named = (knobs["correct"], knobs["question"], knobs["model"], *knobs["by"])
    return tuple(dict.fromkeys(name for name in named if name))


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

    `accuracy` is the mean over questions of the share of their answers that are right. `pass@k`, for each k of `tries`, is the
    chance that one of k answers is right, over questions with k or more. `count` is how many questions had a say.
    """
    need(table, *_reads({"correct": correct, "question": question, "model": model, "by": by}))
    if table[correct].dtype not in (pl.Boolean, pl.Null):
        raise DataError(f"column {correct!r} is {table[correct].dtype}, not true or false")
    if wrong := [k for k in tries if k < 1]:
        raise RecipeError(f"tries {wrong[0]} is no number of answers")
    lines = [
        {**names, **line}
        for names, rows in groups(table, model, by)
        for line in _lines(rows.select(right=correct, question=question or "id"), tries)
    ]
    return figures_table(lines, [*([model] if model else []), *by], answers=pl.Int64)


def _lines(rows: Table, tries: Sequence[int]) -> Iterator[dict[str, Any]]:
    """The figures of one group of answers."""
    own = rows.drop_nulls("right").group_by("question", maintain_order=True).agg(right=pl.col("right").sum(), count=pl.len())
    right, count = own["right"].to_list(), own["count"].to_list()
    shares = [c / n for c, n in zip(right, count, strict=True)]
    yield {"figure": "accuracy", **interval(shares), "count": len(own), "answers": sum(count)}
    for k in tries:
        able = [(c, n) for c, n in zip(right, count, strict=True) if n >= k]
        chances = [1 - comb(n - c, k) / comb(n, k) for c, n in able]
        yield {"figure": f"pass@{k}", **interval(chances), "count": len(able), "answers": sum(n for _, n in able)}
    missing = rows.group_by("question", maintain_order=True).agg(pl.col("right").null_count(), count=pl.len())
    told = interval(missing["right"].to_list(), missing["count"].to_list())
    yield {"figure": "unscored", **told, "count": len(missing), "answers": len(rows)}


def interval(sums: Sequence[float], counts: Sequence[float] | None = None) -> dict[str, float | None]:
    """The share of all counts that the sums are, from 0 to 1, with its interval; a sum and a count for each question.

    It is Wilson's for as many answers as would vary as much, were each of another question; fewer where the spread of questions
    is all that is known of it, as Student's t is wider.
    """
    held = np.asarray(sums, dtype=float)
    of = np.ones_like(held) if counts is None else np.asarray(counts, dtype=float)
    if not of.sum():
        return {"value": None, "low": None, "high": None}
    value, alike = float(held.sum() / of.sum()), float(len(held))
    spread = float(((held - value * of) ** 2).sum() / of.sum() ** 2)
    if spread > 1e-12 and not (np.isin(held, (0, 1)).all() and (of == 1).all()):
        free = len(held) - 1
        alike = value * (1 - value) / spread * free / len(held) * (Z / student_t(free)) ** 2
    low, high = wilson(value * alike, alike)
    return {"value": value, "low": low, "high": high}


def groups(table: Table, model: str | None, by: Sequence[str]) -> Iterator[tuple[dict[str, str], Table]]:
    """Each model's rows, and of these all rows and those of each value of each column of `by`, with what names them."""
    sides = table.partition_by(model, maintain_order=True) if model else [table]
    for side in sides:
        own = {model: str(side[model][0])} if model else {}
        yield own | dict.fromkeys(by, ALL), side
        for column in by:
            for part in side.partition_by(column, maintain_order=True):
                yield own | dict.fromkeys(by, ALL) | {column: str(part[column][0])}, part


def figures_table(lines: Sequence[Mapping[str, Any]], names: Sequence[str], **more: Any) -> Table:
    """Figures as a table, with an id made of what names them."""
    kinds = {name: pl.String for name in (*names, "figure")}
    schema = {**kinds, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "count": pl.Int64, **more}
    out = pl.DataFrame(list(lines), schema=schema)
    return out.select(pl.concat_str(*kinds, separator="/").alias("id"), *schema)

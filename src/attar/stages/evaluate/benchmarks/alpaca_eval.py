"""AlpacaEval 2: win rates of battles, plain, discrete and length-controlled, with intervals over questions.

The figures are computed as on the leaderboard: from its published annotations they reproduce its published numbers.
On questions of other benchmarks only length is controlled for; `controlled_by` lists the terms. Intervals (95%) resample whole
questions; `published_se` is the leaderboard's standard error. A share of 0 or 1 has Wilson's interval.
"""

from collections.abc import Callable, Mapping
from functools import partial
from math import exp
from random import Random
from typing import Any, Literal

import numpy as np
import polars as pl

from attar.core.errors import DataError, RecipeError
from attar.core.stage import role
from attar.core.table import Table, need
from attar.stages.evaluate.benchmarks.length_control import Battles, alpaca_eval_questions, control_length, text_hash
from attar.stages.evaluate.judging.provenance import copy_provenance
from attar.statistics.bootstrap import Interval, bootstrap_interval, mean, resample_counts

Array = np.ndarray
_FIGURE_COLUMNS = ("figure", "value", "low", "high", "count", "published_se", "controlled_by")
_GROUP_COLUMNS = ("model", "opponent", "judge", "asked", "order")
_USED_COLUMNS = ("id", "question", "prompt", "row", "preference", "chars", "against_chars", "date", *_GROUP_COLUMNS)


def seeded_order(instruction: str) -> bool:
    """Whether the response is shown first, by the official annotator's random choice."""
    return Random(f"is_switched_outputs{instruction}0").choices([False, True])[0]


def first_wins(top: Mapping[str, float]) -> float | None:
    """The preference for the first answer, from the log-probabilities of `m` (first) and `M`; a missing label counts 0."""
    if "m" not in top and "M" not in top:
        return None
    largest = max(top[label] for label in ("m", "M") if label in top)
    first, second = (exp(top[label] - largest) if label in top else 0.0 for label in ("m", "M"))
    return first / (first + second)


@role("exam")
def figures(
    battles: Table, *, bootstrap: int = 1000, seed: int = 0, difficulty_of: Literal["question", "row"] = "question"
) -> Table:
    """prompt, response, against (or chars, against_chars), preference -> model, figure, value, low, high, count, published_se.

    One row per figure of each model, opponent and judge; win rates in percent. Rows of one `question` are resampled together.
    AlpacaEval's questions are recognised by their text. With `difficulty_of` row, a battle has the difficulty of the question
    at its `row`, as on the leaderboard, even if earlier rows are missing.
    """
    if bootstrap < 0:
        raise RecipeError(f"bootstrap must be >= 0, got {bootstrap}")
    if difficulty_of not in ("question", "row"):
        raise RecipeError(f"difficulty_of must be 'question' or 'row', got {difficulty_of!r}")
    rows = _rows(battles)
    keys = [name for name in _GROUP_COLUMNS if name in rows.columns]
    naming = [name for name in keys if name == "model" or rows[name].n_unique() > 1]
    groups = rows.partition_by(keys, maintain_order=True) if keys else [rows]
    tables = []
    for group in groups:
        who = {name: group[name][0] for name in ("model", "opponent") if name in keys}
        start = "/".join(str(group[name][0]) for name in naming)
        lines = _lines(group, bootstrap, seed, difficulty_of)
        lines = [{"id": f"{start}/{line['figure']}" if start else line["figure"], **who, **line} for line in lines]
        schema = {name: _dtype_of(name) for name in ("id", *who, *_FIGURE_COLUMNS)}
        tables.append(copy_provenance(pl.DataFrame(lines, schema=schema), group))
    if not tables:
        raise DataError("there are no battles")
    return pl.concat(tables)


def _dtype_of(column: str) -> type[pl.DataType]:
    if column in ("value", "low", "high", "published_se"):
        return pl.Float64
    return pl.Int64 if column == "count" else pl.String


def _rows(battles: Table) -> Table:
    """The columns that the figures need, checked; missing lengths are counted from the texts."""
    need(battles, "preference")
    lengths = {"chars": "response", "against_chars": "against"}
    for chars, text in lengths.items():
        if chars not in battles.columns:
            need(battles, text)
            battles = battles.with_columns(pl.col(text).fill_null("").str.len_chars().alias(chars))
    rows = battles.with_columns(
        pl.col("preference").cast(pl.Float64).fill_nan(None), *(pl.col(name).cast(pl.Float64) for name in lengths)
    )
    if "question" not in rows.columns:
        rows = rows.with_columns(pl.col("prompt" if "prompt" in rows.columns else "id").alias("question"))
    for column, invalid in (
        ("preference", ~pl.col("preference").is_between(0, 1)),
        ("question", pl.col("question").is_null()),
        *((name, ~(pl.col(name) >= 0).fill_null(False)) for name in lengths),
    ):
        if len(wrong := rows.filter(invalid)):
            row = wrong.row(0, named=True)
            valid = {"preference": "from 0 to 1, or null", "question": "a name"}.get(column, "a number of characters")
            raise DataError(f"battle {row['id']!r} has {column} {row[column]!r}: it must be {valid}")
    # other columns could clash with the names of columns joined later
    return rows.select(name for name in rows.columns if name in _USED_COLUMNS)


def _lines(group: Table, bootstrap: int, seed: int, difficulty_of: str) -> list[dict[str, Any]]:
    """The figures of one model against another."""
    group = _in_question_order(group, difficulty_of)
    names = group["question"].unique(maintain_order=True)
    question = group["question"].replace_strict(names, range(len(names))).to_numpy()
    longer, difficulty = (group["chars"] - group["against_chars"]).to_numpy(), group["difficulty"].to_numpy()
    rows = Battles(group["preference"].to_numpy(), longer, question, None if group["difficulty"].null_count() else difficulty)
    wins, judged = rows.preference[rows.has_preference], question[rows.has_preference]
    estimate = control_length(rows)
    blocks = [
        control_length(rows, counts[:, question], penalty=estimate.penalty).values[1:]
        for counts in resample_counts(len(names), bootstrap, seed, width=len(group))
    ]
    value = _finite_or_none(estimate.values[0])
    ends = bootstrap_interval(np.concatenate([np.empty(0), *blocks]), len(np.unique(judged)))
    share = partial(mean, share=True, draws=bootstrap, seed=seed)
    chars, unjudged = group["chars"].to_numpy(), (~rows.has_preference).astype(float)
    lines: list[tuple[Any, ...]] = [
        ("win_rate", *_percent(share, wins, judged), len(wins), _standard_error(wins), None),
        ("discrete_win_rate", *_percent(share, (np.sign(wins - 0.5) + 1) / 2, judged), len(wins), None, None),
        ("lc_win_rate", value, *ends, len(wins), _finite_or_none(estimate.published_se), ", ".join(estimate.terms)),
        ("avg_length", *mean(chars, question, draws=bootstrap, seed=seed), len(group), None, None),
        ("unjudged", *share(unjudged, question), len(group), None, None),
    ]
    return [dict(zip(_FIGURE_COLUMNS, line, strict=True)) for line in lines]


def _percent(share: Callable[..., Interval], values: Array, questions: Array) -> tuple[float | None, ...]:
    if not len(values):
        return None, None, None
    return tuple(None if end is None else 100 * end for end in share(values, questions))


def _standard_error(wins: Array) -> float | None:
    return float(100 * wins.std(ddof=1) / np.sqrt(len(wins))) if len(wins) > 1 else None


def _finite_or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _in_question_order(group: Table, difficulty_of: str) -> Table:
    """The battles sorted by question, so that their order does not matter, with `difficulty` if all are AlpacaEval's."""
    unknown = group.sort("question", "id").with_columns(difficulty=pl.lit(None, dtype=pl.Float64))
    if "prompt" not in group.columns or group["prompt"].null_count():
        return unknown
    listed = alpaca_eval_questions().select("text", "difficulty").with_row_index("index")
    texts = pl.Series("text", [text_hash(text) for text in group["prompt"]], dtype=pl.UInt64)
    matched = group.with_columns(texts).join(listed, on="text", how="left", maintain_order="left")
    if matched["index"].null_count():
        return unknown
    if difficulty_of == "question":
        return matched.sort("index", "id")
    need(group, "row")
    if len(outside := group.filter(~pl.col("row").is_between(0, len(listed) - 1).fill_null(False))):
        row = outside.row(0, named=True)
        raise DataError(f"battle {row['id']!r} has row {row['row']}: AlpacaEval has rows 0 to {len(listed) - 1}")
    return group.sort("row", "id").with_columns(difficulty=listed["difficulty"].gather(group["row"].sort().cast(pl.Int64)))

"""Load the marked answers of a run's arm (RUN or RUN:ARM), and match those of several sides by question.

A run's arms are its results named answers-ARM; the first is the main one. Answers belong to the same question if they have the
same prompt and, where all sides have them, the same question id. A question answered several times counts once, by its mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from attar.core.errors import DataError, did_you_mean
from attar.core.table import Table, read
from attar.runtime.home import Home, read_card, record_with_marks
from attar.stages.evaluate.judging import provenance

OUTCOMES = ("correct", "score", "preference")
GROUPS = {"category": ("category", "family"), "level": ("level", "difficulty")}
"""How answers are grouped, and the columns that each grouping is read from."""
MARKING_COLUMNS = ("judge", "asked", "order", "opponent")
"""Columns that must agree between sides, so that their outcomes are comparable."""
_ANSWERS = "answers-"


@dataclass(frozen=True, slots=True)
class Side:
    """An arm of a run, with its marked answers."""

    name: str
    arm: str
    record: Mapping[str, Any]
    answers: Table
    """of (the question's id), prompt, response, the outcomes, and further columns about the question"""

    @property
    def step(self) -> Mapping[str, Any]:
        """The step whose result the answers are."""
        folder = self.record["results"][_ANSWERS + self.arm]
        return next(step for step in self.record["steps"] if step["folder"] == folder)


def load_side(home: Home, name: str) -> Side:
    """Load the side named RUN or RUN:ARM; without an arm the run's first."""
    run, colon, arm = name.rpartition(":")
    if not colon or (home.runs / f"{name}.json").exists():
        run = name
        arm = ""
    record = record_with_marks(home, run)
    arms = arm_names(record)
    if not arms:
        raise DataError(_no_answers_message(record))
    if arm and arm not in arms:
        raise DataError(f"run {run!r} has no answers of {arm!r}; {did_you_mean(arm, arms)}")
    return _open_side(home, record, arm or arms[0])


def load_base(home: Home, other: Side) -> Side | None:
    """The marked answers of the base that this side's run trained; None if there are none."""
    has_base = "none" in arm_names(other.record) and other.arm != "none"
    return _open_side(home, other.record, "none") if has_base and read_card(_folder(home, other.record, "none")) else None


def arm_names(record: Mapping[str, Any]) -> list[str]:
    """The arms of a run whose answers are among its results, the main one first."""
    return [name.removeprefix(_ANSWERS) for name in record["results"] if name.startswith(_ANSWERS)]


def common_outcome(sides: Sequence[Side]) -> str:
    """The outcome to compare: the first of `OUTCOMES` that all sides have; raises unless it was marked in the same way."""
    for column in OUTCOMES:
        if all(column in side.answers.columns for side in sides):
            _require_same_marking(sides, column)
            return column
    outcomes = "; ".join(f"{side.name} has {' and '.join(_outcomes_of(side)) or 'none of them'}" for side in sides)
    raise DataError(f"answers are compared by one of {', '.join(OUTCOMES)}, but the sides have none in common: {outcomes}")


def match_answers(sides: Sequence[Side], column: str) -> Table:
    """of, prompt, name, category, level, side, value, length, best, worst, unmarked: a row per common question and side."""
    stacked = _stack_answers(sides, column)
    by_id = _keys_of_all_sides(stacked.select("of", "prompt", "side"), ["of", "prompt"], len(sides))
    stacked = stacked.join(by_id.with_columns(same=True), on=["of", "prompt"], how="left").with_columns(
        of=pl.when(pl.col("same").fill_null(False)).then("of").otherwise(pl.lit(""))
    )
    keys = ["of", "prompt"]
    common = stacked.join(_keys_of_all_sides(stacked.select(*keys, "side"), keys, len(sides)), on=keys, how="semi")
    questions = common.group_by(keys, maintain_order=True).agg(pl.col(name).drop_nulls().first() for name in ("name", *GROUPS))
    lines = common.group_by("side", *keys, maintain_order=True).agg(
        pl.col("value").mean(),
        pl.col("response").str.len_chars().mean().alias("length"),
        pl.col("response").sort_by("value", descending=True, nulls_last=True, maintain_order=True).first().alias("best"),
        pl.col("response").sort_by("value", nulls_last=True, maintain_order=True).first().alias("worst"),
        pl.col("marked").any().not_().alias("unmarked"),
    )
    return lines.join(questions, on=keys, how="left", maintain_order="left")


def _stack_answers(sides: Sequence[Side], column: str) -> Table:
    """Concatenate the answers of all sides, with the outcome as a number."""
    value = pl.col(column).cast(pl.Float64)
    marked = value.is_not_null() & value.is_not_nan()
    value = (
        pl.when(marked).then(value).otherwise(pl.lit(0.0 if column == "correct" else None))
    )  # a missing answer counts as wrong
    return pl.concat(
        side.answers.filter(pl.col("prompt").is_not_null()).select(
            pl.lit(place, dtype=pl.Int32).alias("side"),
            "of",
            pl.col("of").alias("name"),
            "prompt",
            "response",
            *GROUPS,
            marked.alias("marked"),
            value.alias("value"),
        )
        for place, side in enumerate(sides)
    )


def _keys_of_all_sides(table: Table, keys: list[str], count: int) -> Table:
    """The distinct keys that every side has."""
    return table.unique().group_by(keys).len().filter(pl.col("len") == count).select(keys)


def _open_side(home: Home, record: Mapping[str, Any], arm: str) -> Side:
    folder, name = _folder(home, record, arm), f"{record['name']}:{arm}"
    if read_card(folder) is None:
        raise DataError(f"{name} has no marked answers yet: finish the run first (attar resume {record['name']})")
    return Side(name, arm, record, _comparable_columns(read(folder), name))


def _folder(home: Home, record: Mapping[str, Any], arm: str) -> Any:
    return home.steps / record["results"][_ANSWERS + arm]


def _comparable_columns(table: Table, name: str) -> Table:
    """The columns of an arm's answers that a comparison reads; raises if needed ones are missing."""
    if missing := [column for column in ("id", "prompt", "response") if column not in table.columns]:
        raise DataError(f"the answers of {name} lack the column {missing[0]!r}; they have: {', '.join(table.columns)}")
    if not set(OUTCOMES) & set(table.columns):
        raise DataError(f"the answers of {name} are not marked: none of their columns is {', '.join(OUTCOMES)}")
    known = [pl.col(column) for column in ("question", "parent") if column in table.columns]
    groups = [_group(table, columns).alias(group) for group, columns in GROUPS.items()]
    more = [column for column in dict.fromkeys((*OUTCOMES, *MARKING_COLUMNS, *provenance.COLUMNS)) if column in table.columns]
    return table.select(pl.coalesce(*known, "id").alias("of"), "prompt", "response", *groups, *more)


def _group(table: Table, columns: Sequence[str]) -> pl.Expr:
    """The first of these columns that has labels, as strings; null if there is none."""
    labels = (pl.String, pl.Boolean, pl.Categorical, pl.Enum)
    for column in columns:
        if column in table.columns and (table[column].dtype in labels or table[column].dtype.is_integer()):
            return pl.col(column).cast(pl.String)
    return pl.lit(None, dtype=pl.String)


def _require_same_marking(sides: Sequence[Side], column: str) -> None:
    """Raise if sides were marked by different judges or in different ways."""
    for marking in MARKING_COLUMNS:
        values = [_marking_text(side, marking) for side in sides]
        for other, value in zip(sides[1:], values[1:], strict=True):
            if value != values[0]:
                raise DataError(
                    f"{sides[0].name} and {other.name} were marked in different ways: {marking} is {values[0]} and {value}, "
                    f"so their {column} cannot be compared"
                )


def _marking_text(side: Side, column: str) -> str:
    """The distinct values of a marking column; without a judge column the model that marked the answers."""
    if column in side.answers.columns:
        return " and ".join(map(str, side.answers[column].drop_nulls().unique().sort())) or "nothing"
    return str(side.step["engine"] or "nothing") if column == "judge" else "nothing"


def _outcomes_of(side: Side) -> list[str]:
    return [column for column in OUTCOMES if column in side.answers.columns]


def _no_answers_message(record: Mapping[str, Any]) -> str:
    """The error for a run without answers, with its remedy."""
    name = record["name"]
    if "scores" in record["results"]:
        return (
            f"run {name!r} was made by an older version, without named answers: run attar resume {name} to add them "
            "(no model is called)"
        )
    return (
        f"run {name!r} has no answers to compare, because it has no exam: set an engine for 'base' and the knob "
        f"exam: pocket, and run attar resume {name}"
    )

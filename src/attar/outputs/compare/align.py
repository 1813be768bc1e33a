"""The marked answers of a run's arm, named as RUN or RUN:ARM, and those of several put side by side, question by question.

A run's arms are its results called answers-ARM; the first one is the run's main one. Answers belong to the same question where
they have the same prompt and, if all sides agree on them, the same question's id; a question answered several times counts
once, by its mean.
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
"""What answers are grouped by, and the columns that may say it."""
MARKING_COLUMNS = ("judge", "asked", "order", "opponent")
"""What must be the same of all sides for their outcomes to mean the same."""
_ANSWERS = "answers-"


@dataclass(frozen=True, slots=True)
class Side:
    """One run's arm with its marked answers."""

    name: str
    arm: str
    record: Mapping[str, Any]
    answers: Table
    """of (the question's id), prompt, response, the outcomes that it has, and what else is known of the question."""

    @property
    def step(self) -> Mapping[str, Any]:
        """The step that the answers come from."""
        folder = self.record["results"][_ANSWERS + self.arm]
        return next(step for step in self.record["steps"] if step["folder"] == folder)


def load_side(home: Home, given: str) -> Side:
    """The side that RUN or RUN:ARM names; without an arm the run's first."""
    run, colon, arm = given.rpartition(":")
    if not colon or (home.runs / f"{given}.json").exists():
        run, arm = given, ""
    record = record_with_marks(home, run)
    there = arm_names(record)
    if not there:
        raise DataError(_no_answers_message(record))
    if arm and arm not in there:
        raise DataError(f"run {run!r} has no answers of {arm!r}; {did_you_mean(arm, there)}")
    return _open_side(home, record, arm or there[0])


def load_base(home: Home, other: Side) -> Side | None:
    """The answers of the base that this side's run trained, where they were marked."""
    there = "none" in arm_names(other.record) and other.arm != "none"
    return _open_side(home, other.record, "none") if there and read_card(_folder(home, other.record, "none")) else None


def arm_names(record: Mapping[str, Any]) -> list[str]:
    """The arms of a run whose answers are among its results, the main one first."""
    return [name.removeprefix(_ANSWERS) for name in record["results"] if name.startswith(_ANSWERS)]


def common_outcome(sides: Sequence[Side]) -> str:
    """The column that says how good an answer is: the first of `OUTCOMES` that all sides have, marked alike."""
    for column in OUTCOMES:
        if all(column in side.answers.columns for side in sides):
            _require_same_marking(sides, column)
            return column
    has = "; ".join(f"{side.name} has {' and '.join(_outcomes_of(side)) or 'none of them'}" for side in sides)
    raise DataError(f"answers are compared by one of {', '.join(OUTCOMES)}, and no one is had by all: {has}")


def match_answers(sides: Sequence[Side], column: str) -> Table:
    """of, prompt, name, category, level, side, value, length, best, worst, unmarked: a line a side of each common question."""
    stacked = _stack_answers(sides, column)
    named = _keys_of_all_sides(stacked.select("of", "prompt", "side"), ["of", "prompt"], len(sides))
    stacked = stacked.join(named.with_columns(same=True), on=["of", "prompt"], how="left").with_columns(
        of=pl.when(pl.col("same").fill_null(False)).then("of").otherwise(pl.lit(""))
    )
    keys = ["of", "prompt"]
    common = stacked.join(_keys_of_all_sides(stacked.select(*keys, "side"), keys, len(sides)), on=keys, how="semi")
    told = common.group_by(keys, maintain_order=True).agg(pl.col(name).drop_nulls().first() for name in ("name", *GROUPS))
    lines = common.group_by("side", *keys, maintain_order=True).agg(
        pl.col("value").mean(),
        pl.col("response").str.len_chars().mean().alias("length"),
        pl.col("response").sort_by("value", descending=True, nulls_last=True, maintain_order=True).first().alias("best"),
        pl.col("response").sort_by("value", nulls_last=True, maintain_order=True).first().alias("worst"),
        pl.col("marked").any().not_().alias("unmarked"),
    )
    return lines.join(told, on=keys, how="left", maintain_order="left")


def _stack_answers(sides: Sequence[Side], column: str) -> Table:
    """The answers of all sides, one below the other, with their outcome as a number."""
    value = pl.col(column).cast(pl.Float64)
    marked = value.is_not_null() & value.is_not_nan()
    value = pl.when(marked).then(value).otherwise(pl.lit(0.0 if column == "correct" else None))  # no answer is a wrong one
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


def _keys_of_all_sides(found: Table, keys: list[str], count: int) -> Table:
    """The keys that every side has."""
    return found.unique().group_by(keys).len().filter(pl.col("len") == count).select(keys)


def _open_side(home: Home, record: Mapping[str, Any], arm: str) -> Side:
    folder, name = _folder(home, record, arm), f"{record['name']}:{arm}"
    if read_card(folder) is None:
        raise DataError(f"{name} has no marked answers yet: finish the run first (attar resume {record['name']})")
    return Side(name, arm, record, _comparable_columns(read(folder), name))


def _folder(home: Home, record: Mapping[str, Any], arm: str) -> Any:
    return home.steps / record["results"][_ANSWERS + arm]


def _comparable_columns(table: Table, name: str) -> Table:
    """What a comparison reads of an arm's answers."""
    if missing := [column for column in ("id", "prompt", "response") if column not in table.columns]:
        raise DataError(f"the answers of {name} lack the column {missing[0]!r}; they have: {', '.join(table.columns)}")
    if not set(OUTCOMES) & set(table.columns):
        raise DataError(f"the answers of {name} are not marked: none of their columns is {', '.join(OUTCOMES)}")
    known = [pl.col(column) for column in ("question", "parent") if column in table.columns]
    groups = [_group(table, columns).alias(group) for group, columns in GROUPS.items()]
    more = [column for column in dict.fromkeys((*OUTCOMES, *MARKING_COLUMNS, *provenance.COLUMNS)) if column in table.columns]
    return table.select(pl.coalesce(*known, "id").alias("of"), "prompt", "response", *groups, *more)


def _group(table: Table, columns: Sequence[str]) -> pl.Expr:
    """The first of these columns that holds labels."""
    labels = (pl.String, pl.Boolean, pl.Categorical, pl.Enum)
    for column in columns:
        if column in table.columns and (table[column].dtype in labels or table[column].dtype.is_integer()):
            return pl.col(column).cast(pl.String)
    return pl.lit(None, dtype=pl.String)


def _require_same_marking(sides: Sequence[Side], column: str) -> None:
    """Raise where two sides' outcomes were given by different judges, or in different ways."""
    for said in MARKING_COLUMNS:
        seen = [_marking_text(side, said) for side in sides]
        for other, words in zip(sides[1:], seen[1:], strict=True):
            if words != seen[0]:
                raise DataError(
                    f"{sides[0].name} and {other.name} were not marked alike: {said} is {seen[0]} and {words}, "
                    f"so their {column} cannot stand side by side"
                )


def _marking_text(side: Side, column: str) -> str:
    """What a column says of how the answers were marked; without it the model that marked them."""
    if column in side.answers.columns:
        return " and ".join(map(str, side.answers[column].drop_nulls().unique().sort())) or "nothing"
    return str(side.step["engine"] or "nothing") if column == "judge" else "nothing"


def _outcomes_of(side: Side) -> list[str]:
    return [column for column in OUTCOMES if column in side.answers.columns]


def _no_answers_message(record: Mapping[str, Any]) -> str:
    """What to do about a run that has no answers to compare."""
    name = record["name"]
    if "scores" in record["results"]:
        return f"run {name!r} was made before runs named their answers: attar resume {name} names them, and asks nothing anew"
    return (
        f"run {name!r} has no answers to compare, for nobody sat an exam in it: give it an engine for 'base' and the knob "
        f"exam: pocket, and resume it (attar resume {name})"
    )

"""`attar compare`: compare several runs, or arms of one run, on the questions that all of them answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from attar.core.errors import DataError
from attar.core.table import Table
from attar.outputs.compare.align import Side, common_outcome, load_base, load_side, match_answers
from attar.outputs.compare.costs import cost_table, training_table
from attar.outputs.compare.figures import examples, figures, interval, one_row_per_question
from attar.runtime.home import Home
from attar.stages.evaluate.judging import provenance

_WORTH_COLUMNS = {
    **dict.fromkeys(("id", "side", "figure"), pl.String),
    **dict.fromkeys(("value", "low", "high"), pl.Float64),
    "count": pl.Int64,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a comparison, as tables; leads, wins and losses are against the first side."""

    outcome: str
    """The column that was compared: correct, score or preference."""
    point: float
    """The size of a point on the outcome's scale: 0.01 of a share, 1 of a score."""
    questions: int
    """The number of compared questions."""
    sides: Table
    figures: Table
    taken: Table
    trained: Table
    worth: Table
    examples: Table

    def plain(self) -> dict[str, Any]:
        """The comparison as plain data."""
        tables = {name: getattr(self, name) for name in ("sides", "figures", "taken", "trained", "worth", "examples")}
        values = {name: getattr(self, name) for name in ("outcome", "point", "questions")}
        return values | {name: table.to_dicts() for name, table in tables.items()}


def compare(home: Home, *given: str, most: int = 3) -> Comparison:
    """Compare the sides named RUN or RUN:ARM; `most` is the number of example pairs in each direction."""
    if len(given) < 2:
        raise DataError("a comparison needs two sides: name another run, or two arms of one (RUN:ARM)")
    sides = [load_side(home, name) for name in given]
    names = [each.name for each in sides]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise DataError(f"{repeated[0]} is named twice: name another run, or another arm (RUN:ARM)")
    column = common_outcome(sides)
    lines = match_answers(sides, column)
    if lines.is_empty():
        raise DataError(f"{' and '.join(names)} have no prompt in common: compare runs of the same exam")
    compared = one_row_per_question(lines, "value", len(sides))
    point = 1.0 if column == "score" else 0.01
    costs = cost_table(home, sides)
    answers = pl.concat([each.answers for each in sides], how="diagonal_relaxed")
    return Comparison(
        outcome=column,
        point=point,
        questions=len(compared),
        sides=_describe_sides(sides, lines),
        figures=provenance.copy_provenance(figures(lines, names, column), answers),
        taken=costs,
        trained=training_table(home, sides),
        worth=_value_for_money(home, sides, compared, column, point, costs),
        examples=examples(lines, names, most),
    )


def _describe_sides(sides: Sequence[Side], lines: Table) -> Table:
    """id, run, arm, recipe, provenance, questions, only (not common to all), unmarked: a row for each side."""
    out = []
    for place, each in enumerate(sides):
        compared = lines.filter(pl.col("side") == place)
        prompts = each.answers.select("of", "prompt").unique()
        line = {"id": each.name, "run": each.record["name"], "arm": each.arm, "recipe": str(each.record["recipe"])}
        line |= dict.fromkeys((*provenance.COLUMNS, "opponent"))
        line |= {**provenance.provenance_of(each.answers), **_common_opponent(each.answers)}
        only = len(prompts.join(compared.select("prompt").unique(), on="prompt", how="anti"))
        out.append(line | {"questions": len(prompts), "only": only, "unmarked": int(compared["unmarked"].sum())})
    return pl.DataFrame(out, infer_schema_length=None)


def _common_opponent(answers: Table) -> dict[str, str]:
    """The model that all answers were compared with, if there is exactly one."""
    opponents = answers["opponent"].drop_nulls().unique().to_list() if "opponent" in answers.columns else []
    return {"opponent": str(opponents[0])} if len(opponents) == 1 else {}


def _value_for_money(home: Home, sides: Sequence[Side], compared: Table, column: str, point: float, costs: Table) -> Table:
    """side, figure, value, low, high, count: points gained over the base, and the cost and tokens per point."""
    out = []
    for each in sides:
        if (base := load_base(home, each)) is None:
            continue
        both = one_row_per_question(match_answers([each, base], column), "value", 2).join(
            compared.select("prompt").unique(), on="prompt", how="semi"
        )
        if len(both) < 2:
            continue
        *bounds, count = interval(both["0"].to_list(), both["1"].to_list(), shares=column != "score")
        gain = [value / point for value in bounds]
        out.append(_worth_row(each, "gain", gain, count))
        making = costs.filter(pl.col("side") == each.name, pl.col("what") == "making")
        for line in making.to_dicts():
            tokens = line["tokens_in"] + line["tokens_out"]
            price = None if line["unpriced"] else line["cost"]
            for figure, amount in (("cost per point", price), ("tokens per point", tokens)):
                if amount is not None:
                    out.append(_worth_row(each, figure, _per_point(amount, gain), count))
    return pl.DataFrame(out, schema=_WORTH_COLUMNS)


def _per_point(amount: float, gain: Sequence[float]) -> list[float | None]:
    """amount / gain, with the interval's ends swapped; None where the gain is not positive."""
    value, low, high = gain
    return [amount / points if points > 0 else None for points in (value, high, low)]


def _worth_row(each: Side, figure: str, values: Sequence[float | None], count: int) -> dict[str, Any]:
    value, low, high = values
    line = {"id": f"{each.name}/{figure}", "side": each.name, "figure": figure}
    return line | {"value": value, "low": low, "high": high, "count": count}

"""`attar compare`: several runs, or several arms of one, side by side on the questions that all of them answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from attar.core.errors import DataError
from attar.core.table import Table
from attar.outputs.compare.align import Side, common_outcome, load_base, load_side, match_answers
from attar.outputs.compare.costs import taken, trained
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
    """What came of it, as tables; leads, wins and losses are against the first side."""

    outcome: str
    """The column that was compared: correct, score or preference."""
    point: float
    """What a point is, on the scale of the outcome: a hundredth of a share, one of a score."""
    questions: int
    """So many questions were compared."""
    sides: Table
    figures: Table
    taken: Table
    trained: Table
    worth: Table
    examples: Table

    def plain(self) -> dict[str, Any]:
        """All of it as plain data."""
        tables = {name: getattr(self, name) for name in ("sides", "figures", "taken", "trained", "worth", "examples")}
        told = {name: getattr(self, name) for name in ("outcome", "point", "questions")}
        return told | {name: table.to_dicts() for name, table in tables.items()}


def compare(home: Home, *given: str, most: int = 3) -> Comparison:
    """Compare what RUN or RUN:ARM name; `most` is how many pairs of answers are shown in each direction."""
    if len(given) < 2:
        raise DataError("a comparison needs two sides: name another run, or two arms of one (RUN:ARM)")
    sides = [load_side(home, name) for name in given]
    names = [each.name for each in sides]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"{twice[0]} is named twice: name another run, or another arm (RUN:ARM)")
    column = common_outcome(sides)
    lines = match_answers(sides, column)
    if lines.is_empty():
        raise DataError(f"{' and '.join(names)} have no prompt in common: compare runs that sat the same exam")
    compared = one_row_per_question(lines, "value", len(sides))
    point = 1.0 if column == "score" else 0.01
    spent, judged = taken(home, sides), pl.concat([each.answers for each in sides], how="diagonal_relaxed")
    return Comparison(
        outcome=column,
        point=point,
        questions=len(compared),
        sides=_describe_sides(sides, lines),
        figures=provenance.copy_provenance(figures(lines, names, column), judged),
        taken=spent,
        trained=trained(home, sides),
        worth=_value_for_money(home, sides, compared, column, point, spent),
        examples=examples(lines, names, most),
    )


def _describe_sides(sides: Sequence[Side], lines: Table) -> Table:
    """id, run, arm, recipe, who judged how, questions, only, unmarked: who stands there, and what was left out."""
    out = []
    for place, each in enumerate(sides):
        own = lines.filter(pl.col("side") == place)
        prompts = each.answers.select("of", "prompt").unique()
        line = {"id": each.name, "run": each.record["name"], "arm": each.arm, "recipe": str(each.record["recipe"])}
        line |= dict.fromkeys((*provenance.COLUMNS, "opponent"))
        line |= {**provenance.provenance_of(each.answers), **_common_opponent(each.answers)}
        found = len(prompts.join(own.select("prompt").unique(), on="prompt", how="anti"))
        out.append(line | {"questions": len(prompts), "only": found, "unmarked": int(own["unmarked"].sum())})
    return pl.DataFrame(out, infer_schema_length=None)


def _common_opponent(answers: Table) -> dict[str, str]:
    """The model that all answers were set against, where it was one."""
    said = answers["opponent"].drop_nulls().unique().to_list() if "opponent" in answers.columns else []
    return {"opponent": str(said[0])} if len(said) == 1 else {}


def _value_for_money(home: Home, sides: Sequence[Side], compared: Table, column: str, point: float, spent: Table) -> Table:
    """side, figure, value, low, high, count: points gained over the base, and what each took of money and tokens."""
    out = []
    for each in sides:
        if (base := load_base(home, each)) is None:
            continue
        both = one_row_per_question(match_answers([each, base], column), "value", 2).join(
            compared.select("prompt").unique(), on="prompt", how="semi"
        )
        if len(both) < 2:
            continue
        *found, count = interval(both["0"].to_list(), both["1"].to_list(), shares=column != "score")
        gain = [value / point for value in found]
        out.append(_worth_row(each, "gain", gain, count))
        making = spent.filter(pl.col("side") == each.name, pl.col("what") == "making")
        for line in making.to_dicts():
            tokens = line["tokens_in"] + line["tokens_out"]
            price = None if line["unpriced"] else line["cost"]
            for figure, amount in (("cost per point", price), ("tokens per point", tokens)):
                if amount is not None:
                    out.append(_worth_row(each, figure, _per_point(amount, gain), count))
    return pl.DataFrame(out, schema=_WORTH_COLUMNS)


def _per_point(amount: float, gain: Sequence[float]) -> list[float | None]:
    """An amount by the points gained; the more were gained, the less it is. Nothing where nothing was gained."""
    value, low, high = gain
    return [amount / points if points > 0 else None for points in (value, high, low)]


def _worth_row(each: Side, figure: str, values: Sequence[float | None], count: int) -> dict[str, Any]:
    value, low, high = values
    line = {"id": f"{each.name}/{figure}", "side": each.name, "figure": figure}
    return line | {"value": value, "low": low, "high": high, "count": count}

"""Score by a judge's own probabilities, not by the one digit that it would have written.

The score is the mean of a rubric's numbers under the judge's weights for them. How much probability they hold together is kept
beside it; where that is little, the judge would have said something else, and there is no score.
"""

from collections.abc import Sequence

import polars as pl

from attar.core.errors import RecipeError, did_you_mean
from attar.core.replies import LEAST_MASS, Scored, expected
from attar.core.stage import role, rowwise
from attar.core.table import Table, need
from attar.engines.ask_rows import weighed
from attar.engines.base import Grader
from attar.stages.annotate.judge_prompts import RUBRICS, Rubric


@role("scores")
@rowwise
def score(
    table: Table,
    *,
    engine: Grader,
    rubric: str = "helpfulness",
    into: str = "score",
    least_mass: float = LEAST_MASS,
    rounded: bool = False,
) -> Table:
    """prompt, response -> {into}, {into}_mass, {into}_error; `rounded` takes the likeliest number in place of the mean."""
    if rubric not in RUBRICS:
        raise RecipeError(f"there is no rubric {rubric!r}; {did_you_mean(rubric, RUBRICS)}")
    asked = RUBRICS[rubric]
    both = "{response}" in asked.user
    need(table, "prompt", *(["response"] if both else []))
    responses = table["response"].to_list() if both else [""] * len(table)
    pairs = list(zip(table["prompt"], responses, strict=True))
    questions = [_question(asked, prompt, response) if prompt and response is not None else None for prompt, response in pairs]
    weights = weighed(engine, questions, asked.labels)
    return marked(table, into, [expected(w, asked.values, least_mass, rounded=rounded) for w in weights])


def _question(rubric: Rubric, prompt: str, response: str) -> tuple[dict[str, str], ...]:
    before, _, behind = rubric.user.partition("{prompt}")  # so that a text with braces in it is not taken for a place
    user = before + prompt + behind.replace("{response}", response)
    return ({"role": "system", "content": rubric.system}, {"role": "user", "content": user})


def marked(table: Table, into: str, scores: Sequence[Scored]) -> Table:
    """The table with a score, its mass and its errors."""
    kinds = {into: pl.Float64, f"{into}_mass": pl.Float64, f"{into}_error": pl.String}
    columns = zip(*scores, strict=True) if scores else ([], [], [])
    return table.with_columns(
        *(pl.Series(name, list(column), dtype=kind) for (name, kind), column in zip(kinds.items(), columns, strict=True))
    )

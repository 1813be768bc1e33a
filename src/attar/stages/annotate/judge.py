"""Score by the judge's label probabilities, not by the one digit that it would have generated.

The score is the mean of the rubric's numbers under these probabilities. Their sum is kept as the score's mass; where it is
small, the judge would have generated something else, and there is no score.
"""

from collections.abc import Sequence

import polars as pl

from attar.core.errors import RecipeError, did_you_mean
from attar.core.replies import LEAST_MASS, Scored, expected_score
from attar.core.stage import role, rowwise
from attar.core.table import Table, need
from attar.engines.ask_rows import weigh_rows
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
        raise RecipeError(f"unknown rubric {rubric!r}; {did_you_mean(rubric, RUBRICS)}")
    scale = RUBRICS[rubric]
    both = "{response}" in scale.user
    need(table, "prompt", *(["response"] if both else []))
    responses = table["response"].to_list() if both else [""] * len(table)
    pairs = list(zip(table["prompt"], responses, strict=True))
    questions = [_question(scale, prompt, response) if prompt and response is not None else None for prompt, response in pairs]
    weights = weigh_rows(engine, questions, scale.labels)
    return add_scores(table, into, [expected_score(w, scale.values, least_mass, rounded=rounded) for w in weights])


def _question(rubric: Rubric, prompt: str, response: str) -> tuple[dict[str, str], ...]:
    before, _, after = rubric.user.partition("{prompt}")  # not format(): a prompt may contain "{response}" itself
    user = before + prompt + after.replace("{response}", response)
    return ({"role": "system", "content": rubric.system}, {"role": "user", "content": user})


def add_scores(table: Table, into: str, scores: Sequence[Scored]) -> Table:
    """Add the columns of a score, its mass and its errors."""
    kinds = {into: pl.Float64, f"{into}_mass": pl.Float64, f"{into}_error": pl.String}
    columns = zip(*scores, strict=True) if scores else ([], [], [])
    return table.with_columns(
        *(pl.Series(name, list(column), dtype=kind) for (name, kind), column in zip(kinds.items(), columns, strict=True))
    )

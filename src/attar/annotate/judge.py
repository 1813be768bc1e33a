"""Score by a judge's own probabilities, not by the one digit that it would have written.

The score is the mean of a rubric's numbers under the judge's weights for them. How much probability they hold together is kept
beside it; where that is little, the judge would have said something else, and there is no score.
"""

from collections.abc import Sequence
from math import exp, isfinite

import polars as pl

from attar.annotate.forms import RUBRICS, Rubric
from attar.engines.base import Grader, Request, in_order
from attar.errors import RecipeError, did_you_mean
from attar.stage import rowwise
from attar.table import Table, need

LEAST_MASS = 0.1


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


Weights = tuple[float, ...] | str
"""Log-probabilities of labels, or why there are none."""


def weighed(engine: Grader, talks: Sequence[tuple[dict[str, str], ...] | None], labels: tuple[str, ...]) -> list[Weights]:
    """Of each conversation the labels' log-probabilities as its answer."""
    able = [(place, talk) for place, talk in enumerate(talks) if talk is not None]
    requests = (Request(i, messages=talk, labels=labels) for i, (_, talk) in enumerate(able))
    found: list[Weights] = ["nothing to judge"] * len(talks)
    for (place, _), reply in zip(able, in_order(engine.weigh(requests), len(able)), strict=True):
        found[place] = reply.weights if reply.weights is not None and reply.error is None else reply.error or "no weights"
    return found


def expected(
    weights: Weights, values: Sequence[float], least_mass: float, *, rounded: bool = False
) -> tuple[float | None, float | None, str | None]:
    """The score, the probability that all labels hold together, and why there is no score."""
    if isinstance(weights, str):
        return None, None, weights
    chances = _chances(weights)
    mass = sum(chances)
    if mass < least_mass or mass == 0:
        return None, mass, f"the judge gives the answers that may be {mass:.2g} of its probability"
    if rounded:
        return float(values[max(range(len(values)), key=chances.__getitem__)]), mass, None
    return sum(value * chance for value, chance in zip(values, chances, strict=True)) / mass, mass, None


def normal(weights: Weights) -> list[float] | None:
    """How likely each label is among all of them; None where nothing is known of them."""
    chances = [] if isinstance(weights, str) else _chances(weights)
    mass = sum(chances)
    return [chance / mass for chance in chances] if mass > 0 else None


def _chances(weights: Sequence[float]) -> list[float]:
    return [exp(min(weight, 0.0)) if isfinite(weight) else 0.0 for weight in weights]


def marked(table: Table, into: str, scores: Sequence[tuple[float | None, float | None, str | None]]) -> Table:
    """The table with a score, its mass and its errors."""
    kinds = {into: pl.Float64, f"{into}_mass": pl.Float64, f"{into}_error": pl.String}
    columns = zip(*scores, strict=True) if scores else ([], [], [])
    return table.with_columns(
        *(pl.Series(name, list(column), dtype=kind) for (name, kind), column in zip(kinds.items(), columns, strict=True))
    )

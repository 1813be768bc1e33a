"""Score conversations turn by turn with a trained scorer: by its label probabilities, never by one sampled digit.

The prompt's wording is read from the scorer's folder; where there is none it must be given, because a scorer understands only
the wording that it was trained on. If one turn has no score, its conversation has none, with the reason.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, Literal

import polars as pl

from attar.core import scorer_prompts
from attar.core.errors import RecipeError
from attar.core.replies import LEAST_MASS, Scored, Weights, expected_score, label_probabilities
from attar.core.scorer_prompts import LABELS, WORDINGS, Question
from attar.core.stage import role, rowwise
from attar.core.table import Table, need, put
from attar.engines.base import Grader, Request, Spec, in_order
from attar.engines.local.spec import find_model_folder
from attar.engines.registry import kind_of
from attar.stages.annotate.judge import add_scores

Turn = tuple[str | None, str | None]
"""A user's message and its answer."""
_KNOBS = {"wording": "question", "numbers": "labels"}


@role("scores")
@rowwise
def score(  # noqa: PLR0913 (how a scorer is asked, and of what)
    table: Table,
    *,
    engine: Grader,
    what: str = "complexity",
    question: str | None = None,
    labels: Sequence[int] | None = None,
    into: str | None = None,
    turns: Literal["all", "last"] = "all",
    least_mass: float = LEAST_MASS,
    rounded: bool = False,
    chances: bool = False,
) -> Table:
    """messages (or `turns: last`: prompt), response -> {into}, the sum over its turns; {into}_turns, {into}_mass, {into}_error.

    `into` defaults to `what`. The mass is the smallest of the turns' masses. `rounded` takes a turn's likeliest number instead
    of the mean; `chances` keeps the label probabilities of the last turn as {into}_chances.
    """
    prompt, into = question_for(engine.spec, what, question, labels), into or what
    talks = _last_turns(table, prompt) if turns == "last" else _all_turns(table)
    weights = _weigh_turns(engine, prompt, [turn for talk in talks for turn in talk])
    remaining = iter(weights)
    scores = [[expected_score(next(remaining), prompt.numbers, least_mass, rounded=rounded) for _ in talk] for talk in talks]
    if chances:
        ends = accumulate(map(len, talks))
        scored = [talk[-1][0] is not None if talk else False for talk in scores]
        last = [
            label_probabilities(weights[end - 1]) if has_score else None for end, has_score in zip(ends, scored, strict=True)
        ]
        table = table.with_columns(pl.Series(f"{into}_chances", last, dtype=pl.List(pl.Float64)))
    by_turn = pl.Series(f"{into}_turns", [[value for value, _, _ in talk] for talk in scores], dtype=pl.List(pl.Float64))
    return add_scores(table, into, [_sum_turns(talk) for talk in scores]).with_columns(by_turn)


@rowwise
def evol(table: Table, *, complexity: str = "complexity", quality: str = "quality", into: str = "evol") -> Table:
    """{complexity}_turns, {quality}_turns and their errors -> {into}, {into}_error: the sum over turns of their products."""
    sides = (complexity, quality)
    need(table, *(f"{side}{end}" for side in sides for end in ("_turns", "_error")))
    results = [_product(row, sides) for row in table.iter_rows(named=True)]
    return put(table, into, [value for value, _ in results], [error for _, error in results], dtype=pl.Float64)


def _product(row: dict[str, Any], sides: tuple[str, str]) -> tuple[float | None, str | None]:
    for side in sides:
        if row[f"{side}_error"] is not None:
            return None, f"{side}: {row[f'{side}_error']}"
    one, other = (row[f"{side}_turns"] or [] for side in sides)
    if len(one) != len(other):
        return None, f"{sides[0]} of {len(one)} turns, {sides[1]} of {len(other)}"
    if not one or None in one or None in other:
        return None, "a turn has no score"
    return sum(a * b for a, b in zip(one, other, strict=True)), None


def question_for(spec: Spec, what: str, question: str | None, labels: Sequence[int] | None) -> Question:
    """The question that a scorer was trained on: from its folder, or as given; if there are both, they must agree."""
    stored = _question_of_folder(spec)
    numbers = tuple(labels or (stored.numbers if stored else scorer_prompts.NUMBERS.get(what, LABELS)))
    if question is not None:
        wanted = scorer_prompts.resolve_question(what, question, numbers)
    elif stored is not None:
        wanted = Question(what, stored.wording, numbers)
    else:
        raise RecipeError(
            f"{spec.kind} engine {spec.model} has no scorer question in its folder: set 'question' to the wording that it was "
            f"trained on, one of {', '.join(WORDINGS)}, or a file"
        )
    for field in ("what", "wording", "numbers") if stored else ():
        if (value := getattr(wanted, field)) != (trained := getattr(stored, field)):
            knob = _KNOBS.get(field, field)
            raise RecipeError(f"{spec.model} was trained as a scorer with {knob} {trained!r}, got {value!r}")
    return wanted


def _question_of_folder(spec: Spec) -> Question | None:
    """The question stored in a scorer's folder; for a server, in its tokenizer's folder. None if there is none."""
    at_hand = spec.model if kind_of(spec).trainable_as else spec.options.get("tokenizer")
    folder = find_model_folder(at_hand) if at_hand else None
    return scorer_prompts.read_question(folder) if folder else None


def _last_turns(table: Table, question: Question) -> list[list[Turn]]:
    need(table, "prompt", *(["response"] if question.on_response else []))
    answers = table["response"].to_list() if question.on_response else [None] * len(table)
    return [[turn] for turn in zip(table["prompt"].to_list(), answers, strict=True)]


def _all_turns(table: Table) -> list[list[Turn]]:
    """Each user turn with its answer; the last answer may be in the column `response` instead."""
    need(table, "messages")
    beside: Iterable[str | None] = table["response"] if "response" in table.columns else [None] * len(table)
    return [_turns(talk or [], response) for talk, response in zip(table["messages"].to_list(), beside, strict=True)]


def _turns(talk: list[dict[str, str]], response: str | None) -> list[Turn]:
    turns: list[Turn] = []
    for message in talk:
        if message["role"] == "user":
            turns.append((message["content"], None))
        elif message["role"] == "assistant" and turns and turns[-1][1] is None:
            turns[-1] = (turns[-1][0], message["content"])
    if turns and turns[-1][1] is None:
        turns[-1] = (turns[-1][0], response)
    return turns


def _weigh_turns(engine: Grader, question: Question, turns: Sequence[Turn]) -> list[Weights]:
    """Log-probabilities of the numbers for each turn, or why there are none."""
    complete = [bool(prompt) and (bool(response) or not question.on_response) for prompt, response in turns]
    able = [place for place, is_complete in enumerate(complete) if is_complete]
    texts = (question.about(turns[place][0] or "", turns[place][1] or "") for place in able)
    requests = (Request(i, text=text, labels=question.labels) for i, text in enumerate(texts))
    weights: list[Weights] = ["no response" if prompt else "no prompt" for prompt, _ in turns]
    for place, reply in zip(able, in_order(engine.weigh(requests), len(able)), strict=True):
        weights[place] = reply.weights if reply.weights is not None and reply.error is None else reply.error or "no weights"
    return weights


def _sum_turns(talk: Sequence[Scored]) -> Scored:
    """A conversation's score: the sum over its turns."""
    if not talk:
        return None, None, "no user turn"
    mass = min((mass for _, mass, _ in talk if mass is not None), default=None)
    for place, (_, _, error) in enumerate(talk):
        if error:
            return None, mass, error if len(talk) == 1 else f"turn {place + 1}: {error}"
    return sum(value or 0.0 for value, _, _ in talk), mass, None

"""Score conversations turn by turn with a model that was trained to: by the probabilities of its numbers, never by one digit.

How a scorer is asked is read from its own folder; else it must be named, for a scorer understands only the one wording that it
was trained on. A turn that has no score leaves its conversation without one, and says why.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, Literal

import polars as pl

from attar.core import scorer_prompts
from attar.core.errors import RecipeError
from attar.core.replies import LEAST_MASS, Scored, Weights, expected, normal
from attar.core.scorer_prompts import LABELS, WORDINGS, Question
from attar.core.stage import role, rowwise
from attar.core.table import Table, need, put
from attar.engines.base import Grader, Request, Spec, in_order
from attar.engines.local.engine import where
from attar.engines.registry import kind_of
from attar.stages.annotate.judge import marked

Turn = tuple[str | None, str | None]
"""What a user said, and what was answered."""
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

    `into` is what is scored, unless given. The mass is the least of the turns'. `rounded` takes a turn's likeliest number in
    place of the mean; `chances` keeps, as {into}_chances, how likely each number is for the last turn.
    """
    asked, into = asked_of(engine.spec, what, question, labels), into or what
    talks = _last(table, asked) if turns == "last" else _all(table)
    weights = _weighed(engine, asked, [turn for talk in talks for turn in talk])
    found = iter(weights)
    scores = [[expected(next(found), asked.numbers, least_mass, rounded=rounded) for _ in talk] for talk in talks]
    if chances:
        ends = accumulate(map(len, talks))
        sure = [talk[-1][0] is not None if talk else False for talk in scores]
        last = [normal(weights[end - 1]) if able else None for end, able in zip(ends, sure, strict=True)]
        table = table.with_columns(pl.Series(f"{into}_chances", last, dtype=pl.List(pl.Float64)))
    each = pl.Series(f"{into}_turns", [[value for value, _, _ in talk] for talk in scores], dtype=pl.List(pl.Float64))
    return marked(table, into, [_summed(talk) for talk in scores]).with_columns(each)


@rowwise
def evol(table: Table, *, complexity: str = "complexity", quality: str = "quality", into: str = "evol") -> Table:
    """{complexity}_turns, {quality}_turns and their errors -> {into}, {into}_error: the sum over turns of their products."""
    sides = (complexity, quality)
    need(table, *(f"{side}{end}" for side in sides for end in ("_turns", "_error")))
    told = [_product(row, sides) for row in table.iter_rows(named=True)]
    return put(table, into, [value for value, _ in told], [error for _, error in told], dtype=pl.Float64)


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


def asked_of(spec: Spec, what: str, question: str | None, labels: Sequence[int] | None) -> Question:
    """What an engine is asked as a scorer: what its folder says, or what is named; where both are there, they must agree."""
    own = _own(spec)
    numbers = tuple(labels or (own.numbers if own else scorer_prompts.NUMBERS.get(what, LABELS)))
    if question is not None:
        given = scorer_prompts.question(what, question, numbers)
    elif own is not None:
        given = Question(what, own.wording, numbers)
    else:
        raise RecipeError(
            f"{spec.kind} engine {spec.model} does not say what it is asked as a scorer: name with 'question' what it was "
            f"trained on, one of ours ({', '.join(WORDINGS)}) or a file"
        )
    for knob in ("what", "wording", "numbers") if own else ():
        if (said := getattr(given, knob)) != (known := getattr(own, knob)):
            raise RecipeError(f"{spec.model} was trained as a scorer with {_KNOBS.get(knob, knob)} {known!r}, not {said!r}")
    return given


def _own(spec: Spec) -> Question | None:
    """What a scorer's folder says, where there is one: the model's, or of a server's model the tokenizer's."""
    at_hand = spec.model if kind_of(spec).trainable_as else spec.options.get("tokenizer")
    folder = where(at_hand) if at_hand else None
    return scorer_prompts.kept(folder) if folder else None


def _last(table: Table, asked: Question) -> list[list[Turn]]:
    need(table, "prompt", *(["response"] if asked.on_response else []))
    answers = table["response"].to_list() if asked.on_response else [None] * len(table)
    return [[turn] for turn in zip(table["prompt"].to_list(), answers, strict=True)]


def _all(table: Table) -> list[list[Turn]]:
    """Each user turn with its answer; the last one's may stand beside the conversation as `response`."""
    need(table, "messages")
    beside: Iterable[str | None] = table["response"] if "response" in table.columns else [None] * len(table)
    return [_turns(talk or [], response) for talk, response in zip(table["messages"].to_list(), beside, strict=True)]


def _turns(talk: list[dict[str, str]], response: str | None) -> list[Turn]:
    found: list[Turn] = []
    for turn in talk:
        if turn["role"] == "user":
            found.append((turn["content"], None))
        elif turn["role"] == "assistant" and found and found[-1][1] is None:
            found[-1] = (found[-1][0], turn["content"])
    if found and found[-1][1] is None:
        found[-1] = (found[-1][0], response)
    return found


def _weighed(engine: Grader, asked: Question, turns: Sequence[Turn]) -> list[Weights]:
    """Of each turn the numbers' log-probabilities, or why there are none."""
    whole = [bool(prompt) and (bool(response) or not asked.on_response) for prompt, response in turns]
    able = [place for place, is_whole in enumerate(whole) if is_whole]
    texts = (asked.about(turns[place][0] or "", turns[place][1] or "") for place in able)
    requests = (Request(i, text=text, labels=asked.labels) for i, text in enumerate(texts))
    found: list[Weights] = ["no response" if prompt else "no prompt" for prompt, _ in turns]
    for place, reply in zip(able, in_order(engine.weigh(requests), len(able)), strict=True):
        found[place] = reply.weights if reply.weights is not None and reply.error is None else reply.error or "no weights"
    return found


def _summed(talk: Sequence[Scored]) -> Scored:
    """A conversation's score out of its turns'."""
    if not talk:
        return None, None, "no user turn"
    mass = min((mass for _, mass, _ in talk if mass is not None), default=None)
    for place, (_, _, error) in enumerate(talk):
        if error:
            return None, mass, error if len(talk) == 1 else f"turn {place + 1}: {error}"
    return sum(value or 0.0 for value, _, _ in talk), mass, None

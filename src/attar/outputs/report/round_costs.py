"""The cost of each round: answers, tokens, and seconds of generation, judging and training, from its steps' cards.

A round's steps are those whose names begin with round-N-. Answers are the sampled rows. Tokens are those of all attempts of the
run, so that a run that was stopped and resumed counts nothing twice. Seconds are those of each step's last attempt.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Round:
    """A round's sums; `whole` says whether all of its steps are finished."""

    number: int
    answers: int = 0
    tokens: int = 0
    writing: float = 0.0
    judging: float = 0.0
    training: float = 0.0
    seconds: float = 0.0
    whole: bool = True


def costs_by_round(steps: Sequence[Mapping[str, Any]], cards: Mapping[str, Mapping[str, Any]]) -> list[Round]:
    """The rounds of a run's steps, in order; `cards` are those of the finished steps, by name."""
    rounds: dict[int, Round] = {}
    for step in steps:
        if not (match := re.match(r"round-(\d+)-", step["name"])):
            continue
        number = int(match[1])
        costs = rounds.setdefault(number, Round(number))
        if step["name"] not in cards:
            costs.whole = False
            continue
        _add(costs, step["marks"], cards[step["name"]])
    return [rounds[number] for number in sorted(rounds)]


def _add(costs: Round, marks: Mapping[str, Any], card: Mapping[str, Any]) -> None:
    costs.seconds += card["seconds"]
    if marks["role"] == "answers":
        costs.answers += card["rows"]
        costs.tokens += card["spent"]["tokens_out"]
        costs.writing += card["seconds"]
    elif marks["role"] == "scores":
        costs.judging += card["seconds"]
    elif marks["trains"]:
        costs.training += card["seconds"]

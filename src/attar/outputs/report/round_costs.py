"""What each round took: answers drawn, tokens written, and seconds of writing, judging and training, from its steps' cards.

A round's steps are those whose names begin with round-N-. Answers are the rows that were drawn and tokens those of all tries of
the run, so that a run that was stopped and resumed counts nothing twice; seconds are those of each step's last try.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Round:
    """A round's sums; `whole` is whether all of its steps are done."""

    number: int
    answers: int = 0
    tokens: int = 0
    writing: float = 0.0
    judging: float = 0.0
    training: float = 0.0
    seconds: float = 0.0
    whole: bool = True


def by_round(steps: Sequence[Mapping[str, Any]], cards: Mapping[str, Mapping[str, Any]]) -> list[Round]:
    """The rounds of a run's steps, in order; `cards` are those of the steps that are done, by name."""
    rounds: dict[int, Round] = {}
    for step in steps:
        if not (named := re.match(r"round-(\d+)-", step["name"])):
            continue
        own = rounds.setdefault(int(named[1]), Round(int(named[1])))
        if step["name"] not in cards:
            own.whole = False
            continue
        _add(own, step["marks"], cards[step["name"]])
    return [rounds[number] for number in sorted(rounds)]


def _add(own: Round, marks: Mapping[str, Any], card: Mapping[str, Any]) -> None:
    own.seconds += card["seconds"]
    if marks["role"] == "answers":
        own.answers += card["rows"]
        own.tokens += card["spent"]["tokens_out"]
        own.writing += card["seconds"]
    elif marks["role"] == "scores":
        own.judging += card["seconds"]
    elif marks["trains"]:
        own.training += card["seconds"]

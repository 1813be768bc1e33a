"""Prompts of scorers: a text to continue, with placeholders for a prompt and a response, and the numbers that may follow.

A scorer is trained on one wording and works with no other, so its folder has it (`scorer.json`). The wordings here end with a
line break, because tokenizers do not merge a number with a line break before it. A user's own wording is a file.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attar.core.errors import DataError, RecipeError, did_you_mean

FILE = "scorer.json"
LABELS = (1, 2, 3, 4, 5, 6)
WORDINGS = {
    "complexity": "An instruction:\n{prompt}\n\nHow complex is it, as a number?\n",
    "quality": "An instruction:\n{prompt}\n\nAn answer to it:\n{response}\n\nHow good is the answer, as a number?\n",
    "rating": (
        "Somebody asked an assistant:\n{prompt}\n\nThe assistant answered:\n{response}\n\n"
        "How good is this answer? Look at whether it helps the person, keeps to what was asked, states nothing false, goes "
        "deep enough, brings ideas where ideas are wanted, and leaves out no detail that matters.\n"
        "0 is of no use at all, 1 extremely poor, 2 very poor, 3 poor, 4 somewhat below average, 5 average, 6 satisfactory, "
        "7 good, 8 very good, 9 excellent, 10 such that nobody could ask for more.\n"
        "The number from 0 to 10:\n"
    ),
}
"""The built-in wordings, by what is scored."""
NUMBERS = {"rating": tuple(range(11))}
"""The numbers of built-in questions that do not use `LABELS`."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the numbers that may answer it."""

    what: str
    wording: str
    numbers: tuple[int, ...] = LABELS

    @property
    def labels(self) -> tuple[str, ...]:
        """The numbers as text."""
        return tuple(map(str, self.numbers))

    @property
    def on_response(self) -> bool:
        """True if the question is about a response, not only a prompt."""
        return "{response}" in self.wording

    def about(self, prompt: str, response: str) -> str:
        """The text that a scorer continues."""
        before, _, behind = self.wording.partition("{prompt}")  # so that a text with braces is not taken for a placeholder
        if "{response}" in before:
            return before.replace("{response}", response) + prompt + behind
        return before + prompt + behind.replace("{response}", response)


def resolve_question(what: str, wording: str | None = None, numbers: Sequence[int] | None = None) -> Question:
    """The question of a run file: `wording` is a built-in name, a file, or the text; by default the one named `what`."""
    numbers = NUMBERS.get(what, LABELS) if numbers is None else numbers
    distinct = tuple(dict.fromkeys(numbers))
    if len(distinct) < 2 or len(distinct) < len(numbers) or not all(type(number) is int for number in numbers):
        raise RecipeError(f"labels {list(numbers)}: a scorer needs two whole numbers or more, each once")
    if wording is None and what not in WORDINGS:
        hint = did_you_mean(what, WORDINGS)
        raise RecipeError(f"there is no question of ours on {what!r} ({hint}): name a file that asks it with 'question'")
    return Question(what, question_text(wording or what), distinct)


def question_text(named: str) -> str:
    """The text of a question, by name, from a file, or as it is; recipes pass on the text, so that steps depend on it."""
    if named in WORDINGS:
        return WORDINGS[named]
    text = named if "{prompt}" in named else _read_question_file(Path(named).expanduser())
    if text.count("{prompt}") != 1 or text.count("{response}") > 1:
        raise DataError(f"{named} is not a question: it needs {{prompt}} once, and may have {{response}} once")
    return text


def _read_question_file(file: Path) -> str:
    if not file.is_file():
        raise RecipeError(f"question {str(file)!r} is no file and none of ours: {', '.join(WORDINGS)}")
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n")  # the one that editors put at the end of a file
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is no text in UTF-8") from error


def write_question(folder: Path, asked: Question, counts: dict[str, int]) -> None:
    """Write a scorer's question beside its weights, with the number of rows that it was trained on."""
    record = {"what": asked.what, "question": asked.wording, "labels": asked.numbers, "rows": counts}
    (folder / FILE).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_question(folder: Path) -> Question | None:
    """The prompt of the scorer in a folder; None if it has none of Attar's."""
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        record: Any = json.loads(file.read_text(encoding="utf-8"))
        what, wording, numbers = record["what"], record["question"], record["labels"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is damaged: it has no what, question and labels") from error
    if not isinstance(wording, str) or "{prompt}" not in wording or not isinstance(numbers, list):
        raise DataError(f"{file} is damaged: its question has no place for a prompt")
    return Question(str(what), wording, tuple(map(int, numbers)))

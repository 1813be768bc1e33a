"""What a scorer is asked: a text to go on from, with places for a prompt and a response, and the numbers that may follow.

A scorer is trained on one wording and understands no other, so its folder keeps it (`scorer.json`). The wordings here end with
a line break, behind which tokenizers do not join a number to anything. A wording of one's own is a file.
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
"""Our own, by what is scored."""
NUMBERS = {"rating": tuple(range(11))}
"""Where a question of ours is answered by other numbers than `LABELS`."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question and the numbers that answer it."""

    what: str
    wording: str
    numbers: tuple[int, ...] = LABELS

    @property
    def labels(self) -> tuple[str, ...]:
        """The numbers as they are written."""
        return tuple(map(str, self.numbers))

    @property
    def on_response(self) -> bool:
        """Whether it is about a response too."""
        return "{response}" in self.wording

    def about(self, prompt: str, response: str) -> str:
        """The text that a scorer goes on from."""
        before, _, behind = self.wording.partition("{prompt}")  # so that a text with braces in it is not taken for a place
        if "{response}" in before:
            return before.replace("{response}", response) + prompt + behind
        return before + prompt + behind.replace("{response}", response)


def resolve_question(what: str, wording: str | None = None, numbers: Sequence[int] | None = None) -> Question:
    """The question that a run file names: `wording` is one of ours by name, a file, or the text; without it, ours on `what`."""
    numbers = NUMBERS.get(what, LABELS) if numbers is None else numbers
    distinct = tuple(dict.fromkeys(numbers))
    if len(distinct) < 2 or len(distinct) < len(numbers) or not all(type(number) is int for number in numbers):
        raise RecipeError(f"labels {list(numbers)}: a scorer needs two whole numbers or more, each once")
    if wording is None and what not in WORDINGS:
        hint = did_you_mean(what, WORDINGS)
        raise RecipeError(f"there is no question of ours on {what!r} ({hint}): name a file that asks it with 'question'")
    return Question(what, question_text(wording or what), distinct)


def question_text(named: str) -> str:
    """The text of a question: for a recipe to hand on in a file's place, so that its steps follow what stands in the file."""
    if named in WORDINGS:
        return WORDINGS[named]
    text = named if "{prompt}" in named else _read_question_file(Path(named).expanduser())
    if text.count("{prompt}") != 1 or text.count("{response}") > 1:
        raise DataError(f"{named} is no question: it needs {{prompt}} once, and may have {{response}} once")
    return text


def _read_question_file(file: Path) -> str:
    if not file.is_file():
        raise RecipeError(f"question {str(file)!r} is no file and none of ours: {', '.join(WORDINGS)}")
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n")  # the one that editors put at the end of a file
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is no text in UTF-8") from error


def write_question(folder: Path, asked: Question, counts: dict[str, int]) -> None:
    """Write beside a scorer's weights what it is asked, and of how many rows it was made."""
    said = {"what": asked.what, "question": asked.wording, "labels": asked.numbers, "rows": counts}
    (folder / FILE).write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_question(folder: Path) -> Question | None:
    """What the scorer in a folder is asked; None where no scorer of ours lies there."""
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        said: Any = json.loads(file.read_text(encoding="utf-8"))
        what, wording, numbers = said["what"], said["question"], said["labels"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is damaged: it has no what, question and labels") from error
    if not isinstance(wording, str) or "{prompt}" not in wording or not isinstance(numbers, list):
        raise DataError(f"{file} is damaged: its question has no place for a prompt")
    return Question(str(what), wording, tuple(map(int, numbers)))

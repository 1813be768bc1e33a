"""The truth of the pocket world: is a response right, how nearly, and what would a plausible wrong one look like."""

from random import Random

from attar.pocket.lexicon import WORDS
from attar.pocket.speech import respond
from attar.pocket.tasks import Task, answer

_STATEMENT = "The answer is "


def stated_answer(response: str) -> str | None:
    """The answer that a response states last, or None."""
    _, found, tail = response.rpartition(_STATEMENT)
    tail = tail.strip()
    return tail[:-1] if found and tail.endswith(".") else None


def is_right(task: Task, response: str) -> bool:
    """Whether a response states the task's one true answer."""
    return stated_answer(response) == answer(task)


def grade(task: Task, response: str) -> int:
    """1 no answer, 2 wrong, 3 half right, 4 nearly right, 5 right."""
    given = stated_answer(response)
    if given is None:
        return 1
    truth = answer(task)
    if given == truth:
        return 5
    there, wanted = given.split(), truth.split()
    same = sum(a == b for a, b in zip(there, wanted, strict=False)) / max(len(there), len(wanted))
    return 4 if same >= 0.75 else 3 if same >= 0.5 else 2


def corrupt(task: Task, rng: Random) -> str:
    """A response of the right shape whose answer is wrong."""
    truth = answer(task)
    while True:
        parts = truth.split()
        place = rng.randrange(len(parts))
        match rng.randrange(3):
            case 0 if len(parts) > 2:
                del parts[place]
            case 1 if len(parts) > 1:
                other = rng.randrange(len(parts))
                parts[place], parts[other] = parts[other], parts[place]
            case _:
                parts[place] = _replacement(parts[place], task, rng)
        if (wrong := " ".join(parts)) != truth:
            return respond(task, wrong)


def _replacement(part: str, task: Task, rng: Random) -> str:
    """Something else of the same kind: a number near by, or a word (of the task, most often)."""
    if part.isdigit():
        place = rng.randrange(len(part))
        changed = part[:place] + rng.choice("0123456789") + part[place + 1 :]
        return str(int(changed))
    word = rng.choice(task.words if task.words and rng.random() < 0.7 else WORDS)
    return word.upper() if part.isupper() else word

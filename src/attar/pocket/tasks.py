"""Tasks of the pocket world: fifteen families, three levels, one true answer each.

A task is plain data. `make` draws one, `answer` and `work` solve it, `level` says how hard it is, and `held_out` puts a fixed
tenth of all tasks aside by their own hash, so that no generator can leak a test task into training.
"""

import hashlib
from dataclasses import dataclass
from random import Random

from attar.pocket.lexicon import FACTS, GROUP_OF, GROUPS, KEYS, LAND_OF, ORDINALS, WORDS

CATEGORY = {
    **dict.fromkeys(("repeat", "reverse", "upper", "remove", "sort", "times"), "editing"),
    **dict.fromkeys(("nth", "after", "odd"), "reasoning"),
    **dict.fromkeys(("largest", "order", "count", "add", "subtract"), "math"),
    "fact": "information seeking",
}
FAMILIES: tuple[str, ...] = tuple(CATEGORY)


@dataclass(frozen=True, slots=True)
class Task:
    """One task; fields that its family does not use stay empty."""

    family: str
    words: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    word: str = ""
    ordinal: str = ""
    keys: tuple[str, ...] = ()
    land: str = ""
    capital: str = ""


# Lengths of the list (or the number itself) by level; level() reads the upper ends back.
_SIZES: dict[str, tuple[range, range, range]] = {
    "repeat": (range(2, 5), range(5, 8), range(8, 13)),
    "reverse": (range(2, 4), range(4, 6), range(6, 9)),
    "upper": (range(2, 5), range(5, 8), range(8, 13)),
    "remove": (range(3, 5), range(5, 8), range(8, 12)),
    "sort": (range(2, 4), range(4, 6), range(6, 9)),
    "times": (range(2, 4), range(4, 7), range(7, 13)),
    "nth": (range(3, 4), range(4, 6), range(6, 9)),
    "after": (range(3, 5), range(5, 8), range(8, 11)),
    "odd": (range(3, 4), range(4, 6), range(6, 9)),
    "largest": (range(3, 4), range(4, 5), range(5, 7)),
    "order": (range(2, 4), range(4, 5), range(5, 7)),
    "count": (range(3, 6), range(6, 9), range(9, 13)),
    "add": (range(1, 3), range(3, 4), range(4, 5)),
    "subtract": (range(1, 3), range(3, 4), range(4, 5)),
}


def level(task: Task) -> int:
    """How hard a task is: 1, 2 or 3."""
    if task.family == "fact":
        return 3 if task.capital else min(len(task.keys), 2)
    if task.family in ("add", "subtract"):
        size = len(str(max(task.numbers)))
    elif task.family == "times":
        size = task.numbers[0]
    else:
        size = len(task.words or task.numbers)
    easy, medium, _ = _SIZES[task.family]
    return 1 if size < easy.stop else 2 if size < medium.stop else 3


def make_task(family: str, hardness: int, rng: Random, pool: tuple[str, ...] = WORDS) -> Task:
    """Draw a task of a family and a level; `pool` are the words it prefers."""
    if family == "fact":
        return _make_fact(hardness, rng)
    size = rng.choice(_SIZES[family][hardness - 1])
    if family in ("add", "subtract", "largest", "order"):
        return _make_numbers(family, size, rng)
    if family == "times":
        return Task(family, word=rng.choice(pool), numbers=(size,))
    if family == "odd":
        return _make_odd(size, rng)
    words = _draw_words(size, rng, pool)
    if family == "nth":
        place = rng.randrange(size)
        return Task(family, words=words, ordinal="last" if place == size - 1 else ORDINALS[place])
    if family == "after":
        return Task(family, words=words, word=rng.choice(words[:-1]))
    if family == "remove":
        return Task(family, words=words, word=rng.choice(words))
    if family == "count":
        return _make_count(words, rng)
    return Task(family, words=words)


def _draw_words(size: int, rng: Random, pool: tuple[str, ...]) -> tuple[str, ...]:
    """Distinct words, those of the pool first when it is large enough."""
    return tuple(rng.sample(pool if len(pool) >= size else WORDS, size))


def _make_fact(hardness: int, rng: Random) -> Task:
    land = rng.choice(tuple(FACTS))
    if hardness < 3:
        return Task("fact", keys=tuple(rng.sample(KEYS, hardness)), land=land)
    return Task("fact", keys=tuple(rng.sample(KEYS[1:], rng.choice((1, 2)))), capital=FACTS[land]["capital"])


def _make_numbers(family: str, size: int, rng: Random) -> Task:
    if family in ("add", "subtract"):
        large = rng.randrange(10 ** (size - 1) if size > 1 else 0, 10**size)
        small = rng.randrange(large + 1) if rng.random() < 0.3 else rng.randrange(min(10 ** (size - 1), large), large + 1)
        pair = (large, small) if family == "subtract" or rng.random() < 0.5 else (small, large)
        return Task(family, numbers=pair)
    return Task(family, numbers=tuple(rng.sample(range(1000 if family == "largest" and size > 3 else 100), size)))


def _make_odd(size: int, rng: Random) -> Task:
    group = rng.choice(tuple(GROUPS))
    stranger = rng.choice([word for word in WORDS if GROUP_OF[word] != group])
    words = [*rng.sample(GROUPS[group], size - 1), stranger]
    rng.shuffle(words)
    return Task("odd", words=tuple(words))


def _make_count(words: tuple[str, ...], rng: Random) -> Task:
    word, times = words[0], rng.randint(1, min(5, len(words) - 1))
    listed = [word] * times + list(words[times:])
    rng.shuffle(listed)
    return Task("count", words=tuple(listed), word=word)


def is_valid(task: Task) -> bool:
    """Whether the task has exactly one answer, and asks for something that is there."""
    words = task.words
    match task.family:
        case "after":
            return words.count(task.word) == 1 and words[-1] != task.word
        case "remove":
            return 0 < words.count(task.word) < len(words)
        case "nth":
            return task.ordinal == "last" or ORDINALS.index(task.ordinal) < len(words)
        case "odd":
            groups = [GROUP_OF[word] for word in words]
            return len(words) > 2 and len(set(groups)) == 2 and 1 in (groups.count(group) for group in set(groups))
        case "subtract":
            return task.numbers[0] >= task.numbers[1]
        case "fact":
            return len(set(task.keys)) == len(task.keys) and not (task.capital and "capital" in task.keys)
        case _:
            return True


def answer(task: Task) -> str:
    """The one true answer of a valid task."""
    words, numbers = task.words, task.numbers
    match task.family:
        case "repeat":
            return " ".join(words)
        case "reverse":
            return " ".join(reversed(words))
        case "upper":
            return " ".join(words).upper()
        case "remove":
            return " ".join(word for word in words if word != task.word)
        case "sort":
            return " ".join(sorted(words))
        case "times":
            return " ".join([task.word] * numbers[0])
        case "nth":
            return words[-1] if task.ordinal == "last" else words[ORDINALS.index(task.ordinal)]
        case "after":
            return words[words.index(task.word) + 1]
        case "odd":
            groups = [GROUP_OF[word] for word in words]
            return next(word for word, group in zip(words, groups, strict=True) if groups.count(group) == 1)
        case _:
            return _compute(task)


def _compute(task: Task) -> str:
    numbers = task.numbers
    match task.family:
        case "largest":
            return str(max(numbers))
        case "order":
            return " ".join(map(str, sorted(numbers)))
        case "count":
            return str(task.words.count(task.word))
        case "add":
            return str(numbers[0] + numbers[1])
        case "subtract":
            return str(numbers[0] - numbers[1])
        case _:
            land = task.land or LAND_OF[task.capital]
            return " and ".join(FACTS[land][key] for key in task.keys)


def work(task: Task) -> str:
    """The worked steps that lead to the answer, where a family has any."""
    match task.family:
        case "add" | "subtract":
            return _columns(task)
        case "count":
            return " ".join(f"{word} {task.words[: i + 1].count(task.word)}" for i, word in enumerate(task.words))
        case "times":
            return " ".join(f"{i} {task.word}" for i in range(1, task.numbers[0] + 1))
        case "fact" if task.capital:
            return f"{task.capital} is the capital of {LAND_OF[task.capital]}"
        case "odd":
            return " ".join(f"{word} {GROUP_OF[word]}" for word in task.words)
        case _:
            return ""


def _columns(task: Task) -> str:
    """Addition or subtraction by columns from the right, each with its carry."""
    sign = 1 if task.family == "add" else -1
    width = max(len(str(number)) for number in task.numbers)
    upper, lower = (str(number).zfill(width)[::-1] for number in task.numbers)
    carry, steps = 0, []
    for top, bottom in zip(upper, lower, strict=True):
        total = int(top) + sign * (int(bottom) + carry)
        mark, shown = ("+", total) if sign > 0 else ("-", total % 10)
        steps.append(f"{top} {mark} {bottom} {mark} {carry} = {shown}")
        carry = total // 10 if sign > 0 else int(total < 0)
        if carry and sign < 0:
            steps[-1] += " borrow"
    return "; ".join(steps)


def held_out(task: Task) -> bool:
    """True for the fixed tenth of all tasks that no training text may contain."""
    return hashlib.blake2b(repr(task).encode(), digest_size=4).digest()[0] % 10 == 0


def draw_task(rng: Random, *, families: tuple[str, ...] = FAMILIES, held: bool = False) -> Task:
    """A task of any family and level, from the training side or the held-out side."""
    while True:
        task = make_task(rng.choice(families), rng.choice((1, 2, 3)), rng)
        if held_out(task) == held:
            return task

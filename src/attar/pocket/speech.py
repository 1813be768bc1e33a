"""How the pocket world talks: instructions in several phrasings, responses that show their work, and the exact way back."""

import re
from random import Random

from attar.pocket.lexicon import FACTS, KEYS, LAND_OF, ORDINALS, WORDS
from attar.pocket.tasks import Task, answer, is_valid, work

GREETINGS = ("", "Please help me. ", "Hello! ", "Quick question: ")

PHRASINGS: dict[str, tuple[str, ...]] = {
    "repeat": ("Repeat these words: {words}.", "Copy this list: {words}.", "Say the words {words} again."),
    "reverse": (
        "Reverse this list: {words}.",
        "Write these words backwards: {words}.",
        "Give the list {words} in reverse order.",
    ),
    "upper": ("Write in capital letters: {words}.", "Make these words upper case: {words}.", "Convert to upper case: {words}."),
    "remove": (
        "Remove {word} from this list: {words}.",
        "Write this list without {word}: {words}.",
        "Drop {word} from: {words}.",
    ),
    "sort": (
        "Sort these words alphabetically: {words}.",
        "Put in alphabetical order: {words}.",
        "Can you sort {words} from A to Z?",
    ),
    "times": ("Say the word {word} {n} times.", "Write {word} {n} times.", "Repeat {word} {n} times."),
    "nth": (
        "What is the {ordinal} word in this list: {words}?",
        "Give me the {ordinal} word of: {words}.",
        "Find the {ordinal} word: {words}.",
    ),
    "after": (
        "Which word comes after {word} in this list: {words}?",
        "What follows {word} here: {words}?",
        "Find the word right after {word}: {words}.",
    ),
    "odd": (
        "Which word does not belong: {words}?",
        "Find the odd one out: {words}.",
        "Which of these is different from the others: {words}?",
    ),
    "largest": (
        "Which number is the largest: {numbers}?",
        "Find the largest number: {numbers}.",
        "Give me the maximum of {numbers}.",
    ),
    "order": (
        "Sort these numbers: {numbers}.",
        "Put in increasing order: {numbers}.",
        "Order from smallest to largest: {numbers}.",
    ),
    "count": (
        "How many times does {word} appear in this list: {words}?",
        "Count the word {word} in: {words}.",
        "How often do you see {word} here: {words}?",
    ),
    "add": (
        "What is {a} + {b}?",
        "Add {a} and {b}.",
        "Calculate {a} plus {b}.",
        "I have {a} coins and get {b} more. How many coins do I have?",
    ),
    "subtract": (
        "What is {a} - {b}?",
        "Subtract {b} from {a}.",
        "Calculate {a} minus {b}.",
        "I had {a} coins and spent {b}. How many coins are left?",
    ),
    "fact": (
        "What is the {keys} of {subject}?",
        "Tell me the {keys} of {subject}.",
        "I am going to {subject}. What is its {keys}?",
    ),
}

_BY_CAPITAL = "the land with capital "
_NUMBER = r"(?:0|[1-9]\d{0,3})"
_WORD = f"(?:{'|'.join(WORDS)})"
_KEY = f"(?:{'|'.join(KEYS)})"
_SLOTS = {
    "words": rf"(?P<words>{_WORD}(?: {_WORD})+)",
    "word": rf"(?P<word>{_WORD})",
    "numbers": rf"(?P<numbers>{_NUMBER}(?: {_NUMBER})+)",
    "n": r"(?P<n>[2-9]|1[0-2])",
    "a": rf"(?P<a>{_NUMBER})",
    "b": rf"(?P<b>{_NUMBER})",
    "ordinal": f"(?P<ordinal>{'|'.join(ORDINALS)}|last)",
    "keys": rf"(?P<keys>{_KEY}(?: and {_KEY})*)",
    "subject": rf"(?:(?P<land>{'|'.join(FACTS)})|{_BY_CAPITAL}(?P<capital>{'|'.join(LAND_OF)}))",
}


def _pattern(phrasing: str) -> re.Pattern[str]:
    body = re.sub(r"\\{(\w+)\\}", lambda slot: _SLOTS[slot[1]], re.escape(phrasing))
    greeting = "|".join(re.escape(text) for text in GREETINGS if text)
    return re.compile(f"(?:{greeting})?{body}")


_PATTERNS = [(family, _pattern(text)) for family, texts in PHRASINGS.items() for text in texts]


def instruct(task: Task, rng: Random) -> str:
    """Put a task into words, in one of its family's phrasings."""
    slots = {
        "words": " ".join(task.words),
        "numbers": " ".join(map(str, task.numbers)),
        "word": task.word,
        "ordinal": task.ordinal,
        "keys": " and ".join(task.keys),
        "subject": task.land or _BY_CAPITAL + task.capital,
        "n": task.numbers[0] if task.numbers else "",
        "a": task.numbers[0] if task.numbers else "",
        "b": task.numbers[-1] if task.numbers else "",
    }
    return rng.choice(GREETINGS if rng.random() < 0.4 else ("",)) + rng.choice(PHRASINGS[task.family]).format(**slots)


def parse(instruction: str) -> Task | None:
    """The task that an instruction states, or None if it states none that has an answer."""
    for family, pattern in _PATTERNS:
        if match := pattern.fullmatch(instruction.strip()):
            task = _read(family, {slot: text for slot, text in match.groupdict().items() if text})
            return task if is_valid(task) else None
    return None


def _read(family: str, slots: dict[str, str]) -> Task:
    numbers = slots.get("numbers", " ".join(slots[slot] for slot in ("n", "a", "b") if slot in slots))
    return Task(
        family,
        words=tuple(slots.get("words", "").split()),
        numbers=tuple(int(number) for number in numbers.split()),
        word=slots.get("word", ""),
        ordinal=slots.get("ordinal", ""),
        keys=tuple(slots["keys"].split(" and ")) if "keys" in slots else (),
        land=slots.get("land", ""),
        capital=slots.get("capital", ""),
    )


def respond(task: Task, result: str | None = None) -> str:
    """A full response: the work, then the answer (or `result` in its place)."""
    steps = work(task)
    return f"{steps + '. ' if steps else ''}The answer is {answer(task) if result is None else result}."

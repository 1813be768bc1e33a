"""Questions with constraints, drawn by a seed: an exam in following instructions that needs no file.

One constraint is easy, two are medium, three are hard. The constraints of a question do not exclude each other, and its prompt
says every number and word that is checked. They are not IFEval's questions, and figures of the two do not compare.
"""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import polars as pl

from attar.core.errors import RecipeError
from attar.core.fingerprint import seed_of
from attar.core.stage import role
from attar.core.table import COLUMNS, Table, turns

Demand = tuple[str, dict[str, Any]]
"""How a constraint is put, and the constraint."""

LEVELS = ("easy", "medium", "hard")
_REQUESTS = (
    "Explain to a beginner how {} work.",
    "Write a short text for a leaflet about {}.",
    "Give advice to somebody who thinks about {} for the first time.",
    "Describe what is good and what is bad about {}.",
    "Write a letter to a friend about {}.",
    "Tell a little story in which {} play a part.",
)
_SUBJECTS = (
    *("bicycles", "libraries", "night trains", "vegetable gardens", "public baths", "chess clubs", "bakeries", "lighthouses"),
    *("second-hand shops", "beehives", "electric cars", "school plays", "mountain huts", "old maps", "street musicians"),
    *("weather forecasts", "telescopes", "farm markets", "puppet theatres", "canal boats", "herb teas", "repair cafes"),
)
_WORDS = (
    "patience",
    "morning",
    "corner",
    "silver",
    "promise",
    "window",
    "careful",
    "distance",
    "neighbour",
    "honest",
    "winter",
)
_OVERUSED_WORDS = ("very", "really", "important", "great", "amazing", "thing", "simply", "many")
_PHRASES = ("That is all for today.", "More on this another time.", "Let me know what you think.")


def _words(rng: Random) -> Demand:
    if rng.random() < 0.5:
        least = rng.randrange(80, 301, 20)
        return f"Use at least {least} words.", {"kind": "words", "least": least}
    most = rng.randrange(50, 121, 10)
    return f"Use no more than {most} words.", {"kind": "words", "most": most}


def _sentences(rng: Random) -> Demand:
    if rng.random() < 0.5:
        least = rng.randrange(6, 13)
        return f"Write {least} sentences or more.", {"kind": "sentences", "least": least}
    most = rng.randrange(5, 9)
    return f"Write {most} sentences at the very most.", {"kind": "sentences", "most": most}


def _paragraphs(rng: Random) -> Demand:
    count = rng.randrange(2, 5)
    asked = f"Make it exactly {count} paragraphs, with a line that holds only *** between one and the next."
    return asked, {"kind": "paragraphs", "least": count, "most": count}


def _bullets(rng: Random) -> Demand:
    count = rng.randrange(2, 7)
    asked = f"There must be exactly {count} bullet points, each on a line that begins with an asterisk and a space."
    return asked, {"kind": "bullets", "least": count, "most": count}


def _sections(rng: Random) -> Demand:
    count, mark = rng.randrange(2, 5), rng.choice(("Part", "Chapter", "Step"))
    asked = f"Divide it into at least {count} parts, headed {mark} 1, {mark} 2, and so on."
    return asked, {"kind": "sections", "mark": mark, "least": count}


def _highlights(rng: Random) -> Demand:
    count = rng.randrange(2, 6)
    asked = f"Set at least {count} passages in *italics*, by an asterisk before and one behind each."
    return asked, {"kind": "highlights", "least": count}


def _two_answers(rng: Random) -> Demand:
    asked = "Give two different versions, and put ****** between them and nowhere else."
    return asked, {"kind": "two_answers", "between": "******"}


def _placeholders(rng: Random) -> Demand:
    count = rng.randrange(2, 6)
    asked = f"Leave at least {count} blanks to be filled in, each named in square brackets, like [date]."
    return asked, {"kind": "placeholders", "least": count}


def _capitals(rng: Random) -> Demand:
    return "Write in capital letters only.", {"kind": "capitals"}


def _lowercase(rng: Random) -> Demand:
    return "Write without a single capital letter.", {"kind": "lowercase"}


def _capital_words(rng: Random) -> Demand:
    least = rng.randrange(3, 9)
    return f"Put at least {least} words entirely in capital letters.", {"kind": "capital_words", "least": least}


def _title(rng: Random) -> Demand:
    return "Give it a title in double angular brackets, <<like this>>.", {"kind": "title"}


def _postscript(rng: Random) -> Demand:
    return "Close with a postscript that begins with P.S.", {"kind": "postscript", "mark": "P.S."}


def _ends(rng: Random) -> Demand:
    phrase = rng.choice(_PHRASES)
    return f'The last words must be "{phrase}", with nothing behind them.', {"kind": "ends", "phrase": phrase}


def _in_quotes(rng: Random) -> Demand:
    return "Put the whole answer in double quotation marks.", {"kind": "quoted"}


def _includes(rng: Random) -> Demand:
    words = rng.sample(_WORDS, 2)
    return f"Use the words {words[0]} and {words[1]}.", {"kind": "includes", "words": words}


def _excludes(rng: Random) -> Demand:
    words = rng.sample(_OVERUSED_WORDS, 2)
    return f"Do without the words {words[0]} and {words[1]}.", {"kind": "excludes", "words": words}


def _word(rng: Random) -> Demand:
    least, word = rng.randrange(2, 5), rng.choice(_WORDS)
    return f"Use the word {word} at least {least} times.", {"kind": "word", "word": word, "least": least}


def _letter(rng: Random) -> Demand:
    least, letter = rng.randrange(3, 9), rng.choice("kvwyj")
    asked = f"The letter {letter} must occur {least} times or more."
    return asked, {"kind": "letter", "letter": letter, "least": least}


def _no_comma(rng: Random) -> Demand:
    return "Use no commas.", {"kind": "no_comma"}


_GROUPS: tuple[tuple[Callable[[Random], Demand], ...], ...] = (
    (_words, _sentences),
    (_paragraphs, _bullets, _sections, _highlights, _two_answers, _placeholders),
    (_capitals, _lowercase, _capital_words),
    (_title, _postscript, _ends, _in_quotes),
    (_includes, _excludes, _word, _letter, _no_comma),
)
"""Of each group a question has one at most: the others of it might exclude that one."""
_CASES = {"capitals", "lowercase"}
_EXCLUSIONS = {"sections": _CASES}
"""A heading has its own capital letter."""


@role("exam")
def tasks(*, count: int = 300, seed: int = 0) -> Table:
    """() -> id, question, prompt, messages, level, constraints: distinct questions, of each level alike."""
    prompts: dict[str, tuple[str, list[dict[str, Any]]]] = {}
    for number in range(20 * count):
        if len(prompts) == count:
            break
        level = len(prompts) % len(LEVELS)
        prompt, demands = _task(Random(seed_of("constraint_tasks", seed, number)), level + 1)
        prompts.setdefault(prompt, (LEVELS[level], demands))
    else:
        if len(prompts) < count:
            raise RecipeError(f"{count} different questions are too many: there are {len(prompts)} by this seed")
    names = [f"demands{seed}-{i:05d}" for i in range(count)]
    return pl.DataFrame(
        {
            "id": names,
            "question": names,
            "prompt": list(prompts),
            "messages": pl.Series([turns(("user", prompt)) for prompt in prompts], dtype=COLUMNS["messages"]),
            "level": [level for level, _ in prompts.values()],
            "constraints": [json.dumps(demands) for _, demands in prompts.values()],
        }
    )


def _task(rng: Random, count: int) -> tuple[str, list[dict[str, Any]]]:
    """A request with `count` constraints."""
    asked = rng.choice(_REQUESTS).format(rng.choice(_SUBJECTS))
    while True:
        drawn = [rng.choice(group)(rng) for group in rng.sample(_GROUPS, count)]
        kinds = {demand["kind"] for _, demand in drawn}
        if not any(kind in kinds and kinds & others for kind, others in _EXCLUSIONS.items()):
            return " ".join([asked, *(said for said, _ in drawn)]), [demand for _, demand in drawn]

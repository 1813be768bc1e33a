"""The filters of the released sets, by name: each a rule over columns, and by what the rows that pass are ranked.

`attar filters` prints them; a run file's `rule` or `by` takes the place of a filter's own.
"""

from dataclasses import dataclass

from attar.core.errors import RecipeError, did_you_mean

_NEW = "repeat_of IS NULL AND NOT ends_with(prompt, ':')"
_FAIR = "quality IN ('average', 'good', 'excellent')"
_GOOD = "quality IN ('good', 'excellent')"
_EASY = "difficulty IN ('very easy', 'easy')"
_HARDER = "difficulty IN ('medium', 'hard', 'very hard')"
_NOT_TRIVIAL = "difficulty IN ('easy', 'medium', 'hard', 'very hard')"
_SOUND = "reward > -12"
_BETTER = "reward > base_reward"
LONGEST = "response_chars"


@dataclass(frozen=True, slots=True)
class Filter:
    """A rule that rows must pass, what the best of them are ranked by (nothing: any), in how many strata, and how many."""

    rule: str
    by: str | None
    size: int
    about: str
    per: str | None = None
    """An expression whose values share the number to keep evenly."""


def _all(*rules: str) -> str:
    return " AND ".join(rules)


FILTERS: dict[str, Filter] = {
    "air": Filter(_all(_NEW, _GOOD, _HARDER, _BETTER), LONGEST, 300_000, "Magpie-Air: of 3M draws"),
    "pro": Filter(_all(_NEW, _FAIR, _SOUND), LONGEST, 300_000, "Magpie-Pro (F1): of 1M draws"),
    "f2": Filter(_all(_NEW, _GOOD, _NOT_TRIVIAL, _SOUND), LONGEST, 300_000, "Magpie's F2"),
    "f3": Filter(_all(_NEW, _SOUND), LONGEST, 300_000, "Magpie's F3: asks no judge"),
    "f4": Filter(_all(_NEW, _GOOD, _NOT_TRIVIAL, _BETTER), LONGEST, 300_000, "Magpie's F4"),
    "f5": Filter(_all(_NEW, _GOOD, _NOT_TRIVIAL, _SOUND), None, 338_000, "Magpie's F5: as F2, but any rows, not the longest"),
    "f6": Filter(_all(_NEW, _SOUND), LONGEST, 200_000, "Magpie's F6: half easy, half harder", per=_EASY),
    "pika-sft": Filter("reward IS NOT NULL", None, 30_000, "PiKa: the best answer of each prompt, all prompts"),
    "pika-dpo": Filter("unfit IS NULL", None, 30_000, "PiKa: the best and the worst answer of each prompt"),
    "pocket": Filter("repeat_of IS NULL AND quality = 'good' AND reward > 0", None, 1000, "for the pocket world's few tags"),
}


def preset(name: str) -> Filter:
    """A filter by its name."""
    if name not in FILTERS:
        raise RecipeError(f"there is no filter {name!r}; {did_you_mean(name, FILTERS)}")
    return FILTERS[name]

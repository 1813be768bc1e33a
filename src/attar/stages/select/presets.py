"""The filters of the released sets, by name: each a rule over columns, and by what the rows that pass are ranked.

`attar filters` prints them; a run file's `rule` or `by` takes the place of a filter's own. A threshold on the reward belongs to
one reward model: `reward_model` names it.
"""

from dataclasses import dataclass

from attar.core.errors import RecipeError, did_you_mean

_NEW = "repeat_of IS NULL AND NOT ends_with(prompt, ':')"
_FAIR = "quality IN ('average', 'good', 'excellent')"
_GOOD = "quality IN ('good', 'excellent')"
_EASY = "difficulty IN ('very easy', 'easy')"
_HARDER = "difficulty IN ('medium', 'hard', 'very hard')"
_NOT_TRIVIAL = "difficulty IN ('easy', 'medium', 'hard', 'very hard')"
_BETTER = "reward > base_reward"
LONGEST = "response_chars"
MAGPIE_REWARDER = "FsfairX-LLaMA3-RM"
LOWEST_SHARE = 0.1
"""The share of rows, lowest by the score, that is dropped where a filter's threshold belongs to another reward model."""


@dataclass(frozen=True, slots=True)
class Filter:
    """The conditions that rows must meet, what the best of them are ranked by (nothing: any), per stratum, and how many."""

    conditions: tuple[str, ...]
    """What holds whichever model scores."""
    by: str | None
    size: int
    about: str
    per: str | None = None
    """An expression whose values share the number to keep evenly."""
    reward_above: float | None = None
    """The threshold on the reward; it means nothing on the scale of a model other than `reward_model`."""
    reward_model: str | None = None
    """A part of the name of the reward model that the threshold belongs to."""

    @property
    def rule(self) -> str:
        """The whole rule as released, with the threshold."""
        return all_of(*self.conditions, *([] if self.reward_above is None else [above(self.reward_above)]))

    def fits(self, model: str) -> bool:
        """True if the threshold belongs to the reward model of this name."""
        return self.reward_model is not None and self.reward_model.casefold() in model.casefold()


def all_of(*rules: str) -> str:
    """One rule that holds where all of these hold."""
    return " AND ".join(rules)


def above(threshold: float) -> str:
    """The rule that the reward is above a threshold."""
    return f"reward > {threshold:g}"


def _magpie(*conditions: str, by: str | None = LONGEST, size: int = 300_000, about: str, per: str | None = None) -> Filter:
    """A filter with the threshold of Magpie's sets from Llama-3 (for Qwen2's the authors took -10)."""
    return Filter(conditions, by, size, about, per, -12, MAGPIE_REWARDER)


FILTERS: dict[str, Filter] = {
    "air": Filter((_NEW, _GOOD, _HARDER, _BETTER), LONGEST, 300_000, "Magpie-Air: of 3M draws"),
    "pro": _magpie(_NEW, _FAIR, about="Magpie-Pro (F1): of 1M draws"),
    "f2": _magpie(_NEW, _GOOD, _NOT_TRIVIAL, about="Magpie's F2"),
    "f3": _magpie(_NEW, about="Magpie's F3: asks no judge"),
    "f4": Filter((_NEW, _GOOD, _NOT_TRIVIAL, _BETTER), LONGEST, 300_000, "Magpie's F4"),
    "f5": _magpie(_NEW, _GOOD, _NOT_TRIVIAL, by=None, size=338_000, about="Magpie's F5: as F2, but any rows, not the longest"),
    "f6": _magpie(_NEW, size=200_000, about="Magpie's F6: half easy, half harder", per=_EASY),
    "pika-sft": Filter(("reward IS NOT NULL",), None, 30_000, "PiKa: the best answer of each prompt, all prompts"),
    "pika-dpo": Filter(("unfit IS NULL",), None, 30_000, "PiKa: the best and the worst answer of each prompt"),
    "pocket": Filter(
        ("repeat_of IS NULL AND quality = 'good'",),
        None,
        1000,
        "for the pocket world's few tags",
        reward_above=0,
        reward_model="pocket:rewarder",
    ),
}


def preset(name: str) -> Filter:
    """A filter by its name."""
    if name not in FILTERS:
        raise RecipeError(f"there is no filter {name!r}; {did_you_mean(name, FILTERS)}")
    return FILTERS[name]

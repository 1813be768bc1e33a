"""How a hosted model is to think: what the run file sets, the longest thought, and what the model is known to be able to."""

from dataclasses import dataclass

from attar.core.errors import EngineError
from attar.engines.thinking import DEFAULT_BUDGET, Setting


@dataclass(frozen=True, slots=True)
class Thinking:
    """The setting for one engine's requests."""

    setting: Setting = "auto"
    tokens: int | None = None
    """The longest thought; None if the run file sets none."""
    ways: tuple[str, ...] | None = None
    """The kinds of thinking that the model has; none if it cannot think, None if that is unknown."""
    most: int | None = None
    """The most tokens of an answer and its thought together; None if they are unknown."""

    @property
    def turned_on(self) -> bool:
        """True if thoughts are asked for; raises if the model has none."""
        if self.setting == "on" and self.ways == ():
            raise EngineError("this model does not think: leave `thinking` out")
        return self.setting == "on"

    @property
    def turned_off(self) -> bool:
        """True if thoughts must be turned off; not for a model that has none, which may refuse the field."""
        return self.setting == "off" and self.ways != ()

    @property
    def budget(self) -> int:
        """The longest thought that is asked for."""
        return self.tokens or DEFAULT_BUDGET

    @property
    def allowance(self) -> int:
        """The tokens of a thought, which these APIs count in the limit of the answer."""
        if self.setting == "off":
            return 0
        return self.budget if self.setting == "on" else self.tokens or 0

    def limit(self, answer: int, unasked: int = 0) -> int:
        """The token limit of a call, for the answer and for its thought, which may come `unasked`."""
        limit = answer + max(self.allowance, unasked)
        if self.most is None:
            return limit
        if self.allowance >= self.most:
            raise EngineError(
                f"`thinking_tokens` of {self.allowance:,} leave no room for an answer: the model writes at most {self.most:,}"
            )
        return min(limit, self.most)

"""What a run tells while it runs."""

from typing import Any, Protocol

from attar.engines.journaling import Journaled
from attar.runtime.flow import Step


class Reporter(Protocol):
    """Receives the events of a run."""

    def begin(self, step: Step, total: int | None, already: int, engine: Journaled | None) -> None:
        """A step starts: its number of input rows, how many of them are already done, and its engine (for its status)."""
        ...

    def advance(self, done: int) -> None:
        """`done` more rows of the step are complete."""
        ...

    def end(self, step: Step, card: dict[str, Any], fresh: bool) -> None:
        """A step is complete; `fresh` if this run completed it."""
        ...

    def say(self, text: str) -> None:
        """A message for the user."""
        ...

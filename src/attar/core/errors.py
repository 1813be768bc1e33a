"""The errors that a user can meet. Each says what was wrong, where, and what to do; the command line prints it as one line."""

from collections.abc import Iterable
from difflib import get_close_matches


class AttarError(Exception):
    """Something that the user can put right: a file, a key, a column, an engine."""

    def place(self, where: str, after: str = "") -> None:
        """Say where it happened, before what it says, and perhaps more after it; whatever kind of error it is."""
        self.args = (f"{where}: {self}{after}",)


class DataError(AttarError):
    """A file or a table that is not what it should be."""


class RecipeError(AttarError):
    """A recipe, a run file or a knob that does not fit."""


class EngineError(AttarError):
    """An engine that cannot be opened, or cannot do what is asked of it."""


class ReplyError(AttarError):
    """Too many replies failed for a step to go on."""


class LimitError(AttarError):
    """A limit of the run is reached: it stopped cleanly, and can go on."""


class MissingExtraError(AttarError):
    """A library that comes with an extra is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed: run  pip install 'attar[{extra}]'")


def rebuild_error(kind: str, text: str) -> AttarError:
    """An error that another process met, as it was raised there."""
    error = AttarError.__new__(globals().get(kind, AttarError))
    error.args = (text,)
    return error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: the nearest known one, else all of them."""
    options = sorted(known)
    if near := get_close_matches(word, options, n=1):
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(options)}" if options else "there are none"

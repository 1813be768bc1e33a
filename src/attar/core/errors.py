"""The errors that users see. Each message has cause, place and remedy; the command line prints it as one line."""

from collections.abc import Iterable
from difflib import get_close_matches


class AttarError(Exception):
    """An error that the user can fix: in a file, a key, a column, an engine."""

    def place(self, where: str, after: str = "") -> None:
        """Put the place before the message, and optionally more text after it; works for every subclass."""
        self.args = (f"{where}: {self}{after}",)


class DataError(AttarError):
    """A file or a table that is damaged, missing, or has the wrong content."""


class RecipeError(AttarError):
    """A recipe, a run file or a knob that is not valid."""


class EngineError(AttarError):
    """An engine that cannot be opened, or does not support a request."""


class ReplyError(AttarError):
    """Too many replies failed for a step to go on."""


class LimitError(AttarError):
    """A limit of the run is reached: the run stopped cleanly and can be resumed."""


class MissingExtraError(AttarError):
    """An optional library is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed: run  pip install 'attar[{extra}]'")


def rebuild_error(kind: str, text: str) -> AttarError:
    """Rebuild an error that another process raised, from its class name and its message."""
    error = AttarError.__new__(globals().get(kind, AttarError))
    error.args = (text,)
    return error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: the nearest known word, or else all known words."""
    options = sorted(known)
    if near := get_close_matches(word, options, n=1):
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(options)}" if options else "there are none"

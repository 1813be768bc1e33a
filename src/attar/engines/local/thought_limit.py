"""Token limits of a text that may begin with a thought: the thought has a budget of its own, the answer the request's."""

from collections.abc import Callable, Sequence

from attar.chat.thoughts import Marks

_FIRST = 16
"""Tokens within which a model that thinks has opened its thought."""


class ThoughtLimit:
    """Follows one text as its tokens come."""

    def __init__(self, decode: Callable[[list[int]], str], marks: Sequence[Marks], opened: str, budget: int) -> None:
        self._decode = decode
        self._marks = marks
        self._opened = opened
        self._budget = budget
        self._reach = 2 + max(len(closing) for _, closing in marks)
        self._thinks = bool(opened)
        self._answer_at: int | None = None

    def is_reached(self, ids: list[int], most: int) -> bool:
        """True if the thought has used up its budget, or the answer has `most` tokens."""
        if len(ids) == 1:  # the text starts, or starts again
            self._thinks = bool(self._opened)
            self._answer_at = None
        if self._answer_at is None:
            self._look(ids)
        if self._answer_at is not None:
            return len(ids) - self._answer_at >= most
        return len(ids) >= (self._budget if self._thinks else most)

    def _look(self, ids: list[int]) -> None:
        """Find where the thought opens and where it ends."""
        if not self._thinks and len(ids) <= _FIRST:
            text = self._decode(ids).lstrip()
            self._thinks = any(text.startswith(opening) for opening, _ in self._marks)
        if self._thinks:
            end = self._decode(ids[-self._reach :])
            if any(closing in end for _, closing in self._marks):
                self._answer_at = len(ids)
        elif len(ids) > _FIRST:
            self._answer_at = 0

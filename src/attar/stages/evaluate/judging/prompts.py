"""Judge prompts: our own, or one from a file that the user names. Placeholders are filled in one pass.

Placeholders are {prompt}, {response}, {first} and so on, or the names that published prompts use; other braces stay. In our own
prompts a paragraph is left out if the row lacks its text, and {line} is a line of dashes longer than any in the row's texts, so
that no text can imitate the end of its block. Published prompts have fixed delimiters, which a text can imitate.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from attar.chat.templates import Message
from attar.core.errors import DataError, RecipeError
from attar.core.fingerprint import fingerprint

OURS = "ours"
_PLACE = re.compile(r"\{\$?(\w+)\}")
_PLACE_ALIASES = {
    **dict.fromkeys(("instruction", "question", "user_query"), "prompt"),
    **dict.fromkeys(("answer", "model_output", "output"), "response"),
    **dict.fromkeys(("output_1", "answer_a", "candidate_A"), "first"),
    **dict.fromkeys(("output_2", "answer_b", "candidate_B"), "second"),
}
"""Names of our placeholders in published prompts."""
_LAST_TURN_PLACES = {"question_2": "prompt", "answer_2": "response", "answer_a_2": "first", "answer_b_2": "second"}
"""In prompts that show two turns, the placeholders of the last one."""
_TURN = re.compile(r"<\|im_start\|>(\w+)\n(.*?)(?:<\|im_end\|>|\Z)", re.DOTALL)
Places = Mapping[str, str | None]
Kinds = Mapping[str, str]
"""For each kind of row, the name of its prompt in FastChat's file of judge prompts."""


@dataclass(frozen=True, slots=True)
class Wording:
    """A prompt's turns with placeholders; `by_kind` has the prompts for kinds of rows that have their own."""

    turns: tuple[tuple[str, str], ...]
    ours: bool = False
    by_kind: tuple[tuple[str, "Wording"], ...] = ()

    @property
    def words_hash(self) -> str:
        """A hash of all prompts, for the column `asked`; it starts with `ours:` if all of them are ours."""
        words = fingerprint([self.turns, [(kind, one.turns) for kind, one in self.by_kind]])
        return f"{OURS}:{words}" if self.ours and all(one.ours for _, one in self.by_kind) else words

    def fill(self, places: Places, kind: str | None = None) -> tuple[Message, ...]:
        """The conversation for one row, with its texts in the placeholders."""
        wording = dict(self.by_kind).get(kind or "", self)
        filled = {**places, "line": _separator(text for text in places.values() if text)}
        return tuple({"role": role, "content": wording._fill_text(text, filled)} for role, text in wording.turns)

    def _fill_text(self, text: str, places: Places) -> str:
        if self.ours:
            parts = text.split("\n\n")
            text = "\n\n".join(part for part in parts if all(places.get(name, "") is not None for name in _place_names(part)))

        def replace(match: re.Match[str]) -> str:
            name = _PLACE_ALIASES.get(str(match[1]), str(match[1]))
            return (places[name] or "") if name in places else match[0]

        return _PLACE.sub(replace, text)


def ours(system: str, user: str) -> Wording:
    """One of our own prompts."""
    return Wording((("system", system), ("user", user)), ours=True)


def text_block(what: str, place: str) -> str:
    """A paragraph of our own prompts that shows a text between two lines of dashes."""
    return f"{what}, between the lines:\n{{line}}\n{{{place}}}\n{{line}}\n\n"


HISTORY = text_block("What was said before", "history")
REQUEST = text_block("The request", "prompt")


def read(named: str, own: Wording, needs: Iterable[str], kinds: Kinds | None = None) -> Wording:
    """Read the knob `wording`: `ours`, a prompt, or a prompt file; it must have a placeholder for each of `needs`."""
    if named == OURS:
        return own
    text = wording_text(named)
    is_fastchat = kinds and text.startswith("{") and '"prompt_template"' in text
    wording = _parse_fastchat(text, kinds) if kinds and is_fastchat else Wording(_parse_turns(text))
    for each in [wording, *(other for _, other in wording.by_kind)]:
        names = {name for _, content in each.turns for name in _place_names(content)}
        names |= {_LAST_TURN_PLACES[name] for name in names & set(_LAST_TURN_PLACES)}
        if missing := [name for name in needs if name not in names]:
            raise DataError(
                f"the judge's prompt {_shorten(named)} has no placeholder {{{missing[0]}}}: the judge would not see it"
            )
    return wording


def wording_text(named: str) -> str:
    """The knob `wording` with a file replaced by its content, so that editing the file changes the run's fingerprint."""
    if named == OURS or _PLACE.search(named):
        return named
    file = Path(named).expanduser()
    if not file.is_file():
        raise RecipeError(f"wording {named!r} is neither {OURS!r} nor a file: name the file that holds the judge's prompt")
    try:
        return file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not valid UTF-8 text") from error


def format_history(messages: Iterable[Mapping[str, str]] | None, prompt: str | None) -> str | None:
    """The turns before the last prompt, as one text for the judge; None if there are none."""
    turns = list(messages or ())
    user_turns = [i for i, turn in enumerate(turns) if turn["role"] == "user"]
    before = turns[: user_turns[-1]] if user_turns else []
    if not before or prompt is None:
        return None
    separator = _separator(turn["content"] for turn in turns)
    return "\n\n".join(f"{separator} {turn['role']}\n{turn['content']}" for turn in before)


def _separator(texts: Iterable[str]) -> str:
    """A line of dashes longer than any in the texts."""
    return "-" * max([5, *(len(run) + 1 for text in texts for run in re.findall("-{5,}", text))])


def _place_names(text: str) -> set[str]:
    return {_PLACE_ALIASES.get(name, name) for name in map(str, _PLACE.findall(text))}


def _shorten(named: str) -> str:
    flat = " ".join(named.split())
    return repr(flat if len(flat) <= 60 else flat[:57] + "...")


def _parse_turns(text: str) -> tuple[tuple[str, str], ...]:
    """The turns of a prompt in ChatML; without its tags, a single user turn."""
    return tuple((role, content.strip()) for role, content in _TURN.findall(text)) or (("user", text),)


def _parse_fastchat(text: str, kinds: Kinds) -> Wording:
    """The prompts of a file in FastChat's format, one per kind of row."""
    try:
        rows = {row["name"]: row for row in map(json.loads, filter(None, text.splitlines()))}
        wordings = {
            kind: Wording((("system", rows[name]["system_prompt"]), ("user", rows[name]["prompt_template"])))
            for kind, name in kinds.items()
        }
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            "the judge prompts are not in FastChat's format: one JSON line each with name, system_prompt and prompt_template, "
            f"with the names {', '.join(kinds.values())} ({error})"
        ) from error
    return Wording(next(iter(wordings.values())).turns, by_kind=tuple(wordings.items()))

"""How a judge is asked: by our own words, or by a prompt in a file that the user names. Places in it are filled in one pass.

Places are {prompt}, {response}, {first} and so on, or what published prompts call them; other braces stay as they are. In our
words a paragraph with a place for what a row lacks is left out, and {line} is longer than any such line in the row's texts, so
that none of them can end itself. A published file brings its own marks, which a text can copy: nothing here can cure that.
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
"""What published prompts call our places."""
_LAST_TURN_PLACES = {"question_2": "prompt", "answer_2": "response", "answer_a_2": "first", "answer_b_2": "second"}
"""Of prompts that show two turns: what stands for the last one's."""
_TURN = re.compile(r"<\|im_start\|>(\w+)\n(.*?)(?:<\|im_end\|>|\Z)", re.DOTALL)
Places = Mapping[str, str | None]
Kinds = Mapping[str, str]
"""Of each kind of row what FastChat's file of judge prompts calls the one for it."""


@dataclass(frozen=True, slots=True)
class Wording:
    """Turns with places in them; `by_kind` has those of a file that words each kind of row in its own way."""

    turns: tuple[tuple[str, str], ...]
    ours: bool = False
    by_kind: tuple[tuple[str, "Wording"], ...] = ()

    @property
    def asked(self) -> str:
        """What rows say of how they were judged: a hash of all the words, and whether all of them are ours."""
        words = fingerprint([self.turns, [(kind, one.turns) for kind, one in self.by_kind]])
        return f"{OURS}:{words}" if self.ours and all(one.ours for _, one in self.by_kind) else words

    def fill(self, places: Places, kind: str | None = None) -> tuple[Message, ...]:
        """The conversation that a judge is asked about a row."""
        own = dict(self.by_kind).get(kind or "", self)
        filled = {**places, "line": _separator(text for text in places.values() if text)}
        return tuple({"role": role, "content": own._said(text, filled)} for role, text in own.turns)

    def _said(self, text: str, places: Places) -> str:
        if self.ours:
            parts = text.split("\n\n")
            text = "\n\n".join(part for part in parts if all(places.get(name, "") is not None for name in _place_names(part)))

        def put(found: re.Match[str]) -> str:
            name = _PLACE_ALIASES.get(str(found[1]), str(found[1]))
            return (places[name] or "") if name in places else found[0]

        return _PLACE.sub(put, text)


def ours(system: str, user: str) -> Wording:
    """A wording of our own."""
    return Wording((("system", system), ("user", user)), ours=True)


def text_block(what: str, place: str) -> str:
    """A paragraph of our own that shows a text, between lines that it cannot copy."""
    return f"{what}, between the lines:\n{{line}}\n{{{place}}}\n{{line}}\n\n"


HISTORY = text_block("What was said before", "history")
REQUEST = text_block("The request", "prompt")


def read(named: str, own: Wording, needs: Iterable[str], kinds: Kinds | None = None) -> Wording:
    """What a knob says: `ours`, the text of a prompt, or a file that holds one; it must have a place for each of `needs`."""
    if named == OURS:
        return own
    text = wording_text(named)
    found = (
        _parse_fastchat(text, kinds)
        if kinds and text.startswith("{") and '"prompt_template"' in text
        else Wording(_parse_turns(text))
    )
    for one in [found, *(other for _, other in found.by_kind)]:
        has = {name for _, said in one.turns for name in _place_names(said)}
        has |= {_LAST_TURN_PLACES[name] for name in has & set(_LAST_TURN_PLACES)}
        if missing := [name for name in needs if name not in has]:
            raise DataError(f"the judge's prompt {_shorten(named)} has no place {{{missing[0]}}}: the judge would not see it")
    return found


def wording_text(named: str) -> str:
    """The knob `wording`: of a file all that it says, so that a change to it is a change; `ours` and texts as they are."""
    if named == OURS or _PLACE.search(named):
        return named
    file = Path(named).expanduser()
    if not file.is_file():
        raise RecipeError(f"wording {named!r} is neither {OURS!r} nor a file: name the file that holds the judge's prompt")
    try:
        return file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is no text in UTF-8") from error


def format_history(messages: Iterable[Mapping[str, str]] | None, prompt: str | None) -> str | None:
    """What was said before the last prompt, for a judge to read; None where nothing was."""
    turns = list(messages or ())
    asked = [i for i, turn in enumerate(turns) if turn["role"] == "user"]
    before = turns[: asked[-1]] if asked else []
    if not before or prompt is None:
        return None
    marks = _separator(turn["content"] for turn in turns)
    return "\n\n".join(f"{marks} {turn['role']}\n{turn['content']}" for turn in before)


def _separator(texts: Iterable[str]) -> str:
    """A line of dashes longer than any in the texts."""
    return "-" * max([5, *(len(run) + 1 for text in texts for run in re.findall("-{5,}", text))])


def _place_names(text: str) -> set[str]:
    return {_PLACE_ALIASES.get(name, name) for name in map(str, _PLACE.findall(text))}


def _shorten(named: str) -> str:
    flat = " ".join(named.split())
    return repr(flat if len(flat) <= 60 else flat[:57] + "...")


def _parse_turns(text: str) -> tuple[tuple[str, str], ...]:
    """The turns of a prompt; one without chat marks is all the user's."""
    return tuple((role, said.strip()) for role, said in _TURN.findall(text)) or (("user", text),)


def _parse_fastchat(text: str, kinds: Kinds) -> Wording:
    """The prompts of a file in FastChat's form, one for each kind of row."""
    try:
        told = {row["name"]: row for row in map(json.loads, filter(None, text.splitlines()))}
        found = {
            kind: Wording((("system", told[name]["system_prompt"]), ("user", told[name]["prompt_template"])))
            for kind, name in kinds.items()
        }
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"the judge prompts are not as FastChat's, a line each with name, system_prompt and prompt_template, among them "
            f"{', '.join(kinds.values())} ({error})"
        ) from error
    return Wording(next(iter(found.values())).turns, by_kind=tuple(found.items()))

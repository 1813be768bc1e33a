"""The questions of a benchmark, from a file or a dataset on the Hub in the shape that it is published in.

AlpacaEval (`instruction`), Arena-Hard and MT-Bench (`turns`), WildBench (`conversation_input`, `checklist`), RewardBench,
conversations, plain prompts. An exam is whole or is none: a row that cannot be read, or a name that stands twice, is an error
that says where. Model answers that a benchmark brings as `references` (WildBench) are no right answers, and are left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.errors import DataError
from attar.core.stage import role
from attar.core.table import COLUMNS, Table
from attar.data import formats, readers, sources

NAME_KEYS = ("question_id", "uid", "session_id", "prompt_id", "id")
PROMPT_KEYS = ("turns", "conversation_input", "messages", "prompt", "instruction", "question", "query", "problem")
_DTYPES: dict[str, Any] = {
    **{name: pl.String for name in ("id", "question", "prompt", "category", "level", "topic", "reference")},
    "messages": COLUMNS["messages"],
    **{name: pl.List(pl.String) for name in ("turns", "references", "checklist", "tags")},
}
_REQUIRED_COLUMNS = ("id", "question", "prompt", "messages")


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row of a source: where it stands, its number, and what it says."""

    where: str
    number: int
    value: Mapping[str, Any]


@role("exam")
def questions(*, source: str, content: str | None = None, split: str | None = None) -> Table:
    """() -> id, question, prompt, messages; where there, category, level, topic, reference(s), turns, checklist, tags.

    `source` and `content` as `origins.pinned` gives them. Of several turns the first is asked; `references` are of each turn.
    """
    found = [_question(row) for row in read_rows(source, content, split)]
    if not found:
        raise DataError(f"{source} asks nothing: there is no question in it")
    known = [
        *_REQUIRED_COLUMNS,
        *(name for name in _DTYPES if name not in _REQUIRED_COLUMNS and any(row.get(name) for row in found)),
    ]
    out = pl.DataFrame(
        [{name: row.get(name) for name in known} for row in found], schema={name: _DTYPES[name] for name in known}
    )
    if len(again := out.filter(pl.col("id").is_duplicated())):
        raise DataError(f"{source}: the question {again['id'][0]!r} is there twice; give each a name of its own")
    return out


def read_rows(source: str, content: str | None, split: str | None = None) -> Iterator[SourceRow]:
    """The rows of a file, a folder, or a dataset on the Hub (`owner/name`, `:config`, `@revision`)."""
    path = Path(source).expanduser()
    if not path.exists():
        yield from _hub_rows(source, content, split)
        return
    sources.check_unchanged(str(path), content)
    for number, found in enumerate(readers.raw_rows(path), 1):
        where = f"{found.file}, row {found.line}"
        if not isinstance(found.value, dict):
            reason = (
                found.value if isinstance(found.value, ValueError) else f"it is {type(found.value).__name__}, not an object"
            )
            raise DataError(f"{where}: {reason}")
        yield SourceRow(where, number, found.value)


def _hub_rows(name: str, commit: str | None, split: str | None) -> Iterator[SourceRow]:
    with sources.dataset_loader(name, commit) as load:
        splits: Any = load()
        if split is None and len(splits) > 1:
            raise DataError(f"{name} has the splits {', '.join(splits)}: name one with 'split'")
        if split is not None and split not in splits:
            raise DataError(f"{name} has no split {split!r}, but {', '.join(splits)}")
        picked = split or next(iter(splits))
        for number, row in enumerate(splits[picked], 1):
            yield SourceRow(f"{name}, row {number} ({picked})", number, row)


def parse_conversation(value: Any) -> tuple[list[dict[str, str]], list[str]]:
    """What is asked first, as a conversation, and all turns that the user takes in it."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}], [value]
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("what is asked is neither a text nor a list of turns")
    if all(isinstance(turn, str) for turn in value):
        return [{"role": "user", "content": value[0]}], list(value)
    if all(isinstance(turn, dict) and "role" not in turn and "content" in turn for turn in value):
        return parse_conversation([turn["content"] for turn in value])
    talk = formats.turns(list(value))
    last = max((i for i, turn in enumerate(talk) if turn["role"] == "user"), default=None)
    if last is None:
        raise ValueError("nobody asks anything in the conversation")
    return talk[: last + 1], [talk[last]["content"]]


def name_of(row: SourceRow) -> str:
    """What the source calls a row; its number where it has no name."""
    given = next((row.value[name] for name in NAME_KEYS if row.value.get(name) not in (None, "")), row.number)
    return str(given)


def _question(row: SourceRow) -> dict[str, Any]:
    said = row.value
    asks = next((said[name] for name in PROMPT_KEYS if said.get(name) is not None), None)
    try:
        talk, turns = parse_conversation(asks)
    except ValueError as error:
        raise DataError(f"{row.where}: {error}; one of {', '.join(PROMPT_KEYS)} must say what is asked") from error
    right = next((said[name] for name in ("reference", "answer", "solution") if said.get(name) not in (None, "", [])), None)
    references = [str(text) or None for text in right] if isinstance(right, list | tuple) else [first_text({"": right}, "")]
    listed, tags = said.get("checklist"), [said.get("primary_tag"), *(said.get("secondary_tags") or ())]
    name = name_of(row)
    return {
        "id": name,
        "question": name,
        "prompt": talk[-1]["content"],
        "messages": talk,
        "category": first_text(said, "category", "primary_tag", "subset", "dataset"),
        "level": first_text(said, "level", "difficulty"),
        "topic": first_text(said, "cluster", "topic"),
        "reference": references[0],
        "references": references if len(turns) > 1 and any(references) else None,
        "turns": turns if len(turns) > 1 else None,
        "checklist": list(map(str, listed)) if isinstance(listed, list | tuple) else None,
        "tags": list(dict.fromkeys(filter(None, tags))) or None,
    }


def first_text(said: Mapping[str, Any], *names: str) -> str | None:
    """The first of these that a row says, as text."""
    return next((str(said[name]) for name in names if said.get(name) not in (None, "")), None)

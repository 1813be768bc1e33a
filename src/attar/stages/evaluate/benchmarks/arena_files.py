"""Judgments in Arena-Hard's own files, in both its forms, as battles: any number of files or folders, models and judges.

Each row holds a model's two games on one question. What a file does not contain (the older form names no baseline) must be
given as a knob. Answers are in separate files; only style control needs them.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.errors import DataError
from attar.core.table import Table
from attar.data import readers
from attar.stages.evaluate.benchmarks.arena_hard import STRONG, Game, canonical_grade, game_result, with_preferences

_KINDS: dict[str, Any] = dict.fromkeys(
    ("id", "question", "category", "model", "opponent", "prompt", "response", "against", "judge", "asked", "order", "date"),
    pl.String,
)

_TEXTS = ("prompt", "response", "against")


def battles(
    judgments: Sequence[str | Path], *, answers: Sequence[str | Path] = (), baseline: str | None = None, strong: int = STRONG
) -> Table:
    """Files of judgments -> id, question, category, model, opponent, preference, weight, votes, verdicts, judge, ...

    With files of answers also prompt, response and against. A verdict that is missing or unknown is the row's failure.
    """
    texts = _read_answers(answers)
    lines, games = [], []
    for where, value in _records(judgments):
        question, model = _text_field(value, ("uid", "question_id"), where), _text_field(value, ("model",), where)
        opponent = value.get("baseline") or baseline
        if opponent is None:
            raise DataError(f"{where} names no baseline: give the opponent as `baseline`")
        line = {"question": question, "model": model, "opponent": opponent, "category": value.get("category"), "order": "both"}
        line["judge"] = value.get("judge")
        line["id"] = "/".join(str(line[name]) for name in ("judge", "model", "question") if line[name] is not None)
        if texts:
            line["prompt"], line["response"] = _answer(texts, model, question)
            line["against"] = _answer(texts, opponent, question)[1]
        lines.append(line)
        games.append(_parse_games(value, where, strong))
    if not lines:
        raise DataError(f"{', '.join(map(str, judgments))}: there are no judgments")
    out = pl.DataFrame(lines, schema={name: _KINDS[name] for name in _KINDS if texts or name not in _TEXTS})
    if len(again := out.filter(pl.col("id").is_duplicated())):
        raise DataError(f"the judgment {again['id'][0]!r} occurs twice: name each file once")
    return with_preferences(out, games, [None] * len(out))


def _records(paths: Sequence[str | Path]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every row of the files, with its file and line."""
    for path in map(Path, paths):
        for row in readers.raw_rows(path):
            where = f"{row.file}, line {row.line},"
            if not isinstance(row.value, Mapping):
                raise DataError(f"{where} is no record: {row.value}")
            yield where, row.value


def _text_field(value: Mapping[str, Any], names: Sequence[str], where: str) -> str:
    for name in names:
        if isinstance(value.get(name), str | int):
            return str(value[name])
    raise DataError(f"{where} has no {' or '.join(map(repr, names))}; it has: {', '.join(value)}")


def _parse_games(value: Mapping[str, Any], where: str, strong: int) -> dict[int, Game]:
    """The two games of a record; the answer of the model is second in game 1."""
    played = value.get("games")
    if not isinstance(played, list) or len(played) != 2:
        raise DataError(f"{where} has no two games: Arena-Hard's judgments have a list of them under 'games'")
    scores = [game.get("score") if isinstance(game, Mapping) else None for game in played]
    return {
        place: game_result(canonical_grade(score), place, strong) if isinstance(score, str) else Game(error="no verdict")
        for place, score in enumerate(scores, start=1)
    }


def _read_answers(paths: Sequence[str | Path]) -> dict[tuple[str, str], tuple[str, str]]:
    """The prompt and the answer for each (model, question)."""
    texts = {}
    for where, value in _records(paths):
        key = _text_field(value, ("model", "model_id"), where), _text_field(value, ("uid", "question_id"), where)
        try:
            if "messages" in value:
                prompt, answer = value["messages"][-2]["content"], value["messages"][-1]["content"]
                texts[key] = prompt, answer["answer"] if isinstance(answer, Mapping) else answer
            else:
                texts[key] = "", value["choices"][0]["turns"][-1]["content"]
        except (KeyError, IndexError, TypeError) as error:
            raise DataError(f"{where} is no answer of Arena-Hard's: it has neither messages nor choices with turns") from error
    return texts


def _answer(texts: Mapping[tuple[str, str], tuple[str, str]], model: str, question: str) -> tuple[str, str]:
    if (model, question) not in texts:
        raise DataError(f"the answer files have no answer by {model!r} to question {question!r}: add that model's file")
    return texts[model, question]

"""Annotations in AlpacaEval's own format, as battles: the published JSON, JSONL, parquet, or folders of them.

A row has `instruction`, `generator_1` (the baseline), `generator_2` (the model), `preference` (1 the baseline's answer, 2 the
model's, all between; 0 is an old word for a tie, null for no verdict), and `output_1`, `output_2` or their lengths `chars_1`,
`chars_2`. What does not fit is refused with its file, row and key: a row left out would move all after it.
"""

from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.errors import DataError, did_you_mean
from attar.core.table import Table
from attar.data.files import data_files
from attar.data.raw import raw_rows
from attar.stages.evaluate.benchmarks.length_control import text_hash

_SCHEMA = {
    "id": pl.String,
    "question": pl.String,
    "prompt": pl.String,
    "model": pl.String,
    "opponent": pl.String,
    "judge": pl.String,
    "response": pl.String,
    "against": pl.String,
    "chars": pl.Int64,
    "against_chars": pl.Int64,
    "preference": pl.Float64,
    "row": pl.Int64,
}


def read(paths: Iterable[Path], *, against: str | None = None) -> Table:
    """The battles of all files, with the row at which each stood among those of its model, opponent and judge.

    Of a folder with files called annotations only those are read. `against` takes only the battles with that opponent.
    """
    lines: list[dict[str, Any]] = []
    ends: dict[tuple[str, ...], tuple[Path, int]] = {}
    files = [file for path in paths for file in _files(path)]
    if len(set(files)) < len(files):
        raise DataError(f"{next(file for file in files if files.count(file) > 1)} is named twice")
    for file in files:
        for number, found in enumerate(raw_rows(file), 1):
            line = _battle(found.value, f"{file} row {number}")
            who = (line["model"], line["opponent"], line["judge"] or "")
            first, row = ends.get(who, (file, 0))
            if first != file:
                raise DataError(f"{who[0]} against {who[1]} is in {first} and again in {file}: give one of them")
            ends[who] = (file, row + 1)
            lines.append({**line, "id": "/".join((*who, str(row))), "row": row})
    table = pl.DataFrame(lines, schema=_SCHEMA)
    if against is not None:
        opponents = table["opponent"].unique().to_list()
        table = table.filter(pl.col("opponent") == against)
        if not len(table):
            raise DataError(f"no battle is against {against!r}; {did_you_mean(against, opponents)}")
    if not len(table):
        raise DataError("there are no annotations")
    return table


def _files(path: Path) -> list[Path]:
    found = data_files(path)
    return [file for file in found if file.name.startswith("annotations")] or found


def _battle(row: Any, place: str) -> dict[str, Any]:
    if isinstance(row, Exception):
        raise DataError(f"{place}: {row}")
    if not isinstance(row, dict):
        raise DataError(f"{place} is no object: AlpacaEval's annotations are a list of them")
    prompt, model, opponent = (_text(row, key, place) for key in ("instruction", "generator_2", "generator_1"))
    judge = row.get("annotator")
    return {
        "question": f"{text_hash(prompt):016x}",
        "prompt": prompt,
        "model": model,
        "opponent": opponent,
        "judge": None if judge is None else str(judge),
        "response": row.get("output_2"),
        "against": row.get("output_1"),
        "chars": _length(row, "2", place),
        "against_chars": _length(row, "1", place),
        "preference": _preference(row, place),
    }


def _text(row: dict[str, Any], key: str, place: str) -> str:
    if key not in row:
        raise DataError(f"{place} has no {key!r}; {did_you_mean(key, map(str, row))}")
    if not isinstance(row[key], str):
        raise DataError(f"{place} has {key} {row[key]!r}, which is no text")
    return row[key]


def _length(row: dict[str, Any], side: str, place: str) -> int:
    """An answer's length in characters: of the text where there is one."""
    output, chars = f"output_{side}", f"chars_{side}"
    if row.get(output) is not None:
        return len(_text(row, output, place))
    if (given := row.get(chars)) is None:
        raise DataError(f"{place} has neither {output!r} nor {chars!r}: lengths are controlled by one of them")
    if isinstance(given, bool) or not isinstance(given, int | float) or given != given // 1 or given < 0:
        raise DataError(f"{place} has {chars} {given!r}, which is no number of characters")
    return int(given)


def _preference(row: dict[str, Any], place: str) -> float | None:
    """From 0 to 1, how far the model's answer is better."""
    if "preference" not in row:
        raise DataError(f"{place} has no 'preference'; {did_you_mean('preference', map(str, row))}")
    given = row["preference"]
    if given is None or (isinstance(given, float) and not isfinite(given)):
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not (given == 0 or 1 <= given <= 2):
        raise DataError(f"{place} has preference {given!r}: it must be from 1 to 2 (or 0 for a tie), or null")
    return 0.5 if given == 0 else float(given) - 1

"""A finished run's data as a folder to give away: parquet and JSONL in the shapes that trainers read, split, with its card.

    data/sft/train.parquet  data/sft/train.jsonl  data/sft/test.parquet  ...  README.md  attar.json

It appears whole or not at all, and is made a part at a time: of all rows together only their names and a hash of each are held.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.atomic import move_into_place, partial_path
from attar.core.errors import DataError
from attar.core.table import Table, part_schema, parts, read_part, table_schema
from attar.outputs.dataset import lineage
from attar.outputs.dataset.card import card_text, check_license
from attar.outputs.dataset.row_format import fault, form_of, left_out, names, shaped
from attar.outputs.dataset.shard_writer import Spool
from attar.outputs.dataset.split import keys, sides
from attar.outputs.dataset.summary import figures
from attar.runtime.home import Home, write_json

MARK = "attar.json"
_SLICE = 4_000
"""Rows that are shaped at once: enough for speed, few enough for long conversations."""


@dataclass(frozen=True, slots=True)
class Source:
    """One result that is data: where its rows lie, and what they can go out as."""

    form: str
    parts: tuple[Path, ...]
    blank: Table
    dropped: tuple[str, ...]
    step: str

    def pieces(self, columns: list[str] | None = None) -> Iterator[Table]:
        """Its rows, some at a time, with the same columns everywhere."""
        wanted = self.blank.columns if columns is None else [name for name in columns if name in self.blank.columns]
        for path in self.parts:
            found = read_part(path, [name for name in part_schema(path) if name in wanted])
            whole = pl.concat([self.blank.select(wanted), found], how="diagonal_relaxed")
            yield from whole.iter_slices(_SLICE) if len(whole) else (whole,)


@dataclass(slots=True)
class Written:
    """One configuration of the written set."""

    form: str
    rows: dict[str, int]
    files: dict[str, list[str]]
    refused: Counter[str] = field(default_factory=Counter)


def write_dataset(
    home: Home, run: str, out: Path | None = None, *, test: float = 0.02, seed: int = 0, license_id: str | None = None
) -> Path:
    """Write a run's data with its card; the folder that it lies in."""
    if not 0 <= test < 1:
        raise DataError(f"test is {test}: the share of rows to hold back is from 0 to less than 1")
    check_license(license_id)
    record = lineage.finished_record(home, run)
    target = out or home.runs / f"{run}.dataset"
    _may_write(target)
    sources = _sources(home, record)
    partial = partial_path(target)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        known = lineage.public_model_names(home, record)
        held = sides(
            {name: map(keys, source.pieces(["id", "parent", "messages"])) for name, source in sources.items()}, test, seed
        )
        written = {name: _write(name, source, held[name], partial, known) for name, source in sources.items()}
        facts = _facts(home, record, sources, written, partial) | {"test": test, "seed": seed, "license": license_id}
        (partial / "README.md").write_text(card_text(facts), encoding="utf-8")
        write_json(partial / MARK, facts)
        _place(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def has_data(home: Home, record: Mapping[str, Any]) -> bool:
    """Whether any result of a run could go out as data."""
    found = [parts(home.steps / folder) for folder in _told(record).values()]
    return any(form_of(list(part_schema(paths[0]))) for paths in found if paths)


def _told(record: Mapping[str, Any]) -> dict[str, str]:
    """The results that may be data, and their folders: not what examinations made."""
    roles = {step["folder"]: step["marks"]["role"] for step in record["steps"]}
    return {name: folder for name, folder in record["results"].items() if roles[folder] != "exam"}


def _may_write(target: Path) -> None:
    """A set of ours may be replaced; nothing else may."""
    if target.exists() and not (target / MARK).is_file() and not (target.is_dir() and not any(target.iterdir())):
        raise DataError(f"{target} exists and is no dataset of Attar's: name another folder")


def _place(partial: Path, target: Path) -> None:
    if target.exists():
        before = target.with_name(target.name + ".before")
        shutil.rmtree(before, ignore_errors=True)
        target.replace(before)
        move_into_place(partial, target)
        shutil.rmtree(before)
    else:
        move_into_place(partial, target)


def _sources(home: Home, record: Mapping[str, Any]) -> dict[str, Source]:
    """The results that are data, examinations left out."""
    stages = {step["folder"]: step for step in record["steps"]}
    out = {}
    for name, folder in _told(record).items():
        found, step = parts(home.steps / folder), stages[folder]
        if not found:
            continue
        blank = pl.concat([pl.DataFrame(schema=part_schema(path)) for path in found], how="diagonal_relaxed")
        if (form := form_of(blank.columns)) is None:
            continue
        if set(name) & set("<>:/\\|?* "):
            raise DataError(f"result {name!r} cannot name a configuration: rename it in the recipe, with letters and dashes")
        out[name] = Source(form, tuple(found), blank, tuple(left_out(blank.schema, _empty(found, blank, form))), step["name"])
    if not out:
        raise DataError(
            f"run {record['name']!r} has no result that is data: none of {', '.join(record['results'])} has the column messages"
        )
    return out


def _empty(found: list[Path], blank: Table, form: str) -> list[str]:
    """Columns that are null in every row that goes out."""
    kept = [name for name in blank.columns if name not in ("id", "messages", "chosen", "rejected")]
    rows = pl.scan_parquet(found, missing_columns="insert", extra_columns="ignore").filter(fault(form, blank.columns).is_null())
    counts = rows.select(pl.len().alias(" rows"), pl.col(kept).count()).collect(engine="streaming").row(0, named=True)
    return [name for name in kept if counts[" rows"] and not counts[name]]


def _write(name: str, source: Source, held: pl.Series, place: Path, known: Mapping[str, str]) -> Written:
    """One result's rows into the files of its two sides."""
    refused: Counter[str] = Counter()
    start = 0
    with ExitStack() as open_files:
        train, test = (
            open_files.enter_context(Spool(place / "data" / name, side, always=side == "train")) for side in ("train", "test")
        )
        columns = [column for column in source.blank.columns if column not in source.dropped]
        for piece in source.pieces():
            told = piece.select(fault(source.form, piece.columns).alias("fault"))["fault"]
            refused.update(told.drop_nulls())
            back = held[start : start + len(piece)]
            start += len(piece)
            good = shaped(piece.select(columns), source.form, known)
            train.write(good.filter(told.is_null() & ~back))
            test.write(good.filter(told.is_null() & back))
    files = {spool.side: [str(file.relative_to(place)) for file in spool.files] for spool in (train, test) if spool.files}
    return Written(source.form, {"train": train.count, "test": test.count}, files, refused)


def _facts(
    home: Home, record: Mapping[str, Any], sources: Mapping[str, Source], written: Mapping[str, Written], place: Path
) -> dict[str, Any]:
    """All that the card tells, as plain data."""
    steps = lineage.ancestry(record, sources)
    configs = {
        name: {
            "form": one.form,
            "rows": one.rows,
            "files": one.files,
            "refused": dict(one.refused.most_common()),
            "left_out": list(sources[name].dropped),
            "columns": _columns(home, steps, sources[name], place / one.files["train"][0]),
            **figures([place / file for side in one.files.values() for file in side], one.form),
        }
        for name, one in written.items()
    }
    return {
        "attar": version("attar"),
        "run": record["name"],
        "finished": record["finished"],
        "paper": record["paper"],
        "configs": configs,
        "texts": lineage.text_sources(home, record, sources),
        "lineage": lineage.lineage(home, steps),
        "run_file": lineage.run_file(record),
    }


def _columns(home: Home, steps: list[dict[str, Any]], source: Source, file: Path) -> list[dict[str, str]]:
    """Of each column that went out its kind, and the step that brought it."""
    kinds = pl.read_parquet_schema(file)
    firsts: dict[str, str] = {}
    for step in steps:
        for column in table_schema(home.steps / step["folder"]):
            firsts.setdefault(column, step["name"])
    out = names(source.form, [column for column in source.blank.columns if column not in source.dropped])
    return [{"column": told, "kind": str(kinds[told]), "was": name, "step": firsts[name]} for name, told in out.items()]

"""Write a finished run's data as a dataset to publish: parquet and JSONL in trainers' formats, split, with a dataset card.

    data/sft/train.parquet  data/sft/train.jsonl  data/sft/test.parquet  ...  README.md  attar.json

The folder appears complete or not at all, and one process at a time writes it. Rows are streamed; only hashes of all rows are
in memory at once.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.atomic import replace_folder, replace_text
from attar.core.errors import DataError
from attar.core.output_lock import lock_output
from attar.core.table import Table, part_schema, parts, read_part, table_schema
from attar.outputs.dataset import lineage, redact
from attar.outputs.dataset.card import card_text, check_license
from attar.outputs.dataset.row_format import dropped_columns, fault, form_of, public_names, shape_rows
from attar.outputs.dataset.shard_writer import Spool
from attar.outputs.dataset.split import assign_test_rows, group_keys
from attar.outputs.dataset.summary import figures
from attar.runtime.home import Home, write_json

MARK = "attar.json"
_SLICE = 4_000
"""Rows converted at once: enough for speed, few enough for long conversations."""


@dataclass(frozen=True, slots=True)
class Source:
    """A result that can be written: its parts, its format, and the columns that are left out."""

    form: str
    parts: tuple[Path, ...]
    blank: Table
    dropped: tuple[str, ...]
    step: str

    def pieces(self, columns: list[str] | None = None) -> Iterator[Table]:
        """Iterate over the rows in pieces that all have the same columns."""
        wanted = self.blank.columns if columns is None else [name for name in columns if name in self.blank.columns]
        for path in self.parts:
            part = read_part(path, [name for name in part_schema(path) if name in wanted])
            table = pl.concat([self.blank.select(wanted), part], how="diagonal_relaxed")
            yield from table.iter_slices(_SLICE) if len(table) else (table,)


@dataclass(slots=True)
class WrittenConfig:
    """One configuration of the dataset, as written."""

    form: str
    rows: dict[str, int]
    files: dict[str, list[str]]
    refused: Counter[str] = field(default_factory=Counter)


def write_dataset(  # noqa: PLR0913 (a command's options)
    home: Home,
    run: str,
    out: Path | None = None,
    *,
    test: float = 0.02,
    seed: int = 0,
    license_id: str | None = None,
    waiting: Callable[[str], None] | None = None,
) -> Path:
    """Write a run's data with its card; returns the folder.

    If another process is writing it, raise; or call `waiting` with a message, and wait.
    """
    if not 0 <= test < 1:
        raise DataError(f"test must be >= 0 and < 1, got {test}")
    check_license(license_id)
    target = out or home.runs / f"{run}.dataset"
    lineage.finished_record(home, run)  # a run that is not finished makes no folder for the lock
    with lock_output(target, waiting), replace_folder(target, _check_target) as partial:
        record = lineage.finished_record(home, run)
        sources = _sources(home, record)
        known = lineage.public_model_names(home, record)
        test_rows = assign_test_rows(
            {name: map(group_keys, source.pieces(["id", "parent", "messages"])) for name, source in sources.items()}, test, seed
        )
        written = {name: _write_config(name, source, test_rows[name], partial, known) for name, source in sources.items()}
        facts = _facts(home, record, sources, written, partial) | {"test": test, "seed": seed, "license": license_id}
        replace_text(partial / "README.md", card_text(facts))
        write_json(partial / MARK, facts)
    return target


def has_data(home: Home, record: Mapping[str, Any]) -> bool:
    """True if at least one result of the run can be written as data."""
    results = [parts(home.steps / folder) for folder in _data_results(record).values()]
    return any(form_of(list(part_schema(paths[0]))) for paths in results if paths)


def _data_results(record: Mapping[str, Any]) -> dict[str, str]:
    """The results that may be data, with their folders: all but those of exams."""
    roles = {step["folder"]: step["marks"]["role"] for step in record["steps"]}
    return {name: folder for name, folder in record["results"].items() if roles[folder] != "exam"}


def _check_target(target: Path) -> None:
    """Raise if the target exists, unless it is empty or a dataset of Attar's, which may be replaced."""
    if target.exists() and not (target / MARK).is_file() and not (target.is_dir() and not any(target.iterdir())):
        raise DataError(f"{target} exists and is no dataset of Attar's: choose another folder")


def _sources(home: Home, record: Mapping[str, Any]) -> dict[str, Source]:
    """The results that can be written as data."""
    stages = {step["folder"]: step for step in record["steps"]}
    out = {}
    for name, folder in _data_results(record).items():
        paths, step = parts(home.steps / folder), stages[folder]
        if not paths:
            continue
        blank = pl.concat([pl.DataFrame(schema=part_schema(path)) for path in paths], how="diagonal_relaxed")
        if (form := form_of(blank.columns)) is None:
            continue
        if set(name) & set("<>:/\\|?* "):
            raise DataError(f"result {name!r} is no valid configuration name: use letters and dashes in the recipe")
        dropped = dropped_columns(blank.schema, _empty_columns(paths, blank, form))
        out[name] = Source(form, tuple(paths), blank, tuple(dropped), step["name"])
    if not out:
        raise DataError(
            f"run {record['name']!r} has no result that is data: none of {', '.join(record['results'])} has the column messages"
        )
    return out


def _empty_columns(paths: list[Path], blank: Table, form: str) -> list[str]:
    """The columns that are null in every row that is written."""
    columns = [name for name in blank.columns if name not in ("id", "messages", "chosen", "rejected")]
    rows = pl.scan_parquet(paths, missing_columns="insert", extra_columns="ignore").filter(fault(form, blank.columns).is_null())
    counts = rows.select(pl.len().alias(" rows"), pl.col(columns).count()).collect(engine="streaming").row(0, named=True)
    return [name for name in columns if counts[" rows"] and not counts[name]]


def _write_config(name: str, source: Source, in_test: pl.Series, place: Path, known: Mapping[str, str]) -> WrittenConfig:
    """Write one result's rows to the files of its train and test sides."""
    refused: Counter[str] = Counter()
    start = 0
    with ExitStack() as open_files:
        train, test = (
            open_files.enter_context(Spool(place / "data" / name, side, always=side == "train")) for side in ("train", "test")
        )
        columns = [column for column in source.blank.columns if column not in source.dropped]
        for piece in source.pieces():
            faults = piece.select(fault(source.form, piece.columns).alias("fault"))["fault"]
            refused.update(faults.drop_nulls())
            piece_in_test = in_test[start : start + len(piece)]
            start += len(piece)
            rows = shape_rows(piece.select(columns), source.form, known)
            train.write(rows.filter(faults.is_null() & ~piece_in_test))
            test.write(rows.filter(faults.is_null() & piece_in_test))
    files = {spool.side: [str(file.relative_to(place)) for file in spool.files] for spool in (train, test) if spool.files}
    return WrittenConfig(source.form, {"train": train.count, "test": test.count}, files, refused)


def _facts(
    home: Home, record: Mapping[str, Any], sources: Mapping[str, Source], written: Mapping[str, WrittenConfig], place: Path
) -> dict[str, Any]:
    """The facts on the card, as plain data (also written as attar.json)."""
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
        "remarks": [redact.redact_message(remark) for remark in record.get("remarks", ())],
        "lineage": lineage.lineage(home, steps),
        "run_file": lineage.run_file(record),
    }


def _columns(home: Home, steps: list[dict[str, Any]], source: Source, file: Path) -> list[dict[str, str]]:
    """For each written column: its type, its name in the run, and the step that first had it."""
    kinds = pl.read_parquet_schema(file)
    first_steps: dict[str, str] = {}
    for step in steps:
        for column in table_schema(home.steps / step["folder"]):
            first_steps.setdefault(column, step["name"])
    renames = public_names(source.form, [column for column in source.blank.columns if column not in source.dropped])
    return [
        {"column": public, "kind": str(kinds[public]), "was": name, "step": first_steps[name]}
        for name, public in renames.items()
    ]

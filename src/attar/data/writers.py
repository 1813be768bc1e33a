"""Write chat data as a stream, in any known format: one JSONL, JSON or parquet file, a folder of parquet files, a folder as the
`datasets` library saves it, or JSONL on standard output. Files appear complete or not at all. The caller holds their lock.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TextIO

import polars as pl

from attar.core.atomic import move_into_place, write_beside
from attar.core.errors import DataError, MissingExtraError, did_you_mean
from attar.core.table import Table
from attar.data.formats import CONVERSATION_COLUMNS, FORMATS, Row, format_row

STDOUT = Path("-")


class Sink:
    """Writes tables to one new file, in a format and as a suffix says."""

    def __init__(self, file: Path, suffix: str, form: str, text: TextIO | None = None) -> None:
        self.suffix = suffix
        self.form = form
        self.count = 0
        self._file = file
        self._text = None if suffix == ".parquet" else text or file.open("x", encoding="utf-8")
        self._parquet: Any = None

    def write(self, table: Table) -> list[str | None]:
        """Write a table's rows; returns for each row why it could not be written, or None."""
        extras = [name for name in table.columns if name not in CONVERSATION_COLUMNS]
        if self._text is None and self._takes_columns(table, extras):
            self._put_batch(table.select("id", "messages", *extras).to_arrow(compat_level=pl.CompatLevel.oldest()))
            self.count += len(table)
            return [None] * len(table)
        out, reasons = [], []
        for row in table.iter_rows(named=True):
            try:
                record = format_row(row, self.form)
                out.append({"id": row["id"], **record, **{name: row[name] for name in extras if name not in record}})
                reasons.append(None)
            except ValueError as error:
                reasons.append(str(error))
        if self._text is None:
            out, reasons = self._fit(out, reasons)
        self._put(out, table.select(extras))
        self.count += len(out)
        return reasons

    def _takes_columns(self, table: Table, extras: list[str]) -> bool:
        """True if the table can be written as it is: as messages, without a preference, without columns new to the file."""
        known = self._parquet.schema.names if self._parquet is not None else extras
        preferences = "chosen" in table.columns and table["chosen"].null_count() < len(table)
        return self.form == "messages" and len(table) > 0 and not preferences and set(extras) <= set(known)

    def _fit(self, out: list[Row], reasons: list[str | None]) -> tuple[list[Row], list[str | None]]:
        """Reject rows with a column that the first rows did not have: a parquet file's schema is fixed."""
        if self._parquet is None:
            return out, reasons
        names = set(self._parquet.schema.names)
        late = [next((key for key, value in row.items() if value is not None and key not in names), None) for row in out]
        errors = (
            f"column {key!r} is new after the first rows, but a parquet schema is fixed: write .jsonl" if key else None
            for key in late
        )
        fitted = [row for row, key in zip(out, late, strict=True) if not key]
        return fitted, [reason if reason else next(errors) for reason in reasons]

    def _put(self, out: list[Row], extras: Table) -> None:
        if self._text is None:
            self._put_parquet(out, extras)
            return
        for i, row in enumerate(out, self.count):
            line = json.dumps(row, ensure_ascii=False, default=str)
            self._text.write(line + "\n" if self.suffix == ".jsonl" else ("[\n" if i == 0 else ",\n") + line)

    def _put_parquet(self, out: list[Row], extras: Table) -> None:
        import pyarrow as pa

        if out:
            schema = self._parquet.schema if self._parquet else _infer_schema(out, extras)
            self._put_batch(pa.Table.from_pylist(out, schema=schema))

    def _put_batch(self, batch: Any) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = self._parquet.schema if self._parquet else _plain_schema(batch.schema)
        columns = [
            batch[field.name].cast(field.type) if field.name in batch.schema.names else pa.nulls(len(batch), field.type)
            for field in schema
        ]
        self._parquet = self._parquet or pq.ParquetWriter(self._file, schema, compression="zstd")
        self._parquet.write_table(pa.Table.from_arrays(columns, schema=schema))

    def finish(self) -> None:
        """Write the end of the file."""
        if self._text is not None:
            self._text.write("" if self.suffix == ".jsonl" else ("[" if self.count == 0 else "") + "\n]\n")

    def close(self) -> None:
        """Close the file."""
        if self._text is not None:
            self._text.close()
        elif self._parquet is not None:
            self._parquet.close()


def _infer_schema(out: list[Row], extras: Table) -> Any:
    """The schema of the first rows; columns that are all null, or lists, take the table's type."""
    import pyarrow as pa

    of_table = {field.name: field for field in extras.head(0).to_arrow().schema}
    inferred = pa.Table.from_pylist(out).schema
    vague = [pa.types.is_null(field.type) or pa.types.is_list(field.type) for field in inferred]
    return pa.schema([of_table.get(f.name, f) if unsure else f for f, unsure in zip(inferred, vague, strict=True)])


def _plain_schema(schema: Any) -> Any:
    """The schema with the types that most readers expect: no large strings, and no large lists of turns."""
    import pyarrow as pa

    def plain(kind: Any, lists: bool) -> Any:
        if pa.types.is_large_string(kind):
            return pa.string()
        if lists and pa.types.is_large_list(kind):
            return pa.list_(plain(kind.value_type, lists))
        if pa.types.is_struct(kind):
            return pa.struct([field.with_type(plain(field.type, lists)) for field in kind])
        return kind

    return pa.schema([field.with_type(plain(field.type, field.name == "messages")) for field in schema])


class FolderSink:
    """Writes rows to a folder, a parquet file for every table."""

    def __init__(self, folder: Path, form: str) -> None:
        self.form = form
        self.count = 0
        self._folder = folder
        self._files = 0

    def write(self, table: Table) -> list[str | None]:
        """Write a table's rows; returns for each row why it could not be written, or None."""
        with _write_file(self._folder / f"data-{self._files:05d}.parquet", self.form) as shard:
            reasons = shard.write(table)
        self.count += shard.count
        self._files += bool(shard.count)
        return reasons


@contextmanager
def _write_file(path: Path, form: str) -> Iterator[Sink]:
    with write_beside(path) as partial:
        sink = Sink(partial, path.suffix, form)
        try:
            yield sink
            sink.finish()
        finally:
            sink.close()
        if sink.count:
            move_into_place(partial, path)


@contextmanager
def _write_stdout(form: str) -> Iterator[Sink]:
    with open(sys.stdout.fileno(), "w", encoding="utf-8", closefd=False) as text:
        yield Sink(STDOUT, ".jsonl", form, text)


@contextmanager
def _write_folder(path: Path, form: str, datasets: bool) -> Iterator[FolderSink]:
    if path.exists():
        raise DataError(f"{path} exists already: name a new folder")
    with write_beside(path) as partial:
        files = partial / "files" if datasets else partial
        sink = FolderSink(files, form)
        yield sink
        if sink.count and datasets:
            _save_dataset(files, partial, path)
            shutil.rmtree(files)
        if sink.count:
            move_into_place(partial, path)


def _save_dataset(files: Path, folder: Path, path: Path) -> None:
    """Save parquet files as the `datasets` library does, in a folder that is named `path` in errors."""
    try:
        from datasets import Dataset, disable_progress_bars
        from datasets.exceptions import DatasetGenerationError
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "train") from error
    disable_progress_bars()
    names: Any = sorted(str(file) for file in files.glob("*.parquet"))
    try:
        dataset = Dataset.from_parquet(names, cache_dir=str(files / "cache"))
    except DatasetGenerationError as error:
        reason = f"{error.__cause__ or error}".splitlines()[0]
        raise DataError(f"{path}: the rows have different columns, which `datasets` does not allow: {reason}") from error
    dataset.save_to_disk(str(folder))  # type: ignore[union-attr] # a list of files without a split is one Dataset


def open_sink(path: Path, form: str, layout: str | None = None) -> AbstractContextManager[Sink | FolderSink]:
    """A sink for a path: a file by its suffix; without one a folder, of parquet or as `datasets` saves it; JSONL for -.

    Standard output gets rows as they come; another output appears when the block ends without an error, if there are rows.
    """
    if form not in FORMATS:
        raise DataError(f"unknown format {form!r}; {did_you_mean(form, FORMATS)}")
    if layout not in (None, "parquet", "datasets"):
        raise DataError(f"unknown layout {layout!r}; {did_you_mean(layout, ('parquet', 'datasets'))}")
    if path == STDOUT and layout is None:
        return _write_stdout(form)
    if not path.suffix or layout is not None:
        return _write_folder(path, form, datasets=layout == "datasets")
    if path.suffix not in (".jsonl", ".json", ".parquet"):
        raise DataError(f"{path}: cannot write {path.suffix}; use .jsonl, .json or .parquet")
    return _write_file(path, form)

"""Write chat data as a stream, in any known format: one JSONL, JSON or parquet file, a folder of parquet files, or a folder as
the `datasets` library saves it. The output appears complete or not at all.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from attar.core.atomic import move_into_place, partial_path
from attar.core.errors import DataError, MissingExtraError, did_you_mean
from attar.core.table import Table
from attar.data.formats import CONVERSATION_COLUMNS, FORMATS, Row, format_row


class Sink:
    """Writes tables to one file in a format; the file appears, complete, when the sink is closed."""

    def __init__(self, path: Path, form: str) -> None:
        if form not in FORMATS:
            raise DataError(f"unknown format {form!r}; {did_you_mean(form, FORMATS)}")
        if path.suffix not in (".jsonl", ".json", ".parquet"):
            raise DataError(f"{path}: cannot write {path.suffix or 'a file without a suffix'}; use .jsonl, .json or .parquet")
        self.path = path
        self.form = form
        self.count = 0
        self._partial = partial_path(path)
        self._text = None if path.suffix == ".parquet" else self._partial.open("w", encoding="utf-8")
        self._parquet: Any = None

    def write(self, table: Table) -> list[str | None]:
        """Write a table's rows; returns for each row why it could not be written, or None."""
        extras = [name for name in table.columns if name not in CONVERSATION_COLUMNS]
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
            self._text.write(line + "\n" if self.path.suffix == ".jsonl" else ("[\n" if i == 0 else ",\n") + line)

    def _put_parquet(self, out: list[Row], extras: Table) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not out:
            return
        schema = self._parquet.schema if self._parquet else _infer_schema(out, extras)
        batch = pa.Table.from_pylist(out, schema=schema)
        self._parquet = self._parquet or pq.ParquetWriter(self._partial, batch.schema, compression="zstd")
        self._parquet.write_table(batch)

    def close(self) -> None:
        """Finish the file and move it to its path; without rows there is no file."""
        if self._text is not None:
            self._text.write("" if self.path.suffix == ".jsonl" else ("[" if self.count == 0 else "") + "\n]\n")
            self._text.close()
        elif self._parquet is not None:
            self._parquet.close()
        if self.count:
            move_into_place(self._partial, self.path)
        else:
            self._partial.unlink(missing_ok=True)


def _infer_schema(out: list[Row], extras: Table) -> Any:
    """The schema of the first rows; columns that are all null, or lists, take the table's type."""
    import pyarrow as pa

    of_table = {field.name: field for field in extras.head(0).to_arrow().schema}
    inferred = pa.Table.from_pylist(out).schema
    vague = [pa.types.is_null(field.type) or pa.types.is_list(field.type) for field in inferred]
    return pa.schema([of_table.get(f.name, f) if unsure else f for f, unsure in zip(inferred, vague, strict=True)])


class FolderSink:
    """Writes rows to a new folder, a parquet file for every table; or, on closing, as a `datasets` folder."""

    def __init__(self, path: Path, form: str, *, datasets: bool) -> None:
        if path.exists():
            raise DataError(f"{path} exists already: name a new folder")
        self.path = path
        self.form = form
        self.datasets = datasets
        self.count = 0
        self.files = 0
        self._partial = partial_path(path)
        shutil.rmtree(self._partial, ignore_errors=True)

    def write(self, table: Table) -> list[str | None]:
        """Write a table's rows; returns for each row why it could not be written, or None."""
        shard = Sink(self._partial / f"data-{self.files:05d}.parquet", self.form)
        reasons = shard.write(table)
        shard.close()
        self.count += shard.count
        self.files += bool(shard.count)
        return reasons

    def close(self) -> None:
        """Move the folder to its path; without rows there is no folder."""
        if not self.count:
            shutil.rmtree(self._partial, ignore_errors=True)
        elif self.datasets:
            self._save()
            shutil.rmtree(self._partial)
        else:
            move_into_place(self._partial, self.path)

    def _save(self) -> None:
        try:
            from datasets import Dataset, disable_progress_bars
            from datasets.exceptions import DatasetGenerationError
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "train") from error
        disable_progress_bars()
        files: list[Any] = sorted(str(file) for file in self._partial.glob("*.parquet"))
        saved = self._partial / "saved"
        try:
            dataset = Dataset.from_parquet(files, cache_dir=str(self._partial / "cache"))
        except DatasetGenerationError as error:
            reason = f"{error.__cause__ or error}".splitlines()[0]
            raise DataError(
                f"{self.path}: the rows have different columns, which `datasets` does not allow: {reason}"
            ) from error
        dataset.save_to_disk(str(saved))  # type: ignore[union-attr] # a list of files without a split is one Dataset
        move_into_place(saved, self.path)


def open_sink(path: Path, form: str, layout: str | None = None) -> Sink | FolderSink:
    """A sink for a path: a file by its suffix; without one a folder, of parquet or as `datasets` saves it."""
    if layout not in (None, "parquet", "datasets"):
        raise DataError(f"unknown layout {layout!r}; {did_you_mean(layout, ('parquet', 'datasets'))}")
    if path.suffix and layout is None:
        return Sink(path, form)
    return FolderSink(path, form, datasets=layout == "datasets")

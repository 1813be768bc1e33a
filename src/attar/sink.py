"""Writing chat data: rows to one JSONL, JSON or parquet file, in any of the known formats, as they come."""

import json
from pathlib import Path
from typing import Any

from attar.errors import DataError, did_you_mean
from attar.formats import FORMATS, Row, express
from attar.table import COLUMNS, Table


class Sink:
    """Writes rows to one file, in a format, as they come; the file appears complete when the sink is closed."""

    def __init__(self, path: Path, form: str) -> None:
        if form not in FORMATS:
            raise DataError(f"unknown format {form!r}; {did_you_mean(form, FORMATS)}")
        if path.suffix not in (".jsonl", ".json", ".parquet"):
            raise DataError(f"{path}: cannot write {path.suffix or 'a file without a suffix'}; use .jsonl, .json or .parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.form, self.count = path, form, 0
        self._partial = path.with_name(path.name + ".partial")
        self._text = None if path.suffix == ".parquet" else self._partial.open("w", encoding="utf-8")
        self._parquet: Any = None

    def write(self, table: Table) -> list[str | None]:
        """Write a table's rows; of each, the reason why it could not be written, or None."""
        extras = [name for name in table.columns if name not in COLUMNS]
        out, reasons = [], []
        for row in table.iter_rows(named=True):
            try:
                said = express(row, self.form)
                out.append({"id": row["id"], **said, **{name: row[name] for name in extras if name not in said}})
                reasons.append(None)
            except ValueError as error:
                reasons.append(str(error))
        if self._text is None:
            out, reasons = self._fit(out, reasons)
        self._put(out)
        self.count += len(out)
        return reasons

    def _fit(self, out: list[Row], reasons: list[str | None]) -> tuple[list[Row], list[str | None]]:
        """Parquet's columns are those of the first rows: a later row that brings another cannot be written."""
        if self._parquet is None:
            return out, reasons
        names = set(self._parquet.schema.names)
        late = [next((key for key, value in row.items() if value is not None and key not in names), None) for row in out]
        told = (
            f"column {key!r} is new after the first rows, and parquet is fixed: write .jsonl" if key else None for key in late
        )
        fitted = [row for row, key in zip(out, late, strict=True) if not key]
        return fitted, [reason if reason else next(told) for reason in reasons]

    def _put(self, out: list[Row]) -> None:
        if self._text is None:
            self._put_parquet(out)
            return
        for i, row in enumerate(out, self.count):
            line = json.dumps(row, ensure_ascii=False, default=str)
            self._text.write(line + "\n" if self.path.suffix == ".jsonl" else ("[\n" if i == 0 else ",\n") + line)

    def _put_parquet(self, out: list[Row]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not out:
            return
        batch = pa.Table.from_pylist(out) if self._parquet is None else pa.Table.from_pylist(out, schema=self._parquet.schema)
        self._parquet = self._parquet or pq.ParquetWriter(self._partial, batch.schema, compression="zstd")
        self._parquet.write_table(batch)

    def close(self) -> None:
        """Finish the file and put it in its place; without a row there is none."""
        if self._text is not None:
            self._text.write("" if self.path.suffix == ".jsonl" else ("[" if self.count == 0 else "") + "\n]\n")
            self._text.close()
        elif self._parquet is not None:
            self._parquet.close()
        if self.count:
            self._partial.replace(self.path)
        else:
            self._partial.unlink(missing_ok=True)

"""Write rows, as they arrive, to numbered parquet files and to one JSONL file beside them."""

from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import polars as pl

from attar.core.table import Table

GROUP_ROWS = 8_000
FILE_ROWS = 250_000


class Spool:
    """One side of the split: `train.parquet` (then `train-00001.parquet`, ...) and `train.jsonl`.

    Without rows no file is written. With `always` an empty file is, so that its columns can be read.
    """

    def __init__(self, folder: Path, side: str, *, always: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.side = side
        self.always = always
        self.count = 0
        self.files: list[Path] = []
        self._waiting: list[Table] = []
        self._blank: Table | None = None
        self._parquet: Any = None
        self._lines: BinaryIO | None = None
        self._room = 0

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._flush(last=True)
        if self._parquet is not None:
            self._parquet.close()
        if self._lines is not None:
            self._lines.close()

    def write(self, table: Table) -> None:
        """Add rows; they are all on disk once the spool is closed."""
        self._blank = table.clear()
        self.count += len(table)
        self._waiting.append(table)
        if sum(map(len, self._waiting)) >= GROUP_ROWS:
            self._flush()

    def _flush(self, *, last: bool = False) -> None:
        rows = pl.concat(self._waiting) if self._waiting else self._blank
        self._waiting = []
        if rows is None or (rows.is_empty() and not (last and self.always and not self.files)):
            return
        for start in range(0, max(1, len(rows)), FILE_ROWS):
            self._put(rows[start : start + FILE_ROWS])

    def _put(self, rows: Table) -> None:
        import pyarrow.parquet as pq

        arrow = rows.to_arrow()
        if self._parquet is None or len(rows) > self._room:
            if self._parquet is not None:
                self._parquet.close()
            number = f"-{len(self.files):05d}" if self.files else ""
            self.files.append(self.folder / f"{self.side}{number}.parquet")
            # without the stored Arrow schema every reader sees plain strings and lists
            self._parquet = pq.ParquetWriter(self.files[-1], arrow.schema, compression="zstd", store_schema=False)
            self._room = FILE_ROWS
        if len(rows):  # `datasets` cannot read an empty row group
            self._parquet.write_table(arrow)
        self._room -= len(rows)
        self._lines = self._lines or (self.folder / f"{self.side}.jsonl").open("wb")
        rows.write_ndjson(self._lines)

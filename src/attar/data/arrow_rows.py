"""Rows of parquet and Arrow IPC files, a batch at a time.

Arrow files are read in both forms: stream, as the `datasets` library saves them, and file, as Feather and polars write them.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attar.data.data_file import DataFile, RawRow
from attar.data.vector_columns import column_arrays

_BATCH = 4096


def parquet_rows(file: DataFile) -> Iterator[RawRow]:
    """The rows of a parquet file."""
    import pyarrow.parquet as pq

    with file.open() as stream, pq.ParquetFile(file.path if file.local else stream) as source:
        yield from _number_rows(file.path, source.iter_batches(batch_size=_BATCH))


def arrow_rows(file: DataFile) -> Iterator[RawRow]:
    """The rows of an Arrow IPC file of either form."""
    import pyarrow as pa

    with ExitStack() as opened:
        stream = opened.enter_context(file.open())
        source = opened.enter_context(pa.memory_map(str(file.path)) if file.local else pa.PythonFile(stream, mode="r"))
        is_file = source.read(6) == b"ARROW1"
        source.seek(0)
        reader = opened.enter_context((pa.ipc.open_file if is_file else pa.ipc.open_stream)(source))
        whole = (reader.get_batch(number) for number in range(reader.num_record_batches)) if is_file else reader
        pieces = (batch.slice(start, _BATCH) for batch in whole for start in range(0, batch.num_rows, _BATCH))
        yield from _number_rows(file.path, pieces)


def _number_rows(file: Path, batches: Iterable[Any]) -> Iterator[RawRow]:
    for number, value in enumerate((row for batch in batches for row in _batch_rows(batch)), 1):
        yield RawRow(file, number, value)


def _batch_rows(batch: Any) -> list[Any]:
    """The rows of a batch; a row that cannot be decoded is an error of its own, and the others are read."""
    try:
        columns = [column_arrays(column) or column.to_pylist() for column in batch.columns]
    except UnicodeDecodeError as error:
        half = batch.num_rows // 2
        return [*_batch_rows(batch.slice(0, half)), *_batch_rows(batch.slice(half))] if half else [error]
    return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]

from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attar.data.arrow_rows import arrow_rows, parquet_rows
from attar.data.data_file import DataFile

TABLE = pa.table({"id": [f"{i}" for i in range(10)], "n": range(10)})
ROWS = [(i + 1, {"id": f"{i}", "n": i}) for i in range(10)]


def rows_of(read, path, local):
    file = DataFile(path, partial(path.open, "rb"), local=local)
    return [(row.line, row.value) for row in read(file)]


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("opened", [pa.ipc.new_stream, pa.ipc.new_file])
def test_both_forms_of_arrow_files_are_read_from_here_and_elsewhere(tmp_path, opened, local):
    for codec in (None, "zstd"):
        with opened(str(tmp_path / "a"), TABLE.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as out:
            out.write_table(TABLE, max_chunksize=3)
        assert rows_of(arrow_rows, tmp_path / "a", local) == ROWS


@pytest.mark.parametrize("local", [True, False])
def test_parquet_is_read_from_here_and_elsewhere(tmp_path, local):
    pq.write_table(TABLE, tmp_path / "a", row_group_size=4)
    assert rows_of(parquet_rows, tmp_path / "a", local) == ROWS

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.data import vector_columns
from attar.data.readers import load


def columnar(path, table):
    """Write a table as the file's name says."""
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table, max_chunksize=2)
    return path


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
@pytest.mark.parametrize(
    ("kind", "read"),
    [
        (pa.list_(pa.float32()), pl.Float32),
        (pa.large_list(pa.float64()), pl.Float64),
        (pa.list_(pa.float32(), 2), pl.Float32),
        (pa.list_(pa.float16()), pl.Float32),
        (pa.list_(pa.int8()), pl.Float64),
    ],
    ids=str,
)
def test_vectors_of_a_columnar_file_stay_lists_of_as_many_bits(tmp_path, name, kind, read):
    given = pa.table({"v": pa.array([[1, 2], None, [3, 4]], type=kind), "prompt": ["q0", "q1", "q2"]})
    [batch] = load(columnar(tmp_path / name, given))
    assert batch.table.columns[-1] == "v"
    assert batch.table["v"].dtype == pl.List(read)
    assert batch.table["v"].to_list() == [[1.0, 2.0], None, [3.0, 4.0]]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_list_with_a_gap_in_it_is_no_vector_and_shows_its_gap(tmp_path, name):
    given = pa.table({"prompt": ["q0", "q1"], "v": pa.array([[0.5, None], [3, 4]], type=pa.list_(pa.float32()))})
    [batch] = load(columnar(tmp_path / name, given))
    assert batch.table["v"].to_list() == ["[0.5, null]", "[3.0, 4.0]"]


@given(
    st.lists(st.none() | st.lists(st.floats(allow_nan=False), min_size=1, max_size=4), min_size=1, max_size=7), st.booleans()
)
def test_any_lists_of_numbers_are_read_as_they_were_written_however_many_rows_at_once(tmp_path_factory, vectors, columns):
    file = tmp_path_factory.getbasetemp() / ("v.parquet" if columns else "v.jsonl")
    if columns:
        kind = pa.list_(pa.float64())
        columnar(file, pa.table({"prompt": ["q"] * len(vectors), "v": pa.array(vectors, type=kind)}))
    else:
        file.write_text("\n".join(json.dumps({"prompt": "q", "v": vector}) for vector in vectors))
    found = pl.concat([batch.table for batch in load(file, size=2)], how="diagonal")
    assert found.to_dict(as_series=False).get("v", [None] * len(vectors)) == vectors


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ([[1, 2.5], ["a"]], ["[1.0, 2.5]", '["a"]']),
        ([["a"], [1, 2]], ['["a"]', "[1, 2]"]),
        (["x", [1, 2]], ["x", "[1, 2]"]),
        ([[0.5, None], [True, False]], ["[0.5, null]", "[true, false]"]),
        ([[True, False]], ["[true, false]"]),
        ([[], None], ["[]", None]),
        ([[], [1 << 60]], ["[]", "[1152921504606846976]"]),
        ([[[1, 2]], {"a": [1]}], ["[[1, 2]]", '{"a": [1]}']),
        ([[], [1, 2]], [[], [1.0, 2.0]]),
    ],
)
def test_what_is_not_lists_of_numbers_throughout_is_json_text(tmp_path, values, read):
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"prompt": "q", "v": value}) for value in values))
    [batch] = load(tmp_path / "a.jsonl")
    assert batch.table["v"].to_list() == read
    assert batch.bad == []


def test_a_column_of_vectors_stays_one_and_a_later_row_that_has_none_is_set_aside(tmp_path):
    values = [[1, 2], None, ["a"], 7, [], [3]]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"prompt": "q", "v": value}) for value in values))
    batches = list(load(tmp_path / "a.jsonl", size=2))
    assert [batch.table["v"].to_list() for batch in batches] == [[[1.0, 2.0], None], [], [[], [3.0]]]
    assert [row.reason for batch in batches for row in batch.bad] == [
        "column 'v' is String here, but a list of numbers in earlier rows",
        "column 'v' is Float64 here, but a list of numbers in earlier rows",
    ]


MEASURE = """
import resource, sys
from pathlib import Path
from attar.data.readers import load
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
early, count = peak(), 0
for batch in load(Path(sys.argv[1]), size=500):
    count += batch.table.height
print(count, peak() - early)
"""


def test_vectors_are_never_held_as_python_numbers(tmp_path):
    flat = pa.array([0.25] * (1000 * 2048), type=pa.float32())  # 8 MB; as Python has numbers 16 MB for the references alone
    vectors = pa.FixedSizeListArray.from_arrays(flat, 2048)
    table = pa.table({"prompt": ["q"] * 1000, "v": vectors})
    with pq.ParquetWriter(tmp_path / "v.parquet", table.schema) as out:
        for _ in range(8):
            out.write_table(table)
    said = [sys.executable, "-c", MEASURE, tmp_path / "v.parquet"]
    read, grown = map(int, subprocess.run(said, capture_output=True, text=True, check=True).stdout.split())
    assert read == 8000
    assert grown < 250  # of 4,096 rows at once 32 MB each time that they are held


@pytest.mark.parametrize("kind", [pa.list_(pa.float16()), pa.list_(pa.float32(), 2), pa.large_list(pa.float64())], ids=str)
def test_rows_of_an_arrow_column_become_arrays_and_a_missing_one_none(kind):
    column = pa.array([[9, 9], [1, 2], None, [3, 4]], type=kind).slice(1)
    first, none, last = vector_columns.column_arrays(column)
    assert none is None
    assert (first.tolist(), last.tolist()) == ([1, 2], [3, 4])
    assert first.dtype == (np.float64 if "double" in str(kind) else np.float32)


@pytest.mark.parametrize(
    ("values", "kind"),
    [([[1, 2]], pa.list_(pa.int32())), ([1.0], pa.float32()), ([[1.0, None]], pa.list_(pa.float32())), (["a"], pa.string())],
    ids=str,
)
def test_a_column_that_does_not_hold_vectors_throughout_is_left_to_others(values, kind):
    assert vector_columns.column_arrays(pa.array(values, type=kind)) is None
    assert vector_columns.column_arrays(pa.array([[1.0, 2.0]], type=pa.list_(pa.float32())))[0].tolist() == [1, 2]


def test_a_column_has_as_many_bits_as_its_widest_vector_and_null_where_there_is_none():
    narrow, wide = np.array([1.5, 2.5], dtype=np.float32), np.array([1 / 3])
    assert vector_columns.list_dtype([narrow, narrow]) == pl.List(pl.Float32)
    kind = vector_columns.list_dtype([narrow, wide])
    made = vector_columns.vector_series("v", [narrow, None, wide, np.zeros(0)], kind)
    assert (made.name, made.dtype) == ("v", pl.List(pl.Float64))
    assert made.to_list() == [[1.5, 2.5], None, [1 / 3], []]

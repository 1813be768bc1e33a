import bz2
import csv
import gzip
import io
import json
import lzma
import subprocess
import sys

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbook_for_tests import write_workbook

from attar.core.errors import DataError
from attar.data.raw import raw_rows
from attar.data.readers import load

TALK = [{"role": "user", "content": 'Hi, "you"\nthere'}, {"role": "assistant", "content": "Yo;\tä"}]


def packed_zstd(text):
    return pa.compress(text, codec="zstd", asbytes=True)


PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": packed_zstd}


def cells(row):
    return [json.dumps(row[name]) if isinstance(row[name], list) else row[name] for name in sorted(row)]


def table_text(rows, delimiter):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(sorted(rows[0]))
    writer.writerows(cells(row) for row in rows)
    return text.getvalue().encode()


def stream_bytes(table, opened):
    out = io.BytesIO()
    with opened(out, table.schema) as stream:
        stream.write_table(table, max_chunksize=2)
    return out.getvalue()


TEXTS = {
    ".jsonl": lambda rows: "\n".join(map(json.dumps, rows)).encode(),
    ".ndjson": lambda rows: "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode(),
    ".json": lambda rows: json.dumps(rows).encode(),
    ".csv": lambda rows: table_text(rows, ","),
    ".tsv": lambda rows: table_text(rows, "\t"),
}
WRITE = {
    **TEXTS,
    **{
        text + end: lambda rows, write=write, pack=pack: pack(write(rows))
        for text, write in TEXTS.items()
        for end, pack in PACK.items()
    },
    ".arrow": lambda rows: stream_bytes(pa.Table.from_pylist(rows), pa.ipc.new_stream),
    ".ipc": lambda rows: stream_bytes(pa.Table.from_pylist(rows), pa.ipc.new_file),
}


def write(file, rows):
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    elif file.suffix == ".feather":
        pl.DataFrame(rows).write_ipc(file, compression="zstd")
    elif file.suffix == ".xlsx":
        write_workbook(file, Sheet=[sorted(rows[0]), *map(cells, rows)])
    else:
        file.write_bytes(WRITE["." + file.name.partition(".")[2]](rows))
    return file


NAMES = [*WRITE, ".parquet", ".feather", ".xlsx"]
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.just("\n"), min_size=1, max_size=12)
ROWS = st.lists(st.fixed_dictionaries({"id": WORDS, "prompt": WORDS, "response": WORDS}), min_size=1, max_size=5)


@pytest.mark.parametrize("name", NAMES)
@given(rows=ROWS)
def test_every_container_gives_the_rows_that_were_put_in_and_in_their_order(tmp_path_factory, name, rows):
    file = write(tmp_path_factory.getbasetemp() / f"same{name}", rows)
    assert [row.value for row in raw_rows(file)] == rows


@pytest.mark.parametrize("name", NAMES)
def test_every_container_gives_the_same_table_with_unique_ids(tmp_path, name):
    talks = [{"messages": TALK, "source": f"s{i}"} for i in range(5)]
    [batch] = load(write(tmp_path / f"a{name}", talks))
    assert batch.table["messages"].to_list() == [TALK] * 5
    assert batch.table["source"].to_list() == [f"s{i}" for i in range(5)]
    assert batch.table["id"].n_unique() == 5
    assert batch.bad == []


BAD = [{"prompt": "q0"}, {"prompt": None}, {"prompt": "q2"}]


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_row_of_every_container_is_set_aside_with_its_file(tmp_path, name):
    rows = [{**row, "n": f"{i}"} for i, row in enumerate(BAD)]
    [batch] = load(write(tmp_path / f"a{name}", rows))
    assert batch.table["prompt"].to_list() == ["q0", "q2"]
    [bad] = batch.bad
    first = {".csv": 2, ".tsv": 2, ".xlsx": 2}.get("." + name.split(".")[1], 1)
    place = 1 if name.startswith(".json") and not name.startswith(".jsonl") else first + 1  # an array on one line
    assert (bad.file, bad.line) == (str(tmp_path / f"a{name}"), place)


@pytest.mark.parametrize("name", [".jsonl.gz", ".jsonl.bz2", ".jsonl.xz", ".jsonl.zst"])
def test_a_compressed_file_that_ends_early_is_read_up_to_there_and_said_to_be_damaged(tmp_path, name):
    file = write(tmp_path / f"a{name}", [{"prompt": f"{i * 7919:x}" * 9} for i in range(20_000)])
    file.write_bytes(file.read_bytes()[:-40])
    *good, bad = raw_rows(file)
    assert len(good) > (10_000 if name == ".jsonl.bz2" else 19_000)  # bzip2 has blocks of 900 KB
    assert [row.line for row in good] == [*range(1, len(good) + 1)]
    assert str(bad.value).startswith(("damaged, so nothing from here on could be read: ", "not JSON: "))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00\x01 neither"], ids=["empty", "blank", "other"])
def test_a_file_that_is_empty_or_another_kind_gives_no_row_that_is_no_error(tmp_path, name, content):
    (tmp_path / f"a{name}").write_bytes(content)
    assert all(isinstance(row.value, ValueError) and "\n" not in str(row.value) for row in raw_rows(tmp_path / f"a{name}"))


def test_a_suffix_that_is_not_known_is_refused_with_those_that_are(tmp_path):
    (tmp_path / "a.docx").write_text("x")
    with pytest.raises(DataError, match=r"a.docx: cannot read .docx; supported: .jsonl, .*, .xlsx; the first"):
        list(raw_rows(tmp_path / "a.docx"))


MEASURE = """
import resource, sys
from attar.data.readers import load
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
count = 0
for i, batch in enumerate(load(sys.argv[1], size=500)):
    count += batch.table.height
    if i == 4:
        early = peak()
print(count, peak() - early)
"""


@pytest.mark.parametrize("name", [".jsonl.zst", ".jsonl.gz", ".csv", ".ipc", ".arrow"])
def test_memory_does_not_grow_with_the_file(tmp_path, name):
    file = write(tmp_path / f"a{name}", [{"prompt": f"{i}" + "q" * 2000, "response": "a" * 2000} for i in range(12_000)])
    out = subprocess.run([sys.executable, "-c", MEASURE, file], capture_output=True, text=True, check=True)
    read, grown = map(int, out.stdout.split())
    assert read == 12_000
    assert grown < (
        75 if name in (".ipc", ".arrow") else 25
    )  # the pages of a mapped file count, though the system may drop them

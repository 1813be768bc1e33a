import json
import sys

import pytest

from attar.core.errors import DataError, MissingExtraError
from attar.data import sources
from attar.data.readers import load, raw_rows
from attar.stages import pool

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory():
    system = fsspec.filesystem("memory")
    system.store.clear()
    for name in ("b.jsonl", "a.jsonl.gz", "in/c.parquet", "in/notes.md"):
        put(system, name, name)
    yield system
    system.store.clear()


def put(system, name, prompt):
    import gzip

    import polars as pl

    line = json.dumps({"prompt": prompt}).encode()
    with system.open(f"/data/{name}", "wb") as out:
        if name.endswith(".parquet"):
            pl.DataFrame({"prompt": [prompt]}).write_parquet(out)
        else:
            out.write(gzip.compress(line) if name.endswith(".gz") else line)


@pytest.mark.parametrize(
    ("address", "rows"),
    [
        ("memory://data", {"a.jsonl:1": "a.jsonl.gz", "b:1": "b.jsonl", "in/c:1": "in/c.parquet"}),
        ("memory://data/b.jsonl", {"b:1": "b.jsonl"}),
        ("memory://data/*.jsonl*", {"a.jsonl:1": "a.jsonl.gz", "b:1": "b.jsonl"}),
        ("memory://data/in/*", {"c:1": "in/c.parquet"}),
    ],
)
def test_files_elsewhere_are_read_like_files_here(memory, address, rows):
    found = {row["id"]: row["prompt"] for batch in load(address) for row in batch.table.iter_rows(named=True)}
    assert found == rows
    assert pool.read(**sources.pin_source(address))["id"].to_list() == list(rows)


def test_a_bad_row_elsewhere_has_its_address(memory):
    memory.pipe("/data/bad.jsonl", b'{"prompt": "q"}\noops\n')
    [batch] = load("memory://data/bad.jsonl")
    assert [(row.file, row.line) for row in batch.bad] == [("memory://data/bad.jsonl", 2)]


def test_files_elsewhere_are_known_by_their_content_and_names(memory):
    first = sources.pin_source("memory://data")
    put(memory, "b.jsonl", "b.jsonl")  # written again, with another date
    assert sources.pin_source("memory://data") == first
    put(memory, "b.jsonl", "B.jsonl")
    changed = sources.pin_source("memory://data")
    put(memory, "new.jsonl", "more")
    assert len({first["content"], changed["content"], sources.pin_source("memory://data")["content"]}) == 3
    with pytest.raises(DataError, match="has changed since the run started"):
        pool.read(**first)


def test_a_filesystem_that_marks_contents_is_not_read_to_know_them(memory, monkeypatch):
    marks = {"/data/b.jsonl": {"ETag": '"1"'}}
    monkeypatch.setattr(type(memory), "info", lambda self, path, **_: {"name": path, "type": "file", **marks[path]})
    monkeypatch.setattr(type(memory), "isdir", lambda self, path: False)
    monkeypatch.setattr(type(memory), "_open", lambda *_, **__: pytest.fail("the file was read"))
    first = sources.pin_source("memory://data/b.jsonl")
    assert sources.pin_source("memory://data/b.jsonl") == first
    marks["/data/b.jsonl"]["ETag"] = '"2"'
    assert sources.pin_source("memory://data/b.jsonl") != first


@pytest.mark.parametrize("address", ["memory://data/none.jsonl", "memory://data/x*.jsonl", "memory://nothing"])
def test_an_address_without_files_is_an_error(memory, address):
    with pytest.raises(DataError, match="does not exist, or is a folder without data files: check the address"):
        load(address)


def test_a_connection_that_breaks_is_no_damaged_file(memory, monkeypatch):
    class Broken:
        def read(self, size):
            raise TimeoutError("the line is dead")

        def close(self):
            pass

    monkeypatch.setattr(type(memory), "_open", lambda *_, **__: Broken())
    with pytest.raises(DataError, match=r"^memory://data/b.jsonl could not be read \(the line is dead\): check"):
        list(raw_rows("memory://data/b.jsonl"))


def test_an_address_with_a_password_or_of_no_known_filesystem_is_refused():
    with pytest.raises(DataError, match="the address has a password in it") as caught:
        load("https://me:secret@example.org/a.jsonl")
    assert "secret" not in str(caught.value)
    with pytest.raises(DataError, match=r"nowhere://a.jsonl could not be read .Protocol not known: nowhere"):
        load("nowhere://a.jsonl")


def test_s3_without_its_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'attar\[s3\]'"):
        load("s3://bucket/a.jsonl")

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attar.core.errors import DataError
from attar.data.files import data_files
from attar.data.readers import load, raw_rows

GOOD = [f'{{"prompt": "q{i}", "response": "ä{i}"}}' for i in range(4)]
NOT_A_ROW = {
    "[1, 2]": "the row is list, not an object",
    "7": "the row is int, not an object",
    '{"messages": []}': "the conversation is empty or not a list",
    '{"messages": [{"role": "wizard", "content": "x"}]}': "unknown role 'wizard'",
    '{"prompt": 3}': "a turn holds something other than text",
    '{"text": "x"}': "no known chat format in the keys text",
    '{"prompt": "\\ud800"}': "not UTF-8 text",
}
NOT_JSON = {
    '{"prompt": "q"': "not JSON: Expecting ',' delimiter",
    "oops": "not JSON: Expecting value",
    "[" * 99_999: "not JSON: maximum",
}
LATIN = '{"prompt": "é"}'.encode("latin-1")


def taken(path, **options):
    """Prompts with their lines, and what was set aside, of all batches."""
    batches = list(load(path, **options))
    good = [(prompt, line) for b in batches for prompt, (_, line) in zip(b.table["prompt"], b.places, strict=True)]
    return good, [(Path(row.file).name, row.line, row.reason) for b in batches for row in b.bad]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json", "a.jsonl.gz", "a.json.gz"])
@pytest.mark.parametrize("line", [*NOT_A_ROW, *NOT_JSON, LATIN], ids=range(len(NOT_A_ROW) + len(NOT_JSON) + 1))
def test_a_bad_line_is_set_aside_and_the_others_are_read(tmp_path, name, line):
    text = b"\n".join(
        [*(row.encode() for row in GOOD[:2]), b"", line if isinstance(line, bytes) else line.encode(), GOOD[2].encode()]
    )
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    good, [(file, number, reason)] = taken(tmp_path / name)
    assert good == [("q0", 1), ("q1", 2), ("q2", 5)]
    assert (file, number) == (name, 4)
    assert reason.startswith({**NOT_A_ROW, **NOT_JSON, LATIN: "not UTF-8 text"}[line])


@pytest.mark.parametrize("item", [*NOT_A_ROW, LATIN], ids=range(len(NOT_A_ROW) + 1))
def test_a_bad_item_of_an_array_is_set_aside_and_the_others_are_read(tmp_path, item):
    item = item if isinstance(item, bytes) else item.encode()
    (tmp_path / "a.json").write_bytes(b"\n[\n" + GOOD[0].encode() + b",\n\n" + item + b",\n" + GOOD[1].encode() + b"\n]")
    good, bad = taken(tmp_path / "a.json")
    assert good == [("q0", 3), ("q1", 6)]
    assert bad == [("a.json", 5, NOT_A_ROW.get(item.decode(errors="replace"), "not UTF-8 text"))]


@pytest.mark.parametrize("tail", ['{"prompt": oops}]', "[" * 99_999, '{"prompt": ' + "1" * 5000 + "}]", '{"prompt"', "", "}"])
def test_an_array_that_breaks_is_read_up_to_there_and_said_to_be_broken(tmp_path, tail):
    (tmp_path / "a.json").write_text(f"[{GOOD[0]},\n{GOOD[1]},\n{tail}")
    good, [(file, line, reason)] = taken(tmp_path / "a.json")
    assert good == [("q0", 1), ("q1", 2)]
    assert (file, line) == ("a.json", 3)
    assert reason.startswith("not JSON, so nothing from here on could be read: ")


@pytest.mark.parametrize("text", ["[]", " [ ]\n", "", "\n\n"])
def test_nothing_gives_no_rows(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    assert list(load(tmp_path / "a.json")) == []


def test_a_gz_that_ends_early_is_read_up_to_there_and_said_to_be_damaged(tmp_path):
    whole = gzip.compress("\n".join(GOOD * 500).encode())
    (tmp_path / "a.jsonl.gz").write_bytes(whole[:-30])
    (tmp_path / "b.jsonl").write_text(GOOD[0])
    good, [(file, line, reason)] = taken(tmp_path)
    assert 0 < line - 1 == len(good) - 1 < 2000
    assert file == "a.jsonl.gz"
    assert reason.startswith("damaged, so nothing from here on could be read")
    assert good[-1] == ("q0", 1)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.jsonl.gz"])
def test_a_file_that_is_not_what_its_name_says_is_one_bad_row(tmp_path, name):
    (tmp_path / name).write_text("not at all")
    good, [(file, line, _)] = taken(tmp_path / name)
    assert (good, file, line) == ([], name, 1)


def mistakes():
    """Six rows, of which the second is not UTF-8, the fourth has no turns and the fifth an unknown role."""
    texts = [b"q0", b"q\xff", b"q2", b"q3", b"q4", b"q5"]
    at = pa.py_buffer(b"".join(n.to_bytes(4, "little") for n in range(0, 13, 2)))
    asked = pa.StringArray.from_buffers(6, at, pa.py_buffer(b"".join(texts)))
    turn = {"role": "user", "content": "x"}
    talks = [None, None, None, [], [{**turn, "role": "wizard"}], None]
    return pa.table({"prompt": asked, "messages": pa.array(talks)})


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_bad_row_of_a_columnar_file_is_set_aside_and_the_others_are_read(tmp_path, name):
    if name == "a.parquet":
        pq.write_table(mistakes(), tmp_path / name)
    else:
        with pa.OSFile(str(tmp_path / name), "wb") as out, pa.ipc.new_stream(out, mistakes().schema) as stream:
            stream.write_table(mistakes(), max_chunksize=4)
    good, bad = taken(tmp_path / name)
    assert good == [("q0", 1), ("q2", 3), ("q5", 6)]
    assert bad == [
        (name, 2, "not UTF-8 text"),
        (name, 4, "the conversation is empty or not a list"),
        (name, 5, "unknown role 'wizard'"),
    ]


def test_a_folder_is_all_its_data_files_in_order(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.jsonl").write_text(GOOD[1])
    (tmp_path / "a.json").write_text(f"[{GOOD[0]}]")
    (tmp_path / "c.jsonl").write_text("oops\n" + GOOD[2])
    (tmp_path / "README.md").write_text("words")
    assert [file.name for file in data_files(tmp_path)] == ["a.json", "x.jsonl", "c.jsonl"]
    good, bad = taken(tmp_path)
    assert good == [("q0", 1), ("q1", 1), ("q2", 2)]
    assert [place[:2] for place in bad] == [("c.jsonl", 1)]


@pytest.mark.parametrize("parted", [False, True], ids=["Dataset", "DatasetDict"])
def test_a_datasets_folder_is_its_rows(tmp_path, parted):
    datasets = pytest.importorskip("datasets")
    talk = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    made = datasets.Dataset.from_list([{"messages": talk, "n": 1}, {"messages": [], "n": 2}, {"messages": talk, "n": 3}])
    (datasets.DatasetDict({"train": made, "test": made}) if parted else made).save_to_disk(str(tmp_path / "d"))
    [batch] = load(tmp_path / "d")
    times = 2 if parted else 1
    assert batch.table["messages"].to_list() == [talk, talk] * times
    assert batch.table["n"].to_list() == [1, 3] * times
    assert [row.line for row in batch.bad] == [2] * times
    assert batch.table["id"].n_unique() == 2 * times


def test_what_datasets_caches_beside_its_rows_is_not_read_twice(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list([{"prompt": "q"}] * 3).save_to_disk(str(tmp_path / "d"))
    datasets.load_from_disk(str(tmp_path / "d")).map(lambda row: {"prompt": row["prompt"] + "!"})
    assert list((tmp_path / "d").glob("cache-*.arrow"))
    assert taken(tmp_path / "d") == ([("q", 1), ("q", 2), ("q", 3)], [])


def test_a_column_keeps_the_kind_it_began_with_and_a_bad_row_teaches_nothing(tmp_path):
    lines = [{"s": "x", "n": 1 << 60}, {"s": 1, "n": 2}, {"s": 0.5}, {"s": "x"}, {"s": True}, {"s": None, "n": 3}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"prompt": "q", **line}) for line in lines))
    [batch] = load(tmp_path / "a.jsonl")
    assert batch.table["s"].to_list() == [1, 0.5, None]
    assert batch.table["n"].to_list() == [2, None, 3]
    assert [(row.line, row.reason.partition(" holds")[0]) for row in batch.bad] == [
        (1, "column 'n'"),
        (4, "column 's' is String here, but Float64 in earlier rows"),
        (5, "column 's' is Boolean here, but Float64 in earlier rows"),
    ]


def test_a_row_keeps_its_id_or_gets_its_place(tmp_path):
    lines = [{"id": "x"}, {"id": 7}, {"id": ""}, {"id": None}, {}]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"prompt": "q", **line}) for line in lines))
    [batch] = load(tmp_path / "a.jsonl")
    assert batch.table["id"].to_list() == ["x", "7", "a:3", "a:4", "a:5"]


def test_batches_hold_no_more_rows_than_the_size_the_bad_ones_too(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join([*GOOD[:3], "oops", GOOD[3]]))
    batches = list(load(tmp_path / "a.jsonl", size=2))
    assert [(b.table.height, len(b.bad)) for b in batches] == [(2, 0), (1, 1), (1, 0)]


def test_what_is_not_there_or_not_readable_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "chats.jsonl").write_text(GOOD[0])
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("q,a")
    with pytest.raises(DataError, match=r"did you mean 'chats.jsonl'"):
        data_files(tmp_path / "chat.jsonl")
    with pytest.raises(DataError, match="holds no data file"):
        data_files(tmp_path / "empty")
    with pytest.raises(DataError, match=r"cannot read \.txt"):
        list(raw_rows(tmp_path / "a.txt"))
    with pytest.raises(DataError, match="did you mean 'alpaca'"):
        list(load(tmp_path / "chats.jsonl", form="alpacca"))


MEASURE = """
import resource, sys
from pathlib import Path
from attar.data.readers import load
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
batches, count = load(Path(sys.argv[1]), size=500), 0
for i, batch in enumerate(batches):
    count += batch.table.height
    if i == 4:
        early = peak()
print(count, peak() - early)
"""


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_memory_does_not_grow_with_the_file(tmp_path, name):
    row, count = json.dumps({"prompt": "q" * 2000, "response": "a" * 2000}), 12_000
    array = name == "a.json"
    (tmp_path / name).write_text("[" * array + (",\n" if array else "\n").join([row] * count) + "]" * array)
    assert (tmp_path / name).stat().st_size > 45 << 20
    out = subprocess.run([sys.executable, "-c", MEASURE, tmp_path / name], capture_output=True, text=True, check=True)
    read, grown = map(int, out.stdout.split())
    assert read == count
    assert grown < 25

import json
import random
from functools import partial

import pytest
from at_once_for_tests import kill_in, only_locked_out, put_foreign, run_on_full_disk, run_together, snapshot, unchanged

from attar.api.convert import convert
from attar.core.errors import DataError
from attar.data.readers import load


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def source(tmp_path):
    def write(*rows, name="in.jsonl"):
        (tmp_path / name).write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
        return tmp_path / name

    return write


SINGLE = {"prompt": "q", "response": "a"}
DOUBLE = {"messages": [{"role": role, "content": "x"} for role in ("user", "assistant") * 2]}


def test_rows_of_several_formats_become_one(source, tmp_path):
    sharegpt = {"conversations": [{"from": "human", "value": "ä"}, {"from": "gpt", "value": "b"}], "id": "own", "score": 2.5}
    report = convert(source(SINGLE, sharegpt), tmp_path / "out.jsonl", "alpaca")
    assert lines(tmp_path / "out.jsonl") == [
        {"id": "in:1", "instruction": "q", "input": "", "output": "a", "score": None},
        {"id": "own", "instruction": "ä", "input": "", "output": "b", "score": 2.5},
    ]
    assert report == {"target": str(tmp_path / "out.jsonl"), "rows": 2, "rejected": 0, "reasons": {}, "aside": None}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_rows_of_an_array_on_one_line_and_rows_with_one_id_get_ids_of_their_own(tmp_path):
    (tmp_path / "in.json").write_text(
        json.dumps([SINGLE, SINGLE, {**SINGLE, "id": "in:1.3"}, {**SINGLE, "id": "in:1"}, SINGLE])
    )
    convert(tmp_path / "in.json", tmp_path / "out.jsonl", "prompt")
    ids = [row["id"] for row in lines(tmp_path / "out.jsonl")]
    assert ids == ["in:1", "in:1.2", "in:1.3", "in:1.4", "in:1.5"]


def test_what_cannot_be_read_or_written_lies_aside_with_its_place_and_reason(source, tmp_path):
    file = source(SINGLE, "oops", DOUBLE, '{"prompt": "\\ud800"}', DOUBLE)
    report = convert(file, tmp_path / "out.jsonl", "prompt")
    assert [row["prompt"] for row in lines(tmp_path / "out.jsonl")] == ["q"]
    refused = "cannot be written as prompt: prompt holds one prompt and one response, this row has 4 turns"
    aside = tmp_path / "out.jsonl.rejected.jsonl"
    assert {(row["file"], row["line"], row["reason"].partition(":")[0]) for row in lines(aside)} == {
        (str(file), 2, "not JSON"),
        (str(file), 3, "cannot be written as prompt"),
        (str(file), 4, "not UTF-8 text"),
        (str(file), 5, "cannot be written as prompt"),
    }
    assert (report["rows"], report["rejected"], report["aside"]) == (1, 4, str(aside))
    assert next(iter(report["reasons"].items())) == (refused, 2)
    assert [json.loads(row["text"]) for row in lines(aside) if row["line"] == 3] == [DOUBLE["messages"]]


def test_other_columns_never_overwrite_what_a_format_says(source, tmp_path):
    row = {
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
        "instruction": "no",
        "tag": "t",
    }
    convert(source(row), tmp_path / "out.jsonl", "alpaca")
    assert lines(tmp_path / "out.jsonl") == [{"id": "in:1", "instruction": "q", "input": "", "output": "a", "tag": "t"}]


@pytest.mark.parametrize("rows", [[], ["oops"]])
def test_nothing_to_write_is_an_error_and_leaves_no_target(source, tmp_path, rows):
    with pytest.raises(DataError, match=r"no row could be converted.*(it is empty|not JSON)"):
        convert(source(*rows), tmp_path / "out.jsonl", "messages")
    assert not (tmp_path / "out.jsonl").exists()
    assert not (tmp_path / "out.jsonl.partial").exists()


@pytest.mark.parametrize("name", ["out.jsonl", "out.json", "out.parquet"])
@pytest.mark.parametrize("form", ["messages", "sharegpt", "alpaca", "prompt"])
def test_what_is_written_is_read_again(source, tmp_path, name, form):
    convert(source(*[{**SINGLE, "prompt": f"q{i}", "id": f"r{i}", "score": i / 2} for i in range(5)]), tmp_path / name, form)
    [batch] = load(tmp_path / name)
    assert batch.bad == []
    assert batch.table.select("id", "prompt", "response", "score").rows() == [(f"r{i}", f"q{i}", "a", i / 2) for i in range(5)]


def test_a_json_file_is_an_array_of_rows(source, tmp_path):
    convert(source(SINGLE, SINGLE), tmp_path / "out.json", "prompt")
    assert json.loads((tmp_path / "out.json").read_text()) == [{"id": f"in:{i}", **SINGLE} for i in (1, 2)]


def test_preferences_keep_both_answers(source, tmp_path):
    convert(source({"prompt": "q", "chosen": "good", "rejected": "bad"}), tmp_path / "out.jsonl", "preference")
    [row] = lines(tmp_path / "out.jsonl")
    assert row == {
        "id": "in:1",
        "prompt": [{"role": "user", "content": "q"}],
        "chosen": [{"role": "assistant", "content": "good"}],
        "rejected": [{"role": "assistant", "content": "bad"}],
    }


@pytest.mark.parametrize("layout", [None, "datasets"])
def test_a_folder_is_written_and_read_back(tmp_path, layout):
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"prompt": f"q{i}", "response": f"a{i}", "score": i / 2}) + "\n" for i in range(50)))
    found = convert(source, tmp_path / "out", "messages", layout=layout)
    assert found["rows"] == 50
    rows = [row for batch in load(tmp_path / "out") for row in batch.table.to_dicts()]
    assert [(row["prompt"], row["response"], row["score"]) for row in rows] == [(f"q{i}", f"a{i}", i / 2) for i in range(50)]
    if layout:
        from datasets import load_from_disk

        assert load_from_disk(str(tmp_path / "out"))[3]["messages"][0] == {"role": "user", "content": "q3"}
    assert not list(tmp_path.glob("*.partial"))


def test_a_folder_that_is_there_already_is_not_written_over(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"prompt": "q", "response": "a"}\n')
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="exists already"):
        convert(tmp_path / "in.jsonl", tmp_path / "out", "messages")


def test_an_unknown_layout_is_named(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"prompt": "q", "response": "a"}\n')
    with pytest.raises(DataError, match="unknown layout 'dataset'; did you mean 'datasets'"):
        convert(tmp_path / "in.jsonl", tmp_path / "out", "messages", layout="dataset")


def test_a_target_within_what_is_read_is_refused(tmp_path):
    source = tmp_path / "data"
    source.mkdir()
    (source / "a.jsonl").write_text('{"prompt": "q", "response": "a"}\n')
    for target in (source / "out.jsonl", source / "a.jsonl"):
        with pytest.raises(DataError, match=r"is inside|is \(or contains\)"):
            convert(source, target, "messages")
    with pytest.raises(DataError, match=r"is \(or contains\) the source"):
        convert(source / "a.jsonl", source / "a.jsonl", "messages")
    assert [path.name for path in source.iterdir()] == ["a.jsonl"]


def test_a_missing_source_leaves_no_litter(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        convert(tmp_path / "none.jsonl", tmp_path / "new" / "out.jsonl", "messages")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["same", "dots", "symbolic link", "hard link", "folder of it", "linked folder"])
def test_a_target_that_is_the_source_by_another_name_is_refused_before_anything_opens(source, tmp_path, how):
    (tmp_path / "data").mkdir()
    file = source(SINGLE, "oops", name="data/in.jsonl")
    (tmp_path / "soft.jsonl").symlink_to(file)
    (tmp_path / "hard.jsonl").hardlink_to(file)
    (tmp_path / "elsewhere").symlink_to(tmp_path / "data")
    target = {
        "same": file,
        "dots": tmp_path / "data" / ".." / "data" / "in.jsonl",
        "symbolic link": tmp_path / "soft.jsonl",
        "hard link": tmp_path / "hard.jsonl",
        "folder of it": tmp_path / "data",
        "linked folder": tmp_path / "elsewhere",
    }[how]
    before, written = snapshot(tmp_path), file.stat()
    with pytest.raises(DataError, match=r"is \(or contains\) the source .*: choose another path"):
        convert(file, target, "messages")
    assert snapshot(tmp_path) == before
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (written.st_mtime_ns, written.st_ino)


def many(count, answer):
    return [{"prompt": f"q{i}", "response": answer, "id": f"r{i}"} for i in range(count)]


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_two_at_once_give_one_whole_file_each_or_one_clear_line(source, tmp_path, name):
    files = [source(*many(3000, letter), "oops", name=f"{letter}.jsonl") for letter in "xy"]
    target, foreign = tmp_path / name, put_foreign(tmp_path / name)
    for results in run_together(*(partial(convert, file, target, "messages") for file in files)):
        assert only_locked_out(results)
        [batch] = load(target)
        assert batch.bad == []
        assert batch.table["response"].unique().len() == 1
        assert batch.table["id"].to_list() == [f"r{i}" for i in range(3000)]
    assert unchanged(foreign)
    aside = [lines(path)[0]["file"] for path in sorted(tmp_path.glob("out.*.rejected-*.jsonl"))]
    assert set(aside) <= {str(file) for file in files}
    assert len(aside) == len(set(aside)) > 0, "the same rows make no second file"


@pytest.mark.parametrize("where", ["attar.data.writers.Sink.write", "attar.data.writers.move_into_place"])
def test_a_conversion_that_was_killed_leaves_the_old_file_and_the_next_works(source, tmp_path, where):
    file, foreign = source(*many(10, "new")), put_foreign(tmp_path / "out.jsonl")
    (tmp_path / "out.jsonl").write_text("old")
    known = set(tmp_path.iterdir())
    kill_in(where, partial(convert, file, tmp_path / "out.jsonl", "messages"))
    assert (tmp_path / "out.jsonl").read_text() == "old"
    assert set(tmp_path.iterdir()) > known
    convert(file, tmp_path / "out.jsonl", "messages")
    assert len(lines(tmp_path / "out.jsonl")) == 10
    assert set(tmp_path.iterdir()) == known
    assert unchanged(foreign)


@pytest.mark.parametrize("name", ["out.jsonl", "out.json", "out.parquet"])
def test_a_full_disk_leaves_the_old_file_and_no_other(source, tmp_path, name):
    texts = [{**row, "prompt": random.Random(i).randbytes(500).hex()} for i, row in enumerate(many(300, "new"))]
    file = source(*texts)
    (tmp_path / name).write_text("old")
    call = partial(convert, file, tmp_path / name, "messages")
    assert "File too large" in run_on_full_disk(call, 50_000)
    assert (tmp_path / name).read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", name}
    assert convert(file, tmp_path / name, "messages")["rows"] == 300

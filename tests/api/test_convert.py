import json

import pytest

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

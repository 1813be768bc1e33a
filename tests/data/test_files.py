import io

import pytest

from attar.core.errors import DataError
from attar.data.files import data_files, find_files, is_pattern, split_sheet
from attar.data.readers import load


@pytest.fixture
def here(tmp_path, monkeypatch):
    for name in ("b.jsonl", "a.jsonl", "in/c.jsonl", "in/deep/d.jsonl", "in/notes.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f'{{"prompt": "{name}"}}\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "names", "root"),
    [
        ("*.jsonl", ["a.jsonl", "b.jsonl"], "."),
        ("[a]*", ["a.jsonl"], "."),
        ("in/*.jsonl", ["in/c.jsonl"], "in"),
        ("in/**/*.jsonl", ["in/c.jsonl", "in/deep/d.jsonl"], "in"),
        ("in/*", ["in/c.jsonl", "in/deep/d.jsonl"], "in"),
        ("*/deep/*.jsonl", ["in/deep/d.jsonl"], "."),
    ],
)
def test_a_pattern_is_the_data_files_that_match_it_in_order(here, pattern, names, root):
    files, found = find_files(pattern)
    assert [str(file.path) for file in files] == names
    assert str(found) == root
    assert [row for batch in load(pattern) for row in batch.table["prompt"]] == names


def test_a_pattern_gives_ids_below_its_last_folder_without_a_wildcard(here):
    [batch] = load("in/**/*.jsonl")
    assert batch.table["id"].to_list() == ["c:1", "deep/d:1"]


def test_a_file_with_the_name_of_a_pattern_is_the_file(here):
    (here / "[a].jsonl").write_text('{"prompt": "odd"}')
    assert not is_pattern("[a].jsonl")
    assert [row for batch in load("[a].jsonl") for row in batch.table["prompt"]] == ["odd"]


def test_a_pattern_that_matches_nothing_is_an_error(here):
    with pytest.raises(DataError, match=r"x\*\.jsonl matches no data file; supported: .jsonl"):
        data_files("x*.jsonl")


def test_the_home_folder_may_be_abbreviated(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    assert [file.name for file in data_files("~/*.jsonl")] == ["a.jsonl", "b.jsonl"]
    assert [file.name for file in data_files("~/in")] == ["c.jsonl", "d.jsonl"]


def test_a_sheet_is_named_behind_its_book_unless_a_file_has_that_name(tmp_path):
    assert split_sheet(tmp_path / "a.xlsx#One") == (tmp_path / "a.xlsx", "One")
    assert split_sheet(tmp_path / "a.xlsx") == (tmp_path / "a.xlsx", None)
    (tmp_path / "a.xlsx#One").write_text("")
    assert split_sheet(tmp_path / "a.xlsx#One") == (tmp_path / "a.xlsx#One", None)


@pytest.mark.parametrize("text", ['[{"prompt": "q"}]', '{"prompt": "q"}\n'])
def test_standard_input_is_an_array_or_lines(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    [batch] = load("-")
    assert (batch.table["prompt"].to_list(), batch.table["id"].to_list()) == (["q"], ["stdin:1"])


def test_two_files_of_one_name_and_rows_that_carry_anothers_place_have_ids_of_their_own(here):
    (here / "a.csv").write_text("prompt\nfirst\n")
    (here / "in" / "z.jsonl").write_text('{"prompt": "x", "id": "a:1"}\n')
    ids = [row for batch in load(".") for row in batch.table["id"]]
    assert len(set(ids)) == len(ids) == 6
    assert ids[:3] == ["a:2", "a:1", "b:1"]
    assert ids[-1] == "in/z:1"

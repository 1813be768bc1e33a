import pytest
from workbook_for_tests import write_workbook

from attar.core.errors import DataError
from attar.data import sources
from attar.data.raw import raw_rows


def written(file, text):
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def test_files_are_known_by_what_its_files_hold_and_how_they_are_called(tmp_path):
    file = written(tmp_path / "in" / "a.jsonl", "one")
    first = sources.pin_source(str(file.parent))
    assert sources.pin_source(str(file.parent)) == first
    file.rename(file.with_name("b.jsonl"))
    renamed = sources.pin_source(str(file.parent))
    written(file.with_name("b.jsonl"), "two")
    assert len({first["content"], renamed["content"], sources.pin_source(str(file.parent))["content"]}) == 3


def test_a_dataset_that_is_not_here_and_not_reached_is_one_clear_error(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="nobody/nothing is not a local file and could not be read from the Hub"):
        sources.pin_source("nobody/nothing")


def test_a_commit_that_is_named_in_full_is_asked_of_nobody():
    commit = "0123456789" * 4
    assert sources.pin_source(f"owner/name:config@{commit}") == {"source": f"owner/name:config@{commit}", "content": commit}


def test_what_lies_here_is_no_dataset_though_it_is_called_like_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sources.is_hub_dataset("owner/name:config@v2")
    assert not sources.is_hub_dataset("owner/name/more")
    written(tmp_path / "owner" / "name", "here")
    assert not sources.is_hub_dataset("owner/name")


def test_a_pattern_is_known_by_the_files_that_match_it(tmp_path):
    file = written(tmp_path / "in" / "a.jsonl", "one")
    first = sources.pin_source(f"{tmp_path}/in/*.jsonl")
    assert first["source"] == f"{tmp_path.resolve()}/in/*.jsonl"
    written(file.with_name("b.md"), "not matched")
    assert sources.pin_source(f"{tmp_path}/in/*.jsonl") == first
    written(file.with_name("b.jsonl"), "two")
    more = sources.pin_source(f"{tmp_path}/in/*.jsonl")
    file.with_name("b.jsonl").rename(file.with_name("c.jsonl"))
    assert len({first["content"], more["content"], sources.pin_source(f"{tmp_path}/in/*.jsonl")["content"]}) == 3
    with pytest.raises(DataError, match="has changed since the run started"):
        sources.check_unchanged(**first)


def test_a_pattern_below_the_working_directory_is_pinned_wherever_it_is_read_from(tmp_path, monkeypatch):
    written(tmp_path / "in" / "a.jsonl", '{"prompt": "q"}')
    monkeypatch.chdir(tmp_path)
    pinned = sources.pin_source("*/a.jsonl")
    monkeypatch.chdir("/")
    sources.check_unchanged(**pinned)
    assert [row.value for row in raw_rows(pinned["source"])] == [{"prompt": "q"}]


def test_a_sheet_is_pinned_with_its_name(tmp_path):
    book = tmp_path / "a.xlsx"
    write_workbook(book, One=[["prompt"], ["q1"]], Two=[["prompt"], ["q2"]])
    pinned = sources.pin_source(f"{book}#Two")
    assert pinned["source"] == f"{book.resolve()}#Two"
    sources.check_unchanged(**pinned)
    assert [row.value for row in raw_rows(pinned["source"])] == [{"prompt": "q2"}]


def test_standard_input_cannot_be_pinned():
    with pytest.raises(DataError, match="can be read only once, by `attar convert`: save it to a file first"):
        sources.pin_source("-")


COMMIT = "0123456789" * 4


@pytest.mark.parametrize(
    ("address", "read"),
    [
        ("hf://datasets/me/talks", f"hf://datasets/me/talks@{COMMIT}"),
        ("hf://datasets/me/talks/data/*.parquet", f"hf://datasets/me/talks@{COMMIT}/data/*.parquet"),
        ("hf://datasets/me/talks@v2/a.jsonl", f"hf://datasets/me/talks@{COMMIT}/a.jsonl"),
        ("hf://datasets/me/talks@refs/convert/parquet/a.parquet", f"hf://datasets/me/talks@{COMMIT}/a.parquet"),
        ("data/a.jsonl", "data/a.jsonl"),
    ],
)
def test_files_on_the_hub_are_read_at_the_commit_that_was_pinned(address, read):
    assert sources.at_commit(address, COMMIT) == read
    assert sources.at_commit(address, None) == address


def test_files_on_the_hub_are_pinned_by_the_commit_of_their_revision(monkeypatch):
    asked = []
    monkeypatch.setattr(sources, "commit_of", lambda name: asked.append(name) or COMMIT)
    for address in ("hf://datasets/me/talks@v2/a.jsonl", "hf://datasets/me/talks/b", "hf://datasets/me/talks@refs/pr/3"):
        assert sources.pin_source(address) == {"source": address, "content": COMMIT}
    assert asked == ["me/talks@v2", "me/talks", "me/talks@refs/pr/3"]
    with pytest.raises(DataError, match="names no dataset: write hf://datasets/OWNER/NAME"):
        sources.pin_source("hf://me/model/a.jsonl")


def test_files_on_the_hub_that_cannot_be_reached_are_one_clear_error(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    address = "hf://datasets/nobody/nothing/a.jsonl"
    with pytest.raises(DataError, match="nobody/nothing is not a local file and could not be read from the Hub"):
        sources.pin_source(address)
    with pytest.raises(DataError, match=r"a.jsonl .*: check the address") as caught:
        raw_rows(address, COMMIT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("me/talks", ("me/talks", None, None, None)),
        ("me/talks:small", ("me/talks", "small", None, None)),
        ("me/talks:small/test@v2", ("me/talks", "small", "test", "v2")),
        ("me/talks:/test", ("me/talks", None, "test", None)),
        ("me/talks@refs/pr/1", ("me/talks", None, None, "refs/pr/1")),
    ],
)
def test_a_dataset_s_name_has_its_configuration_split_and_revision(name, parts):
    assert sources.is_hub_dataset(name)
    assert sources.split_dataset_name(name) == parts


def test_a_split_of_a_configuration_is_read_and_an_unknown_one_is_an_error(tmp_path):
    parts = "".join(
        f"- config_name: {config}\n  data_files:\n"
        + "".join(f"  - split: {split}\n    path: {config}-{split}.jsonl\n" for split in ("train", "test"))
        for config in ("first", "second")
    )
    written(tmp_path / "README.md", f"---\nconfigs:\n{parts}---\n")
    for name in ("first-train", "first-test", "second-train", "second-test"):
        written(tmp_path / f"{name}.jsonl", f'{{"prompt": "{name}"}}\n')
    for part, prompt in ((":first", "first-train"), (":second/test", "second-test")):
        assert [row.value for row in sources.hub_rows(f"{tmp_path}{part}")[0]] == [{"prompt": prompt}]
    with pytest.raises(DataError, match=r"Bad split: tets. Available splits: .*'train', 'test'") as caught:
        list(sources.hub_rows(f"{tmp_path}:first/tets")[0])
    assert "\n" not in str(caught.value)


def test_an_output_may_not_be_a_file_that_a_pattern_matches(tmp_path):
    file = written(tmp_path / "a.jsonl", "one")
    with pytest.raises(DataError, match=r"is .or contains. the source"):
        sources.check_apart(file, f"{tmp_path}/*.jsonl")
    sources.check_apart(tmp_path / "b.jsonl", f"{tmp_path}/*.jsonl")
    sources.check_apart(tmp_path / "b.jsonl", "s3://bucket/a.jsonl")

import pytest

from attar.core.errors import DataError
from attar.data import sources


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

"""The dataset of a run from the command line: written, and told what would be sent."""

from pathlib import Path

import pytest


@pytest.fixture
def ran(attar, run_file):
    """A run of ten rows, where the command line runs."""
    attar("run", run_file(), "-q")


@pytest.mark.usefixtures("ran")
def test_the_rows_that_are_reported_are_those_in_the_files(attar):
    found = attar("dataset", "try.yaml", "-o", "out", "--test", "0.3", "--json")
    assert found["folder"] == "out"
    rows = found["configs"]["sft"]["rows"]
    assert rows["train"] + rows["test"] + sum(found["configs"]["sft"]["refused"].values()) == 10
    for side in ("train", "test"):
        file = Path("out/data/sft") / f"{side}.jsonl"
        assert rows[side] == (len(file.read_text().splitlines()) if file.exists() else 0)


@pytest.mark.usefixtures("ran")
def test_people_get_a_line_for_each_set_and_the_folder_last(attar):
    *sets, folder = attar("dataset", "try", "-o", "out", "--test", "0").splitlines()
    assert folder == "out"
    assert [line.split()[0] for line in sets] == ["sft"]
    assert "0 test" in sets[0]


@pytest.mark.usefixtures("ran")
def test_a_dry_run_lists_every_file_with_its_size_and_says_that_nothing_was_sent(attar, monkeypatch):
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    attar("dataset", "try", "-o", "out")
    words = ["push", "out", "me/data", "--dry-run", "--private", "--token-env", "NO_SUCH_TOKEN"]
    sent = attar(*words, "--json")
    assert all(Path("out", name).stat().st_size == size for name, size in sent["files"].items())
    assert {"README.md", "data/sft/train.parquet"} <= set(sent["files"])
    last = attar(*words).splitlines()[-1].strip()
    assert last.startswith(f"{sum(sent['files'].values()):,} ")
    assert last.endswith("me/data (private); the token is not set; nothing was sent")


def test_a_dataset_of_no_run_is_one_line(attar):
    told = attar("dataset", "nothing", code=2)
    assert told.startswith("attar: no run 'nothing'")
    assert told.count("\n") == 1

import json
import shutil
import textwrap
from functools import partial
from pathlib import Path

import pytest
import yaml
from at_once_for_tests import run_together, start_run

from attar.api.run import start
from attar.outputs.dataset.write import MARK
from attar.runtime.home import Home
from attar.runtime.progress import Quiet
from attar.runtime.run_file import read_run_file

RECIPE = """
import polars as pl
from attar.runtime.flow import recipe
from attar.core.table import COLUMNS, turns

def talks(*, word):
    talk = pl.Series([turns(("user", "say"), ("assistant", word))], dtype=COLUMNS["messages"])
    return pl.DataFrame({"id": ["a"], "prompt": ["say"], "response": [word]}).with_columns(messages=talk)

@recipe()
def own(flow, *, word: str = "one"):
    return {"sft": flow(talks, word=word)}
"""


@pytest.fixture
def run(tmp_path):
    """Run the recipe with a word; its page and its dataset."""
    (tmp_path / "own.py").write_text(RECIPE)

    def go(word):
        (tmp_path / "try.yaml").write_text(textwrap.dedent(f"recipe: own.py\nknobs: {{word: {word}}}\n"))
        record = start(read_run_file(tmp_path / "try.yaml"), Home(tmp_path / "home"), Quiet())
        page, data = Path(record["report"]), Path(record["dataset"])
        return page, data

    return go


def word(data):
    """The answer in a dataset's one row."""
    (row,) = (json.loads(line) for line in (data / "data" / "sft" / "train.jsonl").read_text().splitlines())
    return row["messages"][1]["content"]


def test_a_run_that_is_done_already_leaves_its_page_and_its_data_as_they_are(run):
    page, data = run("one")
    before = [page.stat().st_mtime_ns, (data / MARK).stat().st_mtime_ns]
    assert run("one") == (page, data)
    assert [page.stat().st_mtime_ns, (data / MARK).stat().st_mtime_ns] == before


def test_a_run_that_goes_back_to_what_it_was_has_the_data_of_that_again(run):
    told = [(word(data), "word: one" in page.read_text()) for page, data in map(run, ("one", "two", "one"))]
    assert told == [("one", True), ("two", False), ("one", True)]


def test_a_page_that_was_not_written_is_written_by_the_same_command(run):
    page, data = run("one")
    page.unlink()
    (data / MARK).unlink()
    shutil.rmtree(data)
    page, data = run("one")
    assert page.exists()
    assert word(data) == "one"


def test_a_page_that_an_earlier_version_left_half_written_is_written_by_the_same_command(run):
    page, _ = run("one")
    whole = page.read_text()
    page.write_text(whole[: len(whole) // 2])
    assert run("one")[0].read_text() == whole


def test_a_run_waits_for_another_that_writes_the_same_page_and_data(tmp_path, run):
    page, data = run("one")
    runs = [partial(start_run, tmp_path / "try.yaml", tmp_path / "home")] * 2
    words = iter(["two", "one", "two", "one", "two"])
    (tmp_path / "try.yaml").write_text(f"recipe: own.py\nknobs: {{word: {next(words)}}}\n")
    for results in run_together(*runs):
        found = yaml.safe_load((tmp_path / "try.yaml").read_text())["knobs"]["word"]
        assert results == ["done", "done"]
        assert word(data) == found
        assert f"word: {found}" in page.read_text()
        assert {path.name for path in page.parent.iterdir()} == {"try.json", "try.html", "try.dataset"}
        (tmp_path / "try.yaml").write_text(f"recipe: own.py\nknobs: {{word: {next(words, 'end')}}}\n")

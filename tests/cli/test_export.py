"""A run's rows for another trainer, from the command line."""

import json
from pathlib import Path

import pytest


@pytest.fixture
def ran(attar, run_file):
    """A run of ten rows, where the command line runs."""
    attar("run", run_file(), "-q")


@pytest.mark.usefixtures("ran")
def test_a_run_is_exported_beside_the_caller_under_its_own_and_the_trainers_name(attar):
    out = attar("export", "try.yaml", "--for", "trl", "--base", "some/model")
    assert out.splitlines()[0] == "cd try-trl && trl sft --config sft.yaml"
    rows = [json.loads(line) for line in Path("try-trl/sft.jsonl").read_text().splitlines()]
    assert 0 < len(rows) <= 10
    assert {row["messages"][-1]["role"] for row in rows} == {"assistant"}


@pytest.mark.usefixtures("ran")
def test_programs_get_the_commands_that_people_get(attar):
    words = ["export", "try", "--for", "axolotl", "--base", "some/model", "-o", "out"]
    found = attar(*words, "--json")
    assert found == {"commands": ["cd out && axolotl train sft.yaml"]}
    assert attar(*words).splitlines() == found["commands"]


@pytest.mark.usefixtures("ran")
def test_a_run_without_a_base_asks_for_one_in_one_line_and_writes_nothing(attar):
    told = attar("export", "try", "--for", "trl", code=2)
    assert told.startswith("attar: run 'try' has no base model of its own")
    assert "--base MODEL" in told
    assert told.count("\n") == 1
    assert not Path("try-trl").exists()

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ATTAR = Path(sys.executable).parent / "attar"


@pytest.fixture
def attar(home):
    def go(*words, code=0):
        env = {**os.environ, "ATTAR_HOME": str(home.root), "COLUMNS": "80"}
        done = subprocess.run([str(ATTAR), "compare", *words], capture_output=True, text=True, env=env)
        assert done.returncode == code, done.stderr + done.stdout
        return done

    return go


def test_a_comparison_reads_as_a_table_and_as_json(attar, made, marked):
    hard = {"level": ["hard"] * 20}
    made("a", {"x": marked([i < 15 for i in range(20)], **hard)}, recipe="magpie")
    made("b", {"x": marked([i >= 5 for i in range(20)], response=["[bold]odd[/]"] * 20)}, recipe="deita")
    shown = attar("a", "b.yaml:x").stdout
    heading, first, second = (line.split() for line in shown.splitlines() if line.startswith(("a:x ", "b:x ")))
    assert heading == ["a:x", "against", "b:x"]
    assert first == ["a:x", "75.0%", "(53.1", "to", "88.8)"]  # Wilson's, 15 of 20
    assert second[5:] == ["+0.0", "(-30.9", "to", "+30.9)", "5", "5", "1.000"]  # 1.96 * sqrt(2 * 6 / 22 / 22)
    assert "b:x right: [bold]odd[/]" in shown
    assert shown.count("b:x wrong: ") == 3
    result = json.loads(attar("a", "b", "--json", "--examples", "1").stdout)
    assert (result["questions"], result["outcome"], result["point"], len(result["examples"])) == (20, "correct", 0.01, 2)
    assert [side["recipe"] for side in result["sides"]] == ["magpie", "deita"]


def test_a_mistake_is_one_line(attar, made, marked):
    made("a", {"x": marked([True, False])})
    assert attar("a", "b", code=2).stderr.startswith("attar: no run 'b' in ")
    assert attar("a", "a:y", code=2).stderr == "attar: run 'a' has no answers of 'y'; known: x\n"


def test_answers_that_were_left_out_are_reported(attar, made, marked):
    made("a", {"x": marked([None, True, True, False])})
    made("b", {"x": marked([True, False, True])})
    shown = attar("a", "b", "--examples", "0").stdout
    assert "a:x: 4 questions, 1 that not all sides answered and 1 without a mark, counted as wrong" in " ".join(shown.split())
    assert "Where" not in shown

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

ATTAR = Path(sys.executable).parent / "attar"
MINE = """
import polars as pl
from attar.core.errors import MissingExtraError
from attar.runtime.flow import recipe


def rows():
    return pl.DataFrame({"id": ["a"], "n": [1]})


def faulty(table):
    return table["no such column"]


def lacking(table):
    raise MissingExtraError("torch", "local")


@recipe()
def broken(flow):
    return {"out": flow(faulty, flow(rows))}


@recipe()
def without(flow):
    return {"out": flow(lacking, flow(rows))}
"""


@pytest.fixture
def attar(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    for name in ("broken", "without"):
        (tmp_path / f"{name}.yaml").write_text(f"recipe: mine.py:{name}\n")

    def go(*words, **env):
        own = {key: value for key, value in os.environ.items() if key != "ATTAR_DEBUG"}
        return subprocess.run([str(ATTAR), *words], capture_output=True, text=True, cwd=tmp_path, env={**own, **env})

    return go


def test_a_users_mistake_is_one_line_and_exit_code_2(attar):
    done = attar("run", "nope.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("attar: nope.yaml does not exist; a run file is YAML")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("how", [("run", "nope.yaml", "--debug"), ("--debug", "run", "nope.yaml")])
def test_debug_shows_the_traceback_behind_it_wherever_it_stands(attar, how):
    done = attar(*how)
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("attar: nope.yaml does not exist")


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("0", False), ("", False)])
def test_so_does_the_environment(attar, value, shown):
    assert ("Traceback" in attar("run", "nope.yaml", ATTAR_DEBUG=value).stderr) is shown


def test_a_fault_in_a_stage_of_ones_own_is_one_line_with_the_step_and_the_way_to_see_more(attar):
    done = attar("run", "broken.yaml", "--home", "home")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("attar: step 'faulty' (attar_recipe_mine.faulty): ColumnNotFoundError: ")
    assert line.endswith("(unexpected: a fault of Attar, or of a stage of yours; --debug shows where it happened)")
    again = attar("run", "broken.yaml", "--home", "home", "--debug").stderr
    assert 'return table["no such column"]' in again


def test_a_missing_extra_inside_a_step_is_one_line_that_names_the_step_and_the_remedy(attar):
    done = attar("run", "without.yaml", "--home", "home")
    assert done.returncode == 2
    line = "attar: step 'lacking' (attar_recipe_mine.lacking): torch is not installed: run pip install 'attar[local]'"
    assert done.stderr.splitlines()[-1] == line


def test_attar_logs_under_its_name_and_says_nothing_unless_asked(attar):
    quiet, loud = attar("run", "broken.yaml", "--home", "a"), attar("run", "broken.yaml", "--home", "b", "--debug")
    assert "attar.runtime.runner" not in quiet.stderr
    assert "attar.runtime.runner: step rows begins: attar_recipe_mine.rows" in loud.stderr
    assert "attar.runtime.runner: step rows ends: 1 rows, 0 failed" in loud.stderr


def test_a_program_that_imports_attar_gets_its_records(caplog, do):
    from stages_for_tests import doubled

    with caplog.at_level(logging.DEBUG, logger="attar"):
        do(doubled, count=3)
    assert [record.message for record in caplog.records if "ends" in record.message][-1].startswith("step double ends: 3 rows")


def test_a_panic_of_a_library_is_one_line_too(attar, tmp_path):
    """polars and tokenizers raise a panic of Rust as a BaseException of their own."""
    panics = "class PanicException(BaseException): ...\n\n\ndef faulty(table):\n    raise PanicException('range end')"
    mine = tmp_path / "mine.py"
    mine.write_text(mine.read_text().replace('def faulty(table):\n    return table["no such column"]', panics))
    done = attar("run", "broken.yaml")
    assert done.returncode == 1
    assert "PanicException: range end (unexpected" in done.stderr
    assert "Traceback" not in done.stderr

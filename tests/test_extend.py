"""The examples of docs/extend.md run as they are printed, each in a folder of its own."""

import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

MANUAL = (Path(__file__).parents[1] / "docs" / "extend.md").read_text()
ATTAR = Path(sys.executable).parent / "attar"
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", MANUAL, re.S | re.M))


def files_of(section: str) -> tuple[dict[str, str], list[list[str]]]:
    """The files that a section prints, each after a line with its name, and its commands."""
    lines = [line[4:] if line.startswith("    ") else "" if not line.strip() else None for line in section.splitlines()]
    files, commands, name = {}, [], None
    for line in lines:
        if line is None:
            name = None
        elif line.startswith("$ attar "):
            commands.append(line.split()[2:])
            name = None
        elif named := re.fullmatch(r"# (\w+\.\w+)", line):
            name = named[1]
            files[name] = ""
        elif name:
            files[name] += line + "\n"
    return {name: text.strip() + "\n" for name, text in files.items()}, commands


@pytest.fixture
def run(tmp_path):
    """Run a section; the table of one of its results."""

    def go(section: str, result: str) -> pl.DataFrame:
        files, commands = files_of(SECTIONS[section])
        for name, text in files.items():
            (tmp_path / name).write_text(text)
            assert text.count("\n") < 40
        for command in commands:
            done = subprocess.run([str(ATTAR), *command], capture_output=True, text=True, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        line = next(line for line in done.stdout.splitlines() if line.startswith(f"{result} ") and "/steps/" in line)
        return pl.read_parquet(tmp_path / line.split()[-1] / "*.parquet")

    return go


def test_a_stage_of_ones_own_keeps_what_it_says(run):
    assert run("A stage", "sft")["response"].to_list() == ["Oak."]


def test_a_recipe_of_ones_own_runs_on_a_fake_teacher(run):
    table = run("A recipe", "sft")
    assert len(table) == 12
    assert table["response"].null_count() == 0


def test_an_engine_kind_of_ones_own_answers(run):
    assert run("An engine kind", "sft")["response"].to_list() == ["NAME A TREE"]


def test_a_format_of_ones_own_is_read(run):
    table = run("A data format", "sft")
    assert table.select("prompt", "response").rows() == [("Name a tree.", "Oak.")]


def test_a_benchmark_of_ones_own_has_figures_with_intervals(run):
    figures = run("A benchmark", "figures")
    (accuracy,) = figures.filter(pl.col("figure") == "accuracy").to_dicts()
    assert accuracy["count"] == 3
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]


def test_every_section_has_an_example():
    assert [name for name, text in SECTIONS.items() if not files_of(text)[1]] == []
    assert len(SECTIONS) == 5

"""The manuals name what is there: stages, modules, files and commands."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MANUALS = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "bench" / "README.md"])
MANUALS = [path for path in MANUALS if path.exists()]
FAMILIES = sorted(path.stem for path in (ROOT / "src" / "attar" / "stages").iterdir() if not path.stem.startswith("_"))
STAGE = re.compile(rf"`((?:{'|'.join(FAMILIES)})(?:\.[a-z_0-9]+)+)[`(]")
MODULE = re.compile(r"\battar((?:\.[a-z_0-9]+)+)\b")
FILE = re.compile(r"\b((?:src/attar|tests|bench|docs|examples|pocket)/[\w./-]+\.\w+)")


def resolves(name: str) -> bool:
    """Whether a dotted name is a module of Attar, or something that one defines."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(["attar", *parts[:cut]]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part, None)
        return found is not None
    return False


@pytest.mark.parametrize("manual", MANUALS, ids=lambda path: path.name)
def test_every_stage_and_module_that_a_manual_names_is_there(manual):
    text = manual.read_text()
    files = {".json", ".jsonl", ".parquet", ".txt", ".yaml", ".csv", ".md", ".py"}
    stages = [f"stages.{name}" for name in STAGE.findall(text) if f".{name.split('.')[-1]}" not in files]
    modules = [name.lstrip(".") for name in MODULE.findall(text) if name not in files]
    assert [name for name in stages + modules if not resolves(name)] == []


@pytest.mark.parametrize("manual", MANUALS, ids=lambda path: path.name)
def test_every_file_that_a_manual_names_is_there(manual):
    named = set(FILE.findall(manual.read_text()))
    assert [name for name in sorted(named) if not (ROOT / name).exists() and "*" not in name] == []


def test_the_manuals_name_stages_at_all():
    assert sum(len(STAGE.findall(path.read_text())) for path in MANUALS) > 50

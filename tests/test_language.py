"""The words of the house: functions are named by verbs, and the old dialect stays out. What is left of each is counted."""

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIALECT = re.compile(r"\b(told|nought|anew|whereof|of which|let be|gone|so many)\b", re.IGNORECASE)
IRREGULAR = frozenset(
    [
        "told",
        "said",
        "found",
        "kept",
        "gone",
        "done",
        "made",
        "given",
        "taken",
        "written",
        "chosen",
        "drawn",
        "sent",
        "known",
        "held",
        "seen",
        "lost",
        "met",
        "brought",
        "thought",
        "stood",
        "understood",
        "shown",
        "thrown",
        "begun",
        "broken",
        "beaten",
        "alone",
        "anew",
        "nought",
        "sound",
    ]
)
VERBS = frozenset(("embed", "feed", "need", "seed", "speed"))
"""They end like participles and are none."""


def texts() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "src", "docs", "README.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [ROOT / name for name in names.stdout.splitlines()]
    return [path for path in files if path.exists() and path.suffix in (".py", ".md", ".jinja", ".css", ".js", ".yaml")]


def functions() -> list[tuple[Path, str]]:
    trees = {path: ast.parse(path.read_text()) for path in (ROOT / "src").rglob("*.py")}
    return [
        (path, node.name)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def is_participle(name: str) -> bool:
    """True for a bare participle: `told`, `_judged`; a longer name says more."""
    word = name.strip("_")
    return word not in VERBS and "_" not in word and (word.endswith("ed") or word in IRREGULAR)


def test_a_participle_is_known_from_a_verb():
    assert [
        name for name in ("told", "_judged", "kept", "embed", "run_rounds", "median", "_needed") if is_participle(name)
    ] == [*("told", "_judged", "kept", "_needed")]


def test_functions_are_named_by_what_they_do():
    found = [f"{path.relative_to(ROOT)}: {name}" for path, name in functions() if is_participle(name)]
    assert found == []


def test_the_dialect_stays_out_of_code_and_manuals():
    found = [f"{path.relative_to(ROOT)}: {word}" for path in texts() for word in DIALECT.findall(path.read_text())]
    assert len(found) <= 12, found  # names that stay: a knob, a step, a field of the doctor's JSON; it may only fall

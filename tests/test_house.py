import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "src" / "attar"
FLOORS = (
    (
        "errors",
        "identity",
        "table",
        "stage",
        "formats",
        "files",
        "origins",
        "sink",
        "chat",
        "rendering",
        "marks",
        "template_files",
        "parse",
        "world",
        "vectors",
        "shingles",
        "questions",
        "statistics",
    ),
    ("engines",),
    ("synth", "annotate", "select", "pair", "pool", "train", "evaluate"),
    ("flow", "scale", "home", "run", "standin", "plan", "story"),
    ("recipes",),
    (
        "runfile",
        "start",
        "convert",
        "choose",
        "carry",
        "harvest",
        "dataset",
        "push",
        "export",
        "show",
        "show_results",
        "watch",
        "report",
        "compare",
        "cli",
    ),
)
FLOOR_OF = {name: height for height, floor in enumerate(FLOORS) for name in floor}
FAMILIES = {"synth", "annotate", "select", "pair", "train", "evaluate"}
MODULES = sorted(path for path in SRC.rglob("*.py") if path.name != "__init__.py")
HEAVY = {"torch", "transformers", "trl", "ray", "faiss", "datasets", "altair", "vl_convert"}


def place(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> set[str]:
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    names |= {
        f"{node.module}.{alias.name}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    return names | {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_module_imports_only_from_its_own_floor_or_below(path):
    here = place(path)
    for name in imports(ast.parse(path.read_text())):
        if name.startswith("attar."):
            there = name.split(".")[1]
            assert FLOOR_OF[there] <= FLOOR_OF[here], f"{here} imports {there}"
            if here in FAMILIES and there in FAMILIES:
                assert here == there, f"stage family {here} imports {there}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 300
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_only_the_package_itself_has_anything_in_its_init():
    for path in SRC.rglob("__init__.py"):
        if path.parent != SRC:
            assert path.read_text().strip() == ""


def test_only_scale_imports_ray_and_only_train_imports_trl():
    for path in MODULES:
        roots = {name.split(".")[0] for name in imports(ast.parse(path.read_text()))}
        assert "ray" not in roots or place(path) == "scale"
        assert "trl" not in roots or place(path) == "train"
        assert not roots & {"torch", "transformers"} or place(path) in ("engines", "train", "vectors")


def test_importing_every_light_module_pulls_in_nothing_heavy():
    lazy = {"engines.slots", "engines.scoring"}  # imported by engines.local inside its functions
    names = [".".join(path.relative_to(SRC).with_suffix("").parts) for path in MODULES]
    code = "\n".join(f"import attar.{name}" for name in names if name not in lazy)
    code += f"\nimport sys; print(sorted({HEAVY!r} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_asking_for_help_does_not_even_import_polars():
    code = "import sys, attar.cli.main; print('polars' in sys.modules, 'torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]

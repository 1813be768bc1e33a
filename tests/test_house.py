"""The house as a whole: its floors, its sizes, and which modules may import what. All is read from the imports themselves."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from attar.engines.registry import KINDS

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "attar"
FLOORS = (
    ("core",),
    ("chat", "similarity", "statistics", "pocket"),
    ("data",),
    ("engines",),
    ("stages",),
    ("runtime",),
    ("recipes",),
    ("outputs",),
    ("api",),
    ("cli",),
)
FLOOR_OF = {name: height for height, floor in enumerate(FLOORS) for name in floor}
MODULES = sorted(path for path in SRC.rglob("*.py") if path.name != "__init__.py")
HEAVY = {"torch", "transformers", "trl", "ray", "faiss", "datasets", "altair", "vl_convert"}


def place(path: Path) -> tuple[str, ...]:
    return path.relative_to(SRC).with_suffix("").parts


def family(place: tuple[str, ...]) -> str | None:
    """The family of stages that a module is of; a module that stands alone among them is a family of its own."""
    return place[1] if place[0] == "stages" else None


def imports(tree: ast.AST) -> set[str]:
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    names |= {
        f"{node.module}.{alias.name}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    return names | {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}


def modules_imported(path: Path) -> set[tuple[str, ...]]:
    """Attar's modules that a file imports, as the parts of their names."""
    names = imports(ast.parse(path.read_text()))
    known = {place(module) for module in MODULES}
    return {parts for name in names if name.startswith("attar.") and (parts := tuple(name.split(".")[1:])) in known}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_module_imports_only_from_its_own_floor_or_below(path):
    here = place(path)
    for name in imports(ast.parse(path.read_text())):
        if name.startswith("attar."):
            there = tuple(name.split(".")[1:])
            assert FLOOR_OF[there[0]] <= FLOOR_OF[here[0]], f"{path} imports {name}"
            if family(here) and there[0] == "stages" and len(there) > 1:
                assert family(here) == family(there), f"stage family {family(here)} imports {name}"


def test_every_folder_of_the_package_is_a_floor_and_no_module_lies_beside_them():
    assert {path.name for path in SRC.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(FLOOR_OF)
    assert [path.name for path in SRC.glob("*.py")] == ["__init__.py"]


def test_no_modules_import_each_other_in_a_circle():
    todo = {place(path): modules_imported(path) for path in MODULES}
    while free := [name for name, needs in todo.items() if not needs & todo.keys()]:
        for name in free:
            del todo[name]
    assert todo == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_a_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 300
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_the_middle_file_has_130_lines_or_fewer():
    assert median(len(path.read_text().splitlines()) for path in MODULES) <= 130


def test_only_the_package_itself_has_anything_in_its_init():
    for path in SRC.rglob("__init__.py"):
        if path.parent != SRC:
            assert path.read_text().strip() == ""


def test_only_the_executor_imports_ray_and_only_train_imports_trl():
    for path in MODULES:
        roots, here = {name.split(".")[0] for name in imports(ast.parse(path.read_text()))}, place(path)
        assert "ray" not in roots or here == ("runtime", "executor")
        assert "trl" not in roots or here[:2] == ("stages", "train")
        assert not roots & {"torch", "transformers"} or here[0] in ("engines", "similarity") or here[:2] == ("stages", "train")


def test_importing_every_light_module_pulls_in_nothing_heavy():
    lazy = {"engines.local.generation", "engines.local.forward"}  # imported by engines.local.engine inside its functions
    names = [".".join(place(path)) for path in MODULES]
    code = "\n".join(f"import attar.{name}" for name in names if name not in lazy)
    code += f"\nimport sys; print(sorted({HEAVY!r} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_asking_for_help_does_not_even_import_polars():
    code = "import sys, attar.cli.main; print('polars' in sys.modules, 'torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]


def test_nobody_but_the_registry_tests_an_engines_kind_or_looks_what_it_can_do():
    kinds = set(KINDS)
    for path in MODULES:
        if place(path) == ("engines", "registry"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute) and node.left.attr == "kind":
                named = {
                    inner.value for side in node.comparators for inner in ast.walk(side) if isinstance(inner, ast.Constant)
                }
                assert not named & kinds, f"{path}:{node.lineno}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("hasattr", "getattr"):
                looked_at = ast.unparse(node.args[0])
                asked = isinstance(node.args[1], ast.Constant)  # a verb that the kind promises is asked for by its name
                assert not (looked_at.endswith("engine") and asked), f"{path}:{node.lineno}"


def test_nobody_knows_a_stage_by_its_name():
    families = "|".join(sorted(path.stem for path in (SRC / "stages").iterdir()))
    name = re.compile(rf"(stages\.)?({families})\.\w*(\.\w*)*")
    for path in MODULES:
        if place(path)[0] in ("runtime", "recipes", "outputs", "api", "cli"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    assert not name.fullmatch(node.value), f"{path}:{node.lineno} {node.value!r}"


def test_nobody_looks_for_a_word_in_a_stage_s_name():
    """What a step is, its marks say."""
    looks = re.compile(
        r"""\bin \w+(\[["']stage["']\]|\.stage\b)|(\[["']stage["']\]|\.stage)\.(startswith|endswith|partition|split)"""
    )
    found = {path.relative_to(SRC) for path in MODULES if looks.search(path.read_text())}
    assert found == set()


def test_one_module_names_the_loaders_of_models_and_nothing_unpickles():
    """Elsewhere a forgotten `trust_remote_code=False` would let a model folder's code run."""
    door = SRC / "engines" / "local" / "pretrained.py"
    named = re.compile(
        r"\b(Auto(Tokenizer|Config|Model\w*|Processor)|torch\.load|safetensors\.torch|import pickle|trust_remote_code)\b"
    )
    found = {path.relative_to(SRC) for path in MODULES if path != door and named.search(path.read_text())}
    assert found == set()
    assert "trust_remote_code=False" in door.read_text()


WRITING = re.compile(
    r"write_(text|bytes|parquet|ndjson|csv|ipc)|save(_\w+)?|ParquetWriter|\w*TemporaryFile|mk[ds]temp|copytree|touch"
)
MAY_WRITE = {
    "core/atomic": "the one writer of outputs",
    "core/output_lock": "the lock file of an output",
    "core/table": "a part, in the file that write_beside gives",
    "api/pool/output": "verdicts, in the file that replace_file gives",
    "data/writers": "rows, in the file or folder that write_beside gives",
    "outputs/dataset/shard_writer": "rows, in the folder that replace_folder gives",
    "engines/http/managed_server": "a server's log, as a temporary file",
    "engines/journal": "the reserve of disk space beside the journal",
    "engines/journal_file": "the journal's lock files",
    "runtime/home": "a step's lock file",
    "runtime/retry": "a step's folder, which is complete only with its card",
    "runtime/trained_models": "a step's folder, which is complete only with its card",
    "core/scorer_prompts": "a step's folder, which is complete only with its card",
    "stages/train/scorer": "a step's folder, which is complete only with its card",
    "stages/train/trainer": "a step's folder, which is complete only with its card",
    "stages/train/checkpoints": "checkpoints, which are checked before they are used",
    "stages/train/distributed": "a job for other processes, in a step's folder",
    "stages/train/worker": "a job's curve, in a step's folder",
}
MAY_REMOVE = {
    "core/atomic": "what has a name of its own",
    "core/output_lock": "its own lock file",
    "core/table": "an earlier part of the same rows",
    "data/writers": "the parts of a `datasets` folder, in the folder that write_beside gives",
    "api/pool/run": "a run's record and an incomplete step of a home",
    "engines/http/managed_server": "a server's log",
    "engines/journal": "the reserve of disk space",
    "runtime/home": "the steps that `gc` removes",
    "runtime/retry": "a step's parts that are made again",
    "runtime/stage_calls": "a step's parts that are made again",
    "stages/train/checkpoints": "checkpoints",
    "stages/train/distributed": "a job's folder in a step",
    "stages/train/trainer": "a pickle that the trainer leaves in a model's folder",
}


def calls_by_name(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    named = [(node.func, node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [(function.attr if isinstance(function, ast.Attribute) else ast.unparse(function), call) for function, call in named]


def opens_for_writing(name: str, call: ast.Call) -> bool:
    words = [word.value for word in (*call.args[:2], *(key.value for key in call.keywords)) if isinstance(word, ast.Constant)]
    modes = [word for word in words if isinstance(word, str) and re.fullmatch(r"[rwaxbt+]+", word) and set(word) & set("wax+")]
    return name == "open" and (bool(modes) or ast.unparse(call.func) == "os.open")


def names_of_its_own(tree: ast.AST) -> set[str]:
    """The names that a module gives to the paths of the one writer: `with replace_file(...) as partial`."""
    items = [item for node in ast.walk(tree) if isinstance(node, ast.With) for item in node.items]
    writers = re.compile(r"(write_beside|replace_file|replace_folder)\(")
    return {
        ast.unparse(item.optional_vars)
        for item in items
        if item.optional_vars and writers.match(ast.unparse(item.context_expr))
    }


def test_only_named_modules_write_files_by_other_ways_than_the_one_writer_or_remove_any():
    wrote, removed = set(), set()
    for path in MODULES:
        tree, here = ast.parse(path.read_text()), "/".join(place(path))
        own = names_of_its_own(tree)
        for name, call in calls_by_name(tree):
            if {node.id for node in ast.walk(call) if isinstance(node, ast.Name)} & own:
                continue
            to_memory = name.startswith("write_") and not call.args
            wrote |= {here} if opens_for_writing(name, call) or (WRITING.fullmatch(name) and not to_memory) else set()
            removed |= {here} if name in ("unlink", "rmtree", "remove", "rmdir") else set()
    assert wrote == set(MAY_WRITE)
    assert removed == set(MAY_REMOVE)

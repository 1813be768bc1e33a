"""The tests mirror the package: every test file is about a module or a folder of it, and every module has a file about it.

`tests/a/b/test_x.py` is about `attar/a/b/x.py` or the folder `attar/a/b/x/`; a name may go on behind the module's
(`test_client_keys.py` is about `client`), and a leading underscore is left out. `tests/a/b/test_b.py`, named by its own
folder, is about those modules of the folder that it imports. `tests/long/` is about whole runs, and files that stand in no
folder are about the whole house; those of `tests/real/` are about real models.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
SRC = ROOT.parent / "src" / "attar"
MODULES = sorted(path.relative_to(SRC) for path in SRC.rglob("*.py") if path.name != "__init__.py")
FILES = sorted(
    file for path in ROOT.glob("*/**/test_*.py") if (file := path.relative_to(ROOT)).parts[0] not in ("long", "real")
)
OF_NO_MODULE = {
    "engines/http/test_llama.py": "all that is asked of llama.cpp, on a real server",
    "engines/http/test_vllm.py": "all that is asked of vLLM, on a real server",
    "engines/http/test_vllm_thinking.py": "models that think on a real vLLM",
    "outputs/report/test_browser.py": "the whole page, in a real browser",
    "runtime/test_damage.py": "damaged files of a home, of whatever module",
    "runtime/test_old_homes.py": "homes of earlier versions",
    "stages/test_draws.py": "all that is drawn by lot",
}


def module_of(file):
    """The module with the longest name that a test file's name begins with; None where there is none."""
    about = file.stem.removeprefix("test_")
    named = [path for path in MODULES if path.parent == file.parent and f"{about}_".startswith(f"{path.stem.lstrip('_')}_")]
    return max(named, key=lambda path: len(path.stem), default=None)


def imported(file):
    """The modules of Attar that a test file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {path for path in MODULES if ".".join(("attar", *path.with_suffix("").parts)) in names}


def files_about(module):
    """The test files of a module's name, or else the one that is named by its folder and imports it."""
    own = [file for file in FILES if module_of(file) == module]
    together = module.parent / f"test_{module.parent.name}.py"
    return own or [file for file in FILES if file == together and module in imported(file)]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_test_file_is_about_a_module_or_a_folder_of_its_own_place(file):
    folder = SRC / file.parent
    about = file.stem.removeprefix("test_")
    known = module_of(file) is not None or (folder / about).is_dir() or (about == file.parent.name and folder.is_dir())
    assert known != (file.as_posix() in OF_NO_MODULE)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_every_module_has_a_test_file_about_it(module):
    assert files_about(module)


@pytest.mark.parametrize("path", sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py")), ids=str)
def test_a_test_file_can_be_read_in_one_sitting(path):
    assert len((ROOT / path).read_text().splitlines()) <= 300


def test_the_exceptions_are_files_that_are_there():
    assert set(OF_NO_MODULE) <= {file.as_posix() for file in FILES}

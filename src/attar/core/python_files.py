"""Import a user's Python file by its path: a recipe, or an engine kind."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from attar.core.errors import RecipeError


def import_file(path: Path, what: str) -> ModuleType:
    """The module in a file (`what`: recipe or engine); if it cannot be imported, a RecipeError that names the file."""
    name = f"attar_{what}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError, NameError, TypeError, AttributeError) as error:
        raise RecipeError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def split_name(given: str) -> tuple[str, str]:
    """Split `file.py` or `file.py:NAME` into the file and the name; the name is empty if not given."""
    file, colon, name = given.rpartition(":")
    return (file, name) if colon and file.endswith(".py") else (given, "")

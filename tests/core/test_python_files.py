import sys

import pytest

from attar.core.errors import RecipeError
from attar.core.python_files import import_file, split_name


def test_a_file_is_imported_under_a_name_of_its_own(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("ANSWER = 6 * 7\n")
    module = import_file(file, "recipe")
    assert module.ANSWER == 42
    assert sys.modules["attar_recipe_mine"] is module


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_module_at_all\n", "ModuleNotFoundError"),
        ("absent + 1\n", "NameError"),
        ("len(5)\n", "TypeError"),
        ("import sys; sys.absent\n", "AttributeError"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named_with_the_error(tmp_path, code, error):
    file = tmp_path / "mine.py"
    file.write_text(code)
    with pytest.raises(RecipeError, match=rf"{file} cannot be imported: {error}: "):
        import_file(file, "recipe")


def test_a_file_without_the_ending_of_python_code_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"mine\.txt cannot be imported"):
        import_file(tmp_path / "mine.txt", "engine")


@pytest.mark.parametrize(
    ("text", "file", "name"),
    [
        ("mine.py", "mine.py", ""),
        ("mine.py:wide", "mine.py", "wide"),
        ("./a:b/mine.py", "./a:b/mine.py", ""),
        ("./a:b/mine.py:wide", "./a:b/mine.py", "wide"),
        ("magpie", "magpie", ""),
        ("magpie:wide", "magpie:wide", ""),
    ],
)
def test_a_name_follows_the_last_colon_after_a_python_file(text, file, name):
    assert split_name(text) == (file, name)

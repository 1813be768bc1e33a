from importlib.util import find_spec

import pytest

from attar.core import source
from attar.core.source import code_of, code_of_module


@pytest.fixture
def code(tmp_path):
    """The code of a function of `stage.py`, with other files beside it."""

    def read(text, name="f", **beside):
        for module, content in beside.items():
            (tmp_path / f"{module}.py").write_text(content)
        (tmp_path / "stage.py").write_text(text)
        source.clear_caches()
        return code_of(tmp_path / "stage.py", name)

    yield read
    source.clear_caches()


STAGE = (
    "K = 1\n\n\ndef f(y):\n    return helped(y) + K\n\n\ndef helped(y):\n    return y * 2\n\n\ndef other(y):\n    return y\n"
)


@pytest.mark.parametrize(
    "text",
    [
        STAGE.replace("return", "return  "),
        STAGE.replace("    return", "    # why\n    return"),
        STAGE.replace("    return helped", "    '''Says more.'''\n    return helped"),
        "'''A module.'''\n" + STAGE,
        STAGE.replace("K = 1\n", "K = 1\n'''Says what it is.'''\n"),
    ],
)
def test_layout_comments_and_docstrings_change_nothing(code, text):
    assert code(text) == code(STAGE)


@pytest.mark.parametrize(
    "text",
    [
        STAGE.replace("helped(y) + K", "helped(y) - K"),
        STAGE.replace("f(y)", "f(y, z=0)"),
        STAGE.replace("y * 2", "y * 3"),
        STAGE.replace("K = 1", "K = 2"),
        STAGE.replace("def f", "@print\ndef f"),
    ],
)
def test_a_change_of_the_function_or_of_what_it_names_counts(code, text):
    assert code(text) != code(STAGE)


@pytest.mark.parametrize("text", [STAGE.replace("return y\n", "return 7\n"), STAGE + "\n\ndef more():\n    return 1\n"])
def test_a_change_of_another_function_of_the_file_does_not_count(code, text):
    assert code(text) == code(STAGE)


@pytest.mark.parametrize(
    "change",
    [
        "K = {}\nK['a'] = 2\n",
        "K = {}\nK.update(a=2)\n",
        "K = []\nfor i in range(3):\n    K.append(i)\n",
        "import os\nif os.sep:\n    K = 2\nelse:\n    K = 3\n",
        "K = {}\n\n\ndef kept(g):\n    K[g.__name__] = g\n    return g\n\n\n@kept\ndef g():\n    return 5\n",
    ],
)
def test_whatever_changes_a_value_that_the_function_names_counts(code, change):
    end = "\n\ndef f():\n    return K\n"
    other = change.replace("2", "9").replace("range(3)", "range(4)").replace("return 5", "return 6")
    assert code(change + end) != code(other + end)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("from near import x\n\n\ndef f():\n    return x\n", True),
        ("from near import x as z\n\n\ndef f():\n    return z\n", True),
        ("import near\n\n\ndef f():\n    return near.x\n", True),
        ("import near as n\n\n\ndef f():\n    return n.x\n", True),
        ("import near\n\n\ndef f():\n    return near.y\n", False),
        ("import near\n\n\ndef f(name):\n    return getattr(near, name)\n", True),
        ("def f():\n    from near import x\n    return x\n", True),
        ("from near import *\n\n\ndef f():\n    return x\n", True),
        ("from . import near\n\n\ndef f():\n    return near.x\n", True),
        ("import near\n\n\ndef f():\n    return 1\n", True),  # imported for what that does
        ("from near import x, y\n\n\ndef f():\n    return y\n\n\ndef g():\n    return x\n", False),
    ],
)
def test_a_name_of_a_neighbouring_file_counts_if_it_is_used_however_it_is_imported(code, text, seen):
    one, other = "x = 1\ny = 1\n", "x = 2\ny = 1\n"
    assert (code(text, near=one) != code(text, near=other)) is seen
    assert code(text, near=one) == code(text, near=one + "# a remark\n")


def test_a_name_that_is_passed_on_by_a_file_between_counts(code):
    text, between = "from near import x\n\n\ndef f():\n    return x\n", "from far import x\n"
    assert code(text, near=between, far="x = 1\n") != code(text, near=between, far="x = 2\n")


def test_code_that_names_itself_in_a_circle_ends(code):
    assert (
        len(code("from near import g\n\n\ndef f():\n    return g\n", near="from stage import f\n\n\ndef g():\n    return f\n"))
        == 2
    )


def test_a_class_counts_whole(code):
    text = (
        "class K:\n    def a(self):\n        return 1\n\n    def b(self):\n        return 2\n\n\ndef f():\n    return K().a()\n"
    )
    assert code(text) != code(text.replace("return 2", "return 3"))


def test_all_of_a_module_is_all_that_it_defines_and_stands_on(code, tmp_path):
    code(STAGE)
    before = code_of_module(tmp_path / "stage.py")
    code(STAGE.replace("return y\n", "return 7\n"))
    assert code_of_module(tmp_path / "stage.py") != before


def test_attars_own_code_counts_but_for_how_an_answer_is_fetched(code, tmp_path):
    imports = "from attar.core.table import need\nfrom attar.engines.base import Request\n"
    code(f"{imports}\n\ndef f(t):\n    need(t, 'a')\n    return Request\n")
    files = {file.name for file, _ in source._hash_and_uses(tmp_path / "stage.py", "f")[1]}
    assert files == {"table.py"}


def test_what_is_left_outside_is_there():
    assert [name for name in source.OUTSIDE if find_spec(name) is None] == []

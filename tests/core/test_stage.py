import ast
import importlib
from pathlib import Path

import pytest

from attar.core.errors import RecipeError
from attar.core.stage import as_many_as, marks, role, rowwise, stage_name, trains
from attar.stages.evaluate.judging import jury
from attar.stages.synth import respond

SRC = Path(__file__).parents[2] / "src" / "attar"


def test_a_mark_leaves_the_function_as_it_is_and_is_read_back():
    def stage(table):
        return table

    assert role("answers")(rowwise(stage)) is stage
    assert as_many_as(1)(stage) is stage
    found = marks(stage)
    assert (found.role, found.rowwise, found.as_many_as, found.trains, found.reads) == ("answers", True, 1, None, None)
    assert found.plain() == {"role": "answers", "trains": None}


def test_a_training_says_what_it_trains_on_answers_unless_it_says_more():
    assert marks(trains(lambda table, *, engine, into: table)).trains == "answers"
    assert marks(trains(on="pairs")(lambda table, *, engine, into: table)).trains == "pairs"


@pytest.mark.parametrize(("mark", "hint"), [(lambda: role("anwers"), "answers"), (lambda: trains(on="pair"), "pairs")])
def test_a_misspelt_mark_is_refused_with_the_nearest_that_there_is(mark, hint):
    with pytest.raises(RecipeError, match=f"did you mean '{hint}'"):
        mark()(lambda table: table)


def test_a_stage_is_called_by_family_module_and_function():
    assert stage_name(respond.sample) == "synth.respond.sample"
    assert stage_name(jury.verdict) == "evaluate.judging.jury.verdict"


def stages_wired_by(recipes):
    """The stages that files of recipes wire, as `module.function` of what they import."""
    for path in recipes:
        tree = ast.parse(path.read_text())
        modules = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("attar.stages")
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "flow" and node.args:
                stage = node.args[0]
                if isinstance(stage, ast.Attribute) and isinstance(stage.value, ast.Name) and stage.value.id in modules:
                    yield modules[stage.value.id], stage.attr


def test_every_stage_of_an_evaluation_that_a_recipe_wires_is_marked_as_an_exam_and_no_other_is():
    wired = set(stages_wired_by((SRC / "recipes").glob("*.py")))
    assert len(wired) > 60
    for module, name in wired:
        here = marks(getattr(importlib.import_module(module), name)).role == "exam"
        exam = module.startswith("attar.stages.evaluate.") and name != "drop_held_out"
        assert here == exam, f"{module}.{name}"

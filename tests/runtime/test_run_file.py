import sys

import pytest

from attar.core.errors import RecipeError
from attar.runtime.run_file import builtin_recipes, find_recipe, read_run_file, roles_and_knobs

OWN = """
from attar.engines.base import Spec
from attar.runtime.flow import recipe
from attar.stages.synth import magpie

@recipe(paper="mine")
def mine(flow, *, teacher: Spec, judge: Spec | None = None, count: int = 3):
    "Just draws."
    return {"asked": flow(magpie.ask, flow(magpie.draws, count=count), engine=teacher)}
"""


def test_a_run_file_names_recipe_engines_and_knobs(run_file):
    file = read_run_file(run_file())
    assert (file.name, file.recipe, dict(file.knobs)) == ("try", "magpie", {"count": 60, "size": 10, "rule": "reward > -12"})
    assert file.engines["teacher"].model == "teacher"


def test_whatever_else_an_engine_is_given_are_its_options(run_file):
    path = run_file(
        "recipe: magpie\nengines: {teacher: {kind: fake, model: t, seed: 4}, rewarder: {kind: fake, model: r}}\nrun: {shard: 5}"
    )
    file = read_run_file(path)
    assert dict(file.engines["teacher"].options) == {"seed": 4}
    assert file.settings.shard == 5


ENGINES = "engines: {teacher: {kind: fake, model: t}, rewarder: {kind: fake, model: r}}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("recipes: magpie", "unknown key 'recipes'; did you mean 'recipe'?"),
        ("recipe: magpy\n" + ENGINES, "unknown recipe 'magpy'; did you mean 'magpie'?"),
        ("engines: {}", "the key 'recipe' is missing"),
        ("recipe: magpie\nengines: {rewarder: {kind: fake, model: r}}", "needs an engine for the role 'teacher'"),
        ("recipe: magpie\nengines: {techer: {kind: fake, model: t}}", "unknown engine role 'techer'; did you mean 'teacher'?"),
        ("recipe: magpie\nengines: {teacher: {kind: fak, model: t}}", "unknown engine kind 'fak'; did you mean 'fake'?"),
        ("recipe: magpie\nengines: {teacher: {kind: fake}}", "engine 'teacher': the key 'model' is missing"),
        ("recipe: magpie\nengines: {teacher: pocket}", "engine 'teacher' is 'pocket'; write it as"),
        (f"recipe: magpie\n{ENGINES}\nknobs: {{cuont: 3}}", "unknown knob 'cuont'; did you mean 'count'?"),
        (f"recipe: magpie\n{ENGINES}\nknobs: {{count: many}}", "knob 'count' is 'many': input should be a valid integer"),
        (f"recipe: magpie\n{ENGINES}\nknobs: {{count: 2.5}}", "knob 'count' is 2.5: input should be a valid integer"),
        (f"recipe: magpie\n{ENGINES}\nknobs: {{exam: pockt}}", "knob 'exam' is 'pockt': input should be 'none' or 'pocket'"),
        (
            f"recipe: magpie\n{ENGINES}\nknobs: {{mix: [{{temprature: 1.0}}]}}",
            "'temprature'. is 1.0: extra inputs are not permitted",
        ),
        (
            f"recipe: magpie\n{ENGINES}\nknobs: {{mix: [{{top_p: x}}]}}",
            "knob 'mix'.*'top_p'. is 'x': input should be a valid number",
        ),
        (f"recipe: magpie\n{ENGINES}\nrun: {{shards: 3}}", "unknown key under 'run' 'shards'; did you mean 'shard'?"),
        (f"recipe: magpie\n{ENGINES}\nknobs: [1]", "'knobs' is .1., not a mapping"),
        ("recipe: [", "is not YAML"),
        ("- a", "a run file is a mapping"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_file_and_the_key(run_file, text, told):
    path = run_file(text)
    with pytest.raises(RecipeError, match=told) as caught:
        read_run_file(path)
    assert str(caught.value).startswith(str(path))


def test_ints_serve_where_floats_are_asked(run_file):
    assert read_run_file(run_file(f"recipe: magpie\n{ENGINES}\nknobs: {{flatten: 3}}")).knobs == {"flatten": 3}


def test_a_recipe_of_ones_own_is_found_by_its_path_beside_the_run_file(run_file, tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    file = read_run_file(run_file("recipe: mine.py\nengines: {teacher: {kind: fake, model: t}}"))
    assert [step.name for step in file.trace().steps] == ["draws", "ask"]
    assert roles_and_knobs(file.function) == ({"teacher": True, "judge": False}, {"count": int})


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (OWN, "mine.py:yours", "has no recipe 'yours'; known: mine"),
        (OWN + OWN.replace("def mine", "def second"), "mine.py", "has 2 recipes"),
        ("x = 1", "mine.py", "none is marked @recipe"),
        ("import nothing_at_all", "mine.py", "cannot be imported: ModuleNotFoundError"),
        ("def (", "mine.py", "cannot be imported: SyntaxError"),
    ],
)
def test_a_recipe_file_that_does_not_serve_says_why(tmp_path, content, name, told):
    (tmp_path / "mine.py").write_text(content)
    with pytest.raises(RecipeError, match=told):
        find_recipe(name, tmp_path)


def test_a_knob_without_a_default_must_be_given(run_file):
    with pytest.raises(RecipeError, match="recipe 'evaluate' needs the knob 'benchmark'; it is not under 'knobs'"):
        read_run_file(run_file("recipe: evaluate\nengines:\n  model: {kind: fake, model: m}\n"))


METHODS = [name for name in builtin_recipes() if name != "evaluate"]  # which is of eight benchmarks, not of a paper


@pytest.mark.parametrize("name", METHODS)
def test_every_recipe_of_a_method_cites_its_paper(name):
    assert vars(find_recipe(name))["paper"].startswith("arXiv:")


@pytest.mark.parametrize("name", builtin_recipes())
def test_every_built_in_recipe_says_where_it_differs(name):
    of = "the paper" if name in METHODS else "the benchmarks' own scripts"
    assert f"Differs from {of}:" in sys.modules[find_recipe(name).__module__].__doc__


def test_a_number_may_be_written_as_people_write_it(run_file):
    assert read_run_file(run_file(f"recipe: magpie\n{ENGINES}\nknobs: {{temperature: 2e-5}}")).knobs == {"temperature": 2e-5}


@pytest.mark.parametrize("knob", ["count: 0", "size: -3", "prompt_tokens: 0", "temperature: -2", "mix: [{top_p: 0}]"])
def test_a_number_that_makes_no_sense_is_refused_before_anything_starts(run_file, knob):
    with pytest.raises(RecipeError, match="input should be greater than"):
        read_run_file(run_file(f"recipe: magpie\n{ENGINES}\nknobs: {{{knob}}}"))


def test_a_run_is_named_by_its_file_dots_and_all(run_file):
    assert read_run_file(run_file(name="my.v2.yaml")).name == "my.v2"

"""Run files: a recipe, its engines by role, its knobs. Every key is checked before anything starts.

recipe: magpie                 # a built-in one, or the path of a Python file (mine.py, or mine.py:name)
engines:
  teacher: {kind: local, model: pocket:teacher}
knobs: {count: 1000}
limits: {cost: 20, hours: 8, tokens: 5_000_000}     # of the whole run, including its earlier tries
run: {shard: 500, max_failures: 0.1}
"""

import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from attar.core.errors import AttarError, RecipeError, did_you_mean
from attar.core.python_files import import_file, split_name
from attar.engines.base import Spec
from attar.engines.keys import refuse_keys
from attar.engines.meter import Limits
from attar.engines.registry import find_kind, kind_of
from attar.runtime.flow import Recipe, Trace, trace
from attar.runtime.settings import Settings

_KEYS = ("recipe", "engines", "knobs", "limits", "run")
RECIPES = Path(__file__).parents[1] / "recipes"


class _Loader(yaml.SafeLoader):
    """A YAML 1.1 loader that reads 2e-5 as a number, not as text."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+$"), list("-+0123456789"))


@dataclass(frozen=True, slots=True)
class RunFile:
    """A checked run file."""

    path: Path
    recipe: str
    function: Recipe
    engines: Mapping[str, Spec]
    knobs: Mapping[str, Any]
    settings: Settings
    limits: Limits

    @property
    def name(self) -> str:
        """The run's name: the file's."""
        return self.path.name.removesuffix(".yaml").removesuffix(".yml")

    def trace(self) -> Trace:
        """Trace its recipe into steps."""
        return trace(self.function, self.engines, self.knobs)


def read_run_file(path: Path) -> RunFile:
    """Read and check a run file."""
    if not path.is_file():
        raise RecipeError(
            f"{path} {'is no file' if path.exists() else 'does not exist'}; a run file is YAML with the keys {', '.join(_KEYS)}"
        )
    try:
        content = yaml.load(path.read_text(), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{path}: a run file is a mapping with the keys {', '.join(_KEYS)}")
    try:
        return check_run_file(content, path)
    except AttarError as error:
        error.place(str(path))
        raise


def check_run_file(content: Mapping[str, Any], path: Path) -> RunFile:
    """Check a run file's content against its recipe's signature."""
    _check_keys(content, _KEYS, "key")
    if not isinstance(content.get("recipe"), str):
        raise RecipeError(f"the key 'recipe' is missing; {did_you_mean('', builtin_recipes())}")
    function = find_recipe(content["recipe"], path.parent)
    roles, knobs = roles_and_knobs(function)
    engines = {role: _read_engine(role, value, path.parent) for role, value in _read_mapping(content, "engines").items()}
    _check_keys(engines, roles, "engine role")
    for role, needed in roles.items():
        if needed and role not in engines:
            raise RecipeError(f"recipe {content['recipe']!r} needs an engine for the role {role!r}; it is not under 'engines'")
    given = _read_mapping(content, "knobs")
    _check_keys(given, knobs, "knob")
    for knob, parameter in inspect.signature(function).parameters.items():
        if knob in knobs and knob not in given and parameter.default is parameter.empty:
            raise RecipeError(f"recipe {content['recipe']!r} needs the knob {knob!r}; it is not under 'knobs'")
    checked = {knob: check_value(f"knob {knob!r}", knobs[knob], value) for knob, value in given.items()}
    settings, limits = (_read_dataclass(content, key, kind) for key, kind in (("run", Settings), ("limits", Limits)))
    return RunFile(path, content["recipe"], function, engines, checked, settings, limits)


def _read_mapping(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = content.get(key) or {}
    if not isinstance(value, dict):
        raise RecipeError(f"{key!r} is {value!r}, not a mapping")
    return value


def _check_keys(given: Mapping[str, Any], known: Any, what: str) -> None:
    for key in given:
        if key not in known:
            raise RecipeError(f"unknown {what} {key!r}; {did_you_mean(str(key), known)}")


def _read_dataclass(content: Mapping[str, Any], key: str, kind: Any) -> Any:
    """A dataclass from the mapping under a key."""
    given, known = _read_mapping(content, key), get_type_hints(kind, include_extras=True)
    _check_keys(given, known, f"key under {key!r}")
    return kind(**{name: check_value(f"{key} {name!r}", known[name], value) for name, value in given.items()})


def _read_engine(role: str, value: Any, beside: Path) -> Spec:
    if not isinstance(value, dict):
        raise RecipeError(f"engine {role!r} is {value!r}; write it as {{kind: ..., model: ...}}")
    for key in ("kind", "model"):
        if not isinstance(value.get(key), str):
            raise RecipeError(f"engine {role!r}: the key {key!r} is missing")
    options = {key: item for key, item in value.items() if key not in ("kind", "model")}
    try:
        spec = Spec(find_kind(value["kind"], beside), value["model"], options)
        kind_of(spec)
        refuse_keys(options, "its options")
    except AttarError as error:
        raise RecipeError(f"engine {role!r}: {error}") from error
    return spec


def check_value(what: str, kind: Any, value: Any) -> Any:
    """Validate a value against a type annotation; RecipeError with one clear line if it does not fit."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = "".join(f"[{step!r}]" for step in first["loc"])
        raise RecipeError(f"{what}{place} is {first['input']!r}: {first['msg'][0].lower()}{first['msg'][1:]}") from None


def roles_and_knobs(function: Recipe) -> tuple[dict[str, bool], dict[str, Any]]:
    """A recipe's roles (with whether each is required) and its knobs (with their types)."""
    hints = get_type_hints(function, include_extras=True)
    roles, knobs = {}, {}
    _, *parameters = inspect.signature(function).parameters.items()  # the first is the flow
    for name, parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        kind = hints.get(name, Any)
        if Spec in (kind, *(get_args(kind) if get_origin(kind) in (Union, UnionType) else ())):
            roles[name] = parameter.default is parameter.empty
        else:
            knobs[name] = kind
    return roles, knobs


def builtin_recipes() -> list[str]:
    """The names of the recipes that come with Attar."""
    return sorted(path.stem for path in RECIPES.glob("*.py") if not path.stem.startswith("_"))


def find_recipe(name: str, beside: Path = Path()) -> Recipe:
    """A built-in recipe by name, or one in a Python file by its path, relative to the run file or to the working directory."""
    if name in builtin_recipes():
        return getattr(importlib.import_module(f"attar.recipes.{name}"), name)
    file, wanted = split_name(name)
    if not file.endswith(".py"):
        raise RecipeError(
            f"unknown recipe {name!r}; {did_you_mean(name, builtin_recipes())} (your own: the path of its .py file)"
        )
    path = next((place for place in (beside / file, Path(file)) if place.is_file()), None)
    if path is None:
        raise RecipeError(f"recipe file {file} does not exist")
    module = import_file(path.resolve(), "recipe")
    recipes: dict[str, Any] = {key: value for key, value in vars(module).items() if getattr(value, "recipe", False) is True}
    own = {key: value for key, value in recipes.items() if value.__module__ == module.__name__}
    if wanted and wanted not in own:
        raise RecipeError(f"{path} has no recipe {wanted!r}; {did_you_mean(wanted, own)}")
    if not wanted and len(own) != 1:
        raise RecipeError(
            f"{path} has {len(own)} recipes ({', '.join(own) or 'none is marked @recipe'}); name one as {file}:NAME"
        )
    return own[wanted or next(iter(own))]

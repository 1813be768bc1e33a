"""The commands `recipes`, `filters` and `convert`."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from attar.cli.app import JsonOption, app, print_value
from attar.cli.console import console


@app.command()
def recipes(as_json: JsonOption = False) -> None:
    """List the recipes, their papers, roles and knobs."""
    from attar.cli.render import print_recipes
    from attar.runtime.run_file import builtin_recipes, find_recipe, roles_and_knobs

    functions = {name: find_recipe(name) for name in builtin_recipes()}
    lines = [
        {
            "recipe": name,
            "paper": vars(function).get("paper"),
            "about": (function.__doc__ or "").strip(),
            "roles": roles,
            "knobs": knobs,
        }
        for name, function in functions.items()
        for roles, knobs in [_parameters(function, *roles_and_knobs(function))]
    ]
    print_value(lines, as_json, print_recipes)


def _parameters(function: Any, roles: dict[str, bool], knobs: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    import inspect

    parameters = inspect.signature(function).parameters
    return {role: "needed" if needed else "optional" for role, needed in roles.items()}, {
        k: parameters[k].default for k in knobs
    }


@app.command()
def convert(
    source: Annotated[
        str, typer.Argument(help="file, folder, 'data/*.jsonl.zst', owner/name:config/split, s3://..., hf://..., - (stdin)")
    ],
    target: Annotated[Path, typer.Argument(help=".jsonl, .json or .parquet; no suffix: a folder; -: JSONL on stdout")],
    to: Annotated[str, typer.Option(help="messages, sharegpt, alpaca, prompt or preference")] = "messages",
    form: Annotated[str | None, typer.Option("--from", help="the source's format; detected row by row if not given")] = None,
    layout: Annotated[str | None, typer.Option(help="of a folder: parquet, or datasets (as `save_to_disk`)")] = None,
    as_json: JsonOption = False,
) -> None:
    """Convert chat data from any known format to another; rejected rows go to a file with their reasons."""
    from attar.api.convert import convert as do_convert
    from attar.cli.render import print_conversion

    if str(target) == "-":
        console.file = sys.stderr
    print_value(do_convert(source, target, to, form, layout), as_json, print_conversion)


@app.command()
def filters(as_json: JsonOption = False) -> None:
    """List the filters of the released datasets: their rules, rankings and sizes."""
    from dataclasses import asdict

    from attar.cli.render import print_filters
    from attar.stages.select.presets import FILTERS

    lines = [{"filter": name, "rule": one.rule, **asdict(one)} for name, one in FILTERS.items()]
    print_value(lines, as_json, print_filters)

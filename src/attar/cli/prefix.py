"""Show what is before a user's text: a model's Magpie prefix, what follows an answer, the stops, and who writes the BOS.

Only the template and the tokenizer's small files are read, never the weights.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from attar.cli.app import JsonOption, app, print_value
from attar.core.errors import EngineError


@app.command()
def prefix(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="a folder, pocket:teacher, a hub id, a .jinja file, a tokenizer_config.json")
    ],
    system: Annotated[str | None, typer.Option(help="a system turn of your own in the template's place for it")] = None,
    bos: Annotated[str | None, typer.Option(help="the text of the BOS token, for a .jinja file that stands alone")] = None,
    eos: Annotated[str | None, typer.Option(help="the text of the EOS token, likewise")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the Magpie prefix of a chat model: what its template puts before a user's text, and where that text stops."""
    from attar.chat import templates

    template = templates.load_template(_path(model))
    given = {"bos_token": bos, "eos_token": eos}
    template = replace(template, tokens={**template.tokens, **{key: text for key, text in given.items() if text is not None}})
    _check(template)
    start = templates.prefix(template, system)
    talk: list[templates.Message] = [] if system is None else [{"role": "system", "content": system}]
    talk += templates.example_conversation()
    next_turn = templates.next_turn_prefix(template, talk).text.rpartition(talk[-1]["content"])[2]
    found = {"prefix": start.text, "next_turn_prefix": next_turn, "stops": list(start.stops), "bos": templates.bos(template)}
    print_value(found, as_json, _show)


def _check(template: Any) -> None:
    """A template that names a token that nobody tells would be shown without it."""
    for key in ("bos_token", "eos_token"):
        if template.adds_bos is None and key not in template.tokens and re.search(rf"\b{key}\b", template.source):
            raise EngineError(
                f"{template.name} names {key}, and no tokenizer_config.json beside it says what that is: "
                f"give --{key.removesuffix('_token')} TEXT"
            )


def _path(model: str) -> Path:
    """A file or folder as it is, a pocket model's folder, or the template files of a hub's model."""
    from attar.engines.local.engine import find_model_folder
    from attar.engines.local.hub import fetch_template

    path = Path(model).expanduser()
    if path.exists():
        return path
    if path.suffix in (".jinja", ".json"):
        raise EngineError(f"{model} does not exist")
    return find_model_folder(model) or fetch_template(model)


def _show(found: dict[str, Any]) -> None:
    sys.stdout.writelines(f"{key:<17} {value!r}\n" for key, value in found.items() if key != "stops")
    sys.stdout.writelines(f"{'stop':<17} {stop!r}\n" for stop in found["stops"])

"""The command `prefix`, which shows a chat model's Magpie prefix, its next-turn prefix, its stops and its BOS.

Only the template and the tokenizer's small files are read, never the weights.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from attar.cli.app import JsonOption, app, print_value
from attar.cli.console import print_plain
from attar.core.errors import EngineError


@app.command()
def prefix(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="a folder, pocket:teacher, a hub id, a .jinja file, a tokenizer_config.json")
    ],
    system: Annotated[str | None, typer.Option(help="a system turn, put where the template puts it")] = None,
    bos: Annotated[str | None, typer.Option(help="the text of the BOS token, for a .jinja file without a tokenizer")] = None,
    eos: Annotated[str | None, typer.Option(help="the text of the EOS token, likewise")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the Magpie prefix of a chat model: what its template puts before a user's text, and where that text stops."""
    from attar.chat import templates

    template = templates.load_template(_path(model))
    tokens = {"bos_token": bos, "eos_token": eos}
    template = replace(template, tokens={**template.tokens, **{key: text for key, text in tokens.items() if text is not None}})
    _check(template)
    start = templates.prefix(template, system)
    talk: list[templates.Message] = [] if system is None else [{"role": "system", "content": system}]
    talk += templates.example_conversation()
    next_turn = templates.next_turn_prefix(template, talk).text.rpartition(talk[-1]["content"])[2]
    parts = {"prefix": start.text, "next_turn_prefix": next_turn, "stops": list(start.stops), "bos": templates.bos(template)}
    print_value(parts, as_json, _show)


def _check(template: Any) -> None:
    """Raise if the template uses a token whose text is not known: the prefix would lack it."""
    for key in ("bos_token", "eos_token"):
        if template.adds_bos is None and key not in template.tokens and re.search(rf"\b{key}\b", template.source):
            raise EngineError(
                f"{template.name} uses {key}, and there is no tokenizer_config.json beside it that defines it: "
                f"give --{key.removesuffix('_token')} TEXT"
            )


def _path(model: str) -> Path:
    """The path of a file, folder or pocket model, or the fetched template files of a Hub model."""
    from attar.engines.local.hub import fetch_template
    from attar.engines.local.spec import find_model_folder

    path = Path(model).expanduser()
    if path.exists():
        return path
    if path.suffix in (".jinja", ".json"):
        raise EngineError(f"{model} does not exist")
    return find_model_folder(model) or fetch_template(model)


def _show(parts: dict[str, Any]) -> None:
    lines = [(key, value) for key, value in parts.items() if key != "stops"] + [("stop", stop) for stop in parts["stops"]]
    print_plain("\n".join(f"{key:<17} {value!r}" for key, value in lines))

"""The command `prefix`, which shows what a chat template holds: BOS, Magpie prefix, stops, marks of thoughts, system turn.

Only the template and the tokenizer's small files are read, never the weights; `--url` asks a server, which has token ids too.
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
    url: Annotated[str | None, typer.Option(help="URL of a server; MODEL is one of its models")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a chat model's Magpie prefix, with its BOS, its stops, its marks of thoughts, and where a system turn goes."""
    from attar.engines.describe import to_json, to_lines

    if url:
        facts, ids = _facts_of_server(model, url, system)
    else:
        facts, ids = _facts_of_files(model, {"bos_token": bos, "eos_token": eos}, system), None
    print_value(to_json(facts), as_json, lambda _: _show(to_lines(facts, ids)))


def _facts_of_files(model: str, tokens: dict[str, str | None], system: str | None) -> Any:
    from attar.chat.templates import load_template
    from attar.engines.describe import describe

    template = load_template(_path(model))
    template = replace(template, tokens={**template.tokens, **{key: text for key, text in tokens.items() if text is not None}})
    _check(template)
    return describe(template, system=system)


def _facts_of_server(model: str, url: str, system: str | None) -> Any:
    """The facts and the token ids of a server's model."""
    from attar.engines.base import Spec
    from attar.engines.doctor.server import describe_server
    from attar.engines.registry import open_engine

    engine = open_engine(Spec("http", model, {"url": url}))
    try:
        return describe_server(engine, system)
    finally:
        engine.close()


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


def _show(lines: dict[str, str]) -> None:
    print_plain("\n".join(f"{label:<12} {words}" for label, words in lines.items()))

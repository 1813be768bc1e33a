"""The command `export`, which writes a run's rows for another trainer."""

from pathlib import Path
from typing import Annotated

import typer

from attar.cli.app import HOME, HomeOption, JsonOption, RunArgument, app, print_value, run_name
from attar.cli.console import print_plain


@app.command()
def export(
    run_: RunArgument,
    form: Annotated[str, typer.Option("--for", metavar="TRAINER", help="trl, axolotl or llamafactory")],
    target: Annotated[Path | None, typer.Option("-o", "--out", help="the folder to write; RUN-TRAINER if not given")] = None,
    base: Annotated[str | None, typer.Option(help="the model to train, if the run has no base, or to use another")] = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Write a run's rows and settings for another trainer, and print the commands that train on them."""
    from attar.outputs.export.folder import export as do_export
    from attar.runtime.home import Home

    name = run_name(run_)
    commands = do_export(Home(home), name, form, target or Path(f"{name}-{form}"), base)
    print_value({"commands": commands}, as_json, lambda result: print_plain("\n".join(result["commands"])))

"""What all commands share: the application, common options, printing a value, and progress reports."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attar.cli.console import print_plain

if TYPE_CHECKING:
    from attar.runtime.progress import Live
    from attar.runtime.reporter import Reporter

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Distil a strong model into a small dataset, train on it, measure what it was worth.",
)


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="show tracebacks of errors, and a log (or ATTAR_DEBUG=1)")] = False,
) -> None:
    """Declare --debug for the help; `main` reads it, anywhere on the command line."""


HomeOption = Annotated[Path, typer.Option("--home", envvar="ATTAR_HOME", help="the folder of steps, journal and runs")]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="print nothing but the result")]
RunFileArgument = Annotated[Path, typer.Argument(metavar="RUN.yaml", help="a run file")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="a run's name, or its run file")]
HOME = Path(".attar")


def run_name(run: str) -> str:
    """The name of a run, given the name itself or its run file."""
    return Path(run).name.removesuffix(".yaml").removesuffix(".yml")


def print_value(value: Any, as_json: bool, show: Any) -> None:
    """Print a value as JSON, or with `show` for people."""
    if as_json:
        print_plain(json.dumps(value, ensure_ascii=False, default=str))
    else:
        show(value)


@contextmanager
def report_progress(live: "Live | None") -> "Iterator[Reporter]":
    """The reporter of a run's progress; when stopped, it prints how to resume, and restores the terminal."""
    from attar.runtime.progress import Quiet

    try:
        yield live or Quiet()
    except KeyboardInterrupt:
        sys.stderr.write("attar: stopped; run the same command to continue\n")
        raise typer.Exit(130) from None
    finally:
        if live:
            live.stop()
